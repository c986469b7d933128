"""A stage's context for tests, and a recorder that says nothing."""

from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.runs.context import StageContext
from patchrl.runs.folder import RunFolder
from patchrl.types import Recorder


class SilentRecorder:
    def event(self, kind: str, **fields: Any) -> None: ...

    def progress(self, done: int, total: int, note: str = "") -> None: ...

    def stop_requested(self) -> bool:
        return False


def context_of(
    config: StudyConfig, gate: Gate, folder: Path, recorder: Recorder | None = None, backbone: Backbone | None = None
) -> StageContext:
    """A context in a run folder at `folder`; the gate's backbone is at work unless another is given."""
    return StageContext(config, backbone or gate.backbone, gate, recorder or SilentRecorder(), RunFolder(folder))
