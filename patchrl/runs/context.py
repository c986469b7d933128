"""What every stage of a study works with."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from patchrl.config import StudyConfig
from patchrl.runs.folder import RunFolder
from patchrl.runs.journal import Journal
from patchrl.types import Recorder

if TYPE_CHECKING:
    from patchrl.grading.gate import Gate
    from patchrl.models.backbone import Backbone

T = TypeVar("T")


@dataclass(frozen=True)
class StageContext:
    """A study's settings, the model at work, the gate, and where events and files go.

    `backbone` is the model that the stage samples from or trains; the gate scores with its own, which is the frozen
    backbone. They are one object except where a fine-tuned model answers open questions. `journal` keeps what is finished.
    """

    config: StudyConfig
    backbone: Backbone
    gate: Gate
    recorder: Recorder
    folder: RunFolder
    journal: Journal | None = None

    def keep(self, source: Any, make: Callable[[], T]) -> T:
        """What is made from a `source`, plain data both: as the journal has it, else made now."""
        return make() if self.journal is None else self.journal.keep(source, make)

    def clock(self) -> float:
        """Seconds, to be subtracted from a later clock: of the journal's pieces, so that a resumed stage counts all of them."""
        return time.monotonic() if self.journal is None else self.journal.seconds

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Inside, the journal keeps what both backbones sample and score; their weights must not change meanwhile."""
        with contextlib.ExitStack() as stack:
            if self.journal is not None:
                for backbone in {id(b): b for b in (self.backbone, self.gate.backbone)}.values():
                    stack.enter_context(backbone.kept(self.journal.keep))
            yield
