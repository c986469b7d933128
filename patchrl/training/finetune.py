"""Fine-tune the backbone as one arm says: on its targets or on-policy, under its tunings; all else alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers.trainer_utils import set_seed

from patchrl.config import StudyConfig
from patchrl.config.arms import Arm
from patchrl.errors import DataError, StopRequested
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.training.callbacks import Watcher
from patchrl.training.onpolicy import METHODS, Practice
from patchrl.training.supervised import Pair, Resample, supervised
from patchrl.training.tuning import tunings_of
from patchrl.types import Cost, Example, Recorder


def finetune(
    config: StudyConfig,
    backbone: Backbone,
    examples: Sequence[Example],
    steps: int,
    arm: Arm,
    seed: int,
    folder: Path,
    recorder: Recorder,
    *,
    rate: float,
    gate: Gate | None = None,
    sampled: Cost | None = None,
    replay: Sequence[Pair] = (),
    resample: Resample | None = None,
    where: dict[str, Any] | None = None,
) -> None:
    """Fine-tune `backbone` in place for exactly `steps` updates.

    The solution of each of `examples` is the arm's target. `steps` is the same for every arm, also where
    examples were dropped or replayed rows added. `rate` is the study's learning rate. On-policy arms need `gate`,
    which tells right answers from wrong ones, and add what they sample to `sampled`. `replay` are general
    questions with the backbone's own answers, `resample` gives the pairs of every epoch after the first, `where`
    goes into the events. Weights are trained in float32 and kept in the number format they were loaded in.
    Raises DataError on an empty set and StopRequested when asked to stop (an unfinished arm starts over: it is
    short).
    """
    if not examples:
        raise DataError(
            f"Arm {arm.name}: no example is left to fine-tune on, as nothing of {arm.data} passed the gate and its failures are "
            "dropped; leave the arm out."
        )
    set_seed(seed)
    if "lora" not in arm.tunings:  # an adapter has its own weights, in float32
        backbone.model.float()  # an update is often less than bfloat16 tells apart, and would be rounded away
    pairs = [(e.question, e.solution) for e in examples]
    tunings = tunings_of(arm)
    for tuning in tunings:
        rate, pairs = tuning.rate(rate), tuning.rows(pairs, replay)
        backbone.model = tuning.before(backbone.model)
    watcher = Watcher(recorder, where or {"seed": seed, "arm": arm.name}, steps)
    if arm.on_policy:
        assert gate is not None
        practice = Practice(config, backbone, gate, examples, rate, seed, folder, watcher, sampled or Cost())
        METHODS[arm.loss](practice, steps, arm.loss_number)
    else:
        supervised(
            config.finetune,
            backbone,
            pairs,
            steps,
            seed,
            folder,
            watcher,
            rate=rate,
            loss=arm.loss,
            number=arm.loss_number,
            resample=resample,
        )
    if not watcher.stopped and watcher.diverged:
        whose = ", ".join(
            f"{name} {value:g}" if name == "rate" else f"{name} {value}" for name, value in watcher.where.items()
        )
        recorder.event(
            "message", level="warning", text=f"Fine-tuning, {whose}: {watcher.diverged}. Lower its learning rate."
        )
    if watcher.stopped:
        raise StopRequested(f"Stopped while fine-tuning {arm.name}; resume starts this arm again.")
    for tuning in reversed(tunings):
        backbone.model = tuning.after(backbone.model)
    backbone.model.to(backbone.dtype).eval()
