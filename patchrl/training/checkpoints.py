"""Trainings that can be killed at any time: checkpoints by the clock, and a resumed run that equals an uninterrupted one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback
from trl.trainer.utils import RepeatSampler

from patchrl.errors import StopRequested, TrainingError
from patchrl.models.engines.interface import Watch
from patchrl.runs.checkpoints import Checkpoint, mark_whole
from patchrl.types import Recorder

SAVE_SECONDS = 40.0  # between checkpoints: a death costs less than a minute
STOP_SECONDS = 30.0  # that a stop waits for the end of a step
MAX_SAVING_SHARE = 0.1  # of the time; where writing takes long, checkpoints are further apart
KEPT_CHECKPOINTS = 2  # the second newest is there if the newest is torn


def agreed(decision: bool) -> bool:
    """What the first of the processes that train together decides: all do a thing, or none."""
    return broadcast_object_list([decision])[0] if PartialState().num_processes > 1 else decision


def nothing(_: Path) -> None:
    """Save or load no files of its own."""


class CheckpointCallback(TrainerCallback):
    """Asks for a checkpoint every SAVE_SECONDS and marks each as whole; it comes last among a trainer's callbacks.

    A stop that was requested is heeded after the step in progress, or inside it where that takes longer than STOP_SECONDS.

    Args:
        recorder: Says whether a stop was requested.
        whose: What is trained, for people.
        progress: What a resumed training must know beside the trainer's own files, as plain data.
        every: Steps that belong together; between them nothing is saved and training does not stop.
        at_end: Whether the end of the training gets a checkpoint, too.
        save: Writes further files into a checkpoint's folder.
    """

    def __init__(
        self,
        recorder: Recorder,
        whose: str,
        progress: Callable[[], dict[str, Any]],
        *,
        every: int = 1,
        at_end: bool = False,
        save: Callable[[Path], None] = nothing,
    ) -> None:
        self.recorder, self.whose, self.progress = recorder, whose, progress
        self.every, self.at_end, self.save = every, at_end, save
        self.seconds_before = 0.0  # of training, up to the checkpoint from which this one goes on
        self._stop_seen: float | None = None
        self.interval, self.saved = SAVE_SECONDS, time.monotonic()
        self._decided = self.saved

    def on_train_begin(self, args, state, control, **_: Any) -> None:
        self.interval, self.saved = SAVE_SECONDS, time.monotonic()
        self._began = self.saved
        self.resumed = state.global_step > 0

    def on_epoch_begin(self, args, state, control, train_dataloader: Any = None, **_: Any) -> None:
        """TRL's sampler draws one order of the rows an epoch; a resumed one draws those of the epochs before, too."""
        if not self.resumed:
            return
        self.resumed = False
        batches = train_dataloader.batch_sampler
        while hasattr(batches, "batch_sampler"):
            batches = batches.batch_sampler
        if isinstance(batches.sampler, RepeatSampler) and batches.sampler.shuffle:
            for _epoch in range(int(state.epoch)):
                torch.randperm(batches.sampler.num_samples, generator=batches.sampler.generator)

    def on_pre_optimizer_step(self, args, state, control, model: Any = None, **_: Any) -> None:
        """Raises TrainingError before a gradient that is not finite makes the weights so, and the checkpoints after them."""
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        # Of a sharded model each process looks at its own part; clipping has spread what is not finite to all.
        parts = [part.to_local() if isinstance(part, DTensor) else part for part in gradients]
        if not torch.nn.utils.get_total_norm(parts).isfinite():
            raise TrainingError(
                f"Training, {self.whose}: the gradient of step {state.global_step + 1} is not finite, so that the step was not "
                "taken; start a new run with a lower learning rate."
            )

    def on_step_end(self, args, state, control, **_: Any) -> None:
        self._decided = time.monotonic()
        due = agreed(self._decided - self.saved >= self.interval)
        if due or (self.at_end and state.global_step >= state.max_steps):
            control.should_save = True
        self._keep_together(state, control)

    def stop_if_overdue(self) -> bool:
        """Raise StopRequested where a stop has waited for STOP_SECONDS; False otherwise."""
        if self.recorder.stop_requested():
            self._stop_seen = self._stop_seen or time.monotonic()
            if time.monotonic() - self._stop_seen > STOP_SECONDS:
                raise StopRequested("Stopped inside a long step; resume goes on from the newest checkpoint.")
        return False

    def on_substep_end(self, args, state, control, **_: Any) -> None:
        self.stop_if_overdue()

    def on_log(self, args, state, control, **_: Any) -> None:
        self._keep_together(state, control)

    def _keep_together(self, state: Any, control: Any) -> None:
        if state.global_step % self.every and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = False

    def on_save(self, args, state, control, **_: Any) -> None:
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero:
            self.save(path)
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            mark_whole(path, self.progress(), self.seconds_before + time.monotonic() - self._began)
        self.saved = time.monotonic()
        self.interval = max(SAVE_SECONDS, (self.saved - self._decided) / MAX_SAVING_SHARE)


def stop_watch(trainer: Any) -> Watch | None:
    """Heeds an overdue stop while a trainer samples on a CPU, where that takes long."""
    saving = _saving(trainer)
    if not saving or trainer.accelerator.device.type != "cpu":
        return None
    return lambda _: saving[0].stop_if_overdue()


def _saving(trainer: Any) -> list[CheckpointCallback]:
    return [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, CheckpointCallback)]


def run_trainer(trainer: Any, checkpoint: Checkpoint | None) -> None:
    """Train from a checkpoint on, or from the start; of a training that had ended only the weights are loaded."""
    for callback in _saving(trainer):
        callback.seconds_before = checkpoint.seconds if checkpoint else 0.0
    if checkpoint and checkpoint.step >= trainer.args.max_steps:
        trainer._load_from_checkpoint(str(checkpoint.path))  # a trainer that goes on takes one more step first
        trainer.state.global_step = checkpoint.step
        trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
