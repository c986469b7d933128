"""Watches a fine-tune: its figures become events, and a request to stop is heeded between steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from transformers import TrainerCallback

from patchrl.types import Cost, Recorder

# An on-policy trainer's figures, by their names in TRL's log. Its loss is not a cross entropy, so the event has another name for it.
ON_POLICY_MEASURES = {
    "objective": "loss",
    "reward": "reward",
    "no_signal": "frac_reward_zero_std",
    "length": "completions/mean_length",
}

EARLY = 0.1  # share of the steps after which the divergence is measured


class FinetuneCallback(TrainerCallback):
    """Turns TRL's logs into `finetune` events; one of it may watch several trainers in a row."""

    def __init__(
        self,
        recorder: Recorder,
        where: dict[str, Any],
        steps: int,
        kind: str = "finetune",
        divergence: Callable[[], float] | None = None,
        sampled: Cost | None = None,
    ) -> None:
        """`where` goes into every event, which is of a `kind`; `steps` are those of all trainers together; `divergence` is
        measured after EARLY of them; `sampled` is what they have sampled so far."""
        self.recorder, self.where, self.steps, self.kind = recorder, where, steps, kind
        self.divergence, self.sampled = divergence, sampled or Cost()
        self.before = 0  # steps of the trainers that are done
        self.losses: list[float] = []  # those logged that are cross entropies
        self.stopped = False

    @property
    def whose(self) -> str:
        """What is trained, for people."""
        return ", ".join(
            f"{name} {value:g}" if name == "rate" else f"{name} {value}" for name, value in self.where.items()
        )

    @property
    def diverged(self) -> str:
        """That an SFT loss ended no lower than it began, in words; empty where it fell."""
        if len(self.losses) < 2 or self.losses[-1] < self.losses[0]:  # not so for NaN
            return ""
        return f"the loss went from {self.losses[0]:.3g} to {self.losses[-1]:.3g}: it diverged, or learned nothing"

    def progress(self) -> dict[str, Any]:
        """What a checkpoint says beside the trainer's files: the losses logged, and what was sampled."""
        return {"losses": self.losses, "sampled": asdict(self.sampled)}

    def resume(self, progress: dict[str, Any]) -> None:
        """Go on from the progress of a checkpoint."""
        self.losses = list(progress["losses"])
        self.sampled.tokens, self.sampled.seconds = progress["sampled"]["tokens"], progress["sampled"]["seconds"]

    def on_log(self, args, state, control, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        names = ON_POLICY_MEASURES if ON_POLICY_MEASURES["length"] in logs else {"loss": "loss"}
        if names is not ON_POLICY_MEASURES:
            self.losses.append(float(logs["loss"]))
        measures = {name: logs.get(key) for name, key in names.items()}
        finite = {
            name: round(float(v), 6) for name, v in measures.items() if v is not None and not math.isnan(float(v))
        }
        step = self.before + state.global_step
        self.recorder.event(self.kind, **self.where, step=step, **finite)
        self.recorder.progress(step, self.steps)

    def on_step_end(self, args, state, control, **_: Any) -> None:
        step = self.before + state.global_step
        if self.divergence and step == math.ceil(EARLY * self.steps):
            self.recorder.event("divergence", **self.where, step=step, kl=round(self.divergence(), 5))
        if self.recorder.stop_requested() and self.before + state.global_step < self.steps:
            self.stopped = True
            control.should_save = control.should_training_stop = True

    def on_train_end(self, args, state, control, **_: Any) -> None:
        self.before += state.global_step
