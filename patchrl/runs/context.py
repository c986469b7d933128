"""What every stage of a study works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from patchrl.config import StudyConfig
from patchrl.runs.folder import RunFolder
from patchrl.types import Recorder

if TYPE_CHECKING:
    from patchrl.grading.gate import Gate
    from patchrl.models.backbone import Backbone


@dataclass(frozen=True)
class StageContext:
    """A study's settings, the model at work, the gate, and where events and files go.

    `backbone` is the model that the stage samples from or trains; the gate scores with its own, which is the frozen
    backbone. They are one object except where a fine-tuned model answers open questions.
    """

    config: StudyConfig
    backbone: Backbone
    gate: Gate
    recorder: Recorder
    folder: RunFolder
