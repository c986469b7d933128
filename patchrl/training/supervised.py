"""SFT (TRL) on (question, target) pairs, under any of the losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig

from patchrl.config import FinetuneSection
from patchrl.models.backbone import Backbone
from patchrl.runs.checkpoints import resumable_checkpoint
from patchrl.training.callbacks import FinetuneCallback
from patchrl.training.checkpoints import KEPT_CHECKPOINTS, CheckpointCallback, run_trainer
from patchrl.training.losses import NEEDS_BACKBONE, ArmTrainer, frozen_reference, loss_of

LOG_STEPS = 4
Pair = tuple[str, str]  # question, target
Resample = Callable[[int], list[Pair]]  # epoch, from 1 on -> its pairs


class _Rows(TrainerCallback):
    """The rows of an arm as token ids and labels; they are replaced before every epoch but the first where it resamples."""

    def __init__(
        self, backbone: Backbone, pairs: Sequence[Pair], max_length: int, resample: Resample | None = None
    ) -> None:
        self.backbone, self.resample, self.max_length = backbone, resample, max_length
        self.read(pairs)

    def read(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        self.rows = [self.backbone.row(*pair).training(self.max_length) for pair in pairs]

    def dataset(self, size: int) -> Dataset:
        """A dataset of `size` rows that repeats the available ones; rows are looked up as training goes."""

        def look_up(batch: dict[str, list[int]]) -> dict[str, list[list[int]]]:
            rows = [self.rows[i % len(self.rows)] for i in batch["row"]]
            return {key: [row[key] for row in rows] for key in ("input_ids", "labels")}

        return Dataset.from_dict({"row": list(range(size))}).with_transform(look_up)

    def on_epoch_begin(self, args, state, control, **_: Any) -> None:
        epoch, done = divmod(state.epoch or 0.0, 1)
        if epoch and not done and self.resample and (pairs := self.resample(int(epoch))):  # done: of a resumed epoch
            self.read(pairs)


def shared_settings(backbone: Backbone, folder: Path, steps: int, seed: int) -> dict[str, Any]:
    """The settings that all trainers of an arm share."""
    on_cpu = backbone.device.type == "cpu"
    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "warmup_steps": max(1, math.ceil(0.05 * steps)),
        "save_strategy": "no",  # `CheckpointCallback` decides
        "save_total_limit": KEPT_CHECKPOINTS,
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": backbone.in_bf16,
        "use_cpu": on_cpu,
        "gradient_checkpointing": backbone.gradient_checkpointing,
        "dataloader_pin_memory": not on_cpu,
        "seed": seed,
    }


def supervised(
    section: FinetuneSection,
    backbone: Backbone,
    pairs: Sequence[Pair],
    steps: int,
    seed: int,
    folder: Path,
    callback: FinetuneCallback,
    *,
    rate: float,
    loss: str = "nll",
    number: float | None = None,
    resample: Resample | None = None,
    at_end: bool = False,
) -> None:
    """Train `backbone` in place for `steps` updates; fewer where the callback stopped it.

    `loss` and its `number` are those of `patchrl.training.losses`; `resample` gives the pairs of every epoch
    after the first. Checkpoints lie in `folder`, from which training goes on; with `at_end` its end is one of them.
    """
    token_loss = loss_of(loss, number)
    settings = SFTConfig(
        **shared_settings(backbone, folder, steps, seed),
        per_device_train_batch_size=section.batch_size,
        learning_rate=rate,
        lr_scheduler_type="linear",
        max_length=section.max_length,
        loss_type=token_loss if isinstance(token_loss, str) else "nll",
        logging_steps=LOG_STEPS,
        # Rows are token ids and labels already, and are looked up as training goes.
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    rows = _Rows(backbone, pairs, section.max_length, resample)
    checkpoint = resumable_checkpoint(folder, callback.recorder)
    if checkpoint:
        callback.resume(checkpoint.progress)
        if resample:
            rows.read([(question, answer) for question, answer in checkpoint.progress["pairs"]])

    def progress() -> dict[str, Any]:
        return callback.progress() | ({"pairs": rows.pairs} if resample else {})

    resampled_size = math.ceil(steps / section.epochs) * section.batch_size if resample else 0
    reference = frozen_reference(backbone) if loss in NEEDS_BACKBONE else None
    trainer = ArmTrainer(
        model=backbone.model,
        args=settings,
        train_dataset=rows.dataset(max(len(pairs), resampled_size)),
        processing_class=backbone.tokenizer,
        callbacks=[callback, rows, CheckpointCallback(callback.recorder, callback.whose, progress, at_end=at_end)],
    )
    trainer.token_loss, trainer.reference = None if isinstance(token_loss, str) else token_loss, reference
    run_trainer(trainer, checkpoint)
