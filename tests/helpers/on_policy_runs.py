"""On-policy training of a tiny backbone whose answers are fixed beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

from helpers import tiny
from helpers.answering import Recorder, roll_out_of
from helpers.contexts import context_of
from patchrl.config import apply_overrides, resolve
from patchrl.config.arms import parse
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.training import onpolicy
from patchrl.training.finetune import FinetuneInputs, finetune
from patchrl.types import Cost, Example

K = 3
# Answers to "What is n + 1?", by n: all right, some right, none right.
ANSWERS = {0: ("1", "It is 1.", "So 1"), 1: ("2", "It is 7.", "3 + 3 = 2"), 2: ("9", "8", "It is 5.")}
EXAMPLES = [Example(f"e{n}", f"What is {n} + 1?", f"{n} + 1 = {n + 1}.", str(n + 1)) for n in ANSWERS]


FIXED = mock.patch.object(onpolicy, "roll_out", lambda backbone: roll_out_of(ANSWERS.__getitem__))


def train_on_policy(
    name: str,
    folder: Path,
    *overrides: str,
    steps: int = 2,
    examples: list[Example] = EXAMPLES,
    recorder: Recorder | None = None,
    gate: Any = None,
    template: bool = True,
) -> tuple[Backbone, Recorder, Cost]:
    """Fine-tune a tiny backbone, saved in `folder` as a user's own would be, as arm `name` says."""
    values = {
        "backbone": {"model": str(tiny.save("qwen2", folder / "backbone", template=template)), "device": "cpu"},
        "finetune": {"batch_size": len(EXAMPLES), "max_length": 64},
        "rewriter": {"max_new_tokens": 6},
        "onpolicy": {"group_size": K, "rate_factor": 1.0},
    }
    config, recorder = resolve(apply_overrides(values, overrides)), recorder or Recorder()
    backbone = Backbone.load(config.backbone)
    with Gate(config, backbone, answers_only=True) as answers:
        context = context_of(config, gate or answers, folder, recorder, backbone)
        cost = finetune(context, FinetuneInputs(parse(name), examples, steps, 1e-2, 0, folder))
    return backbone, recorder, cost
