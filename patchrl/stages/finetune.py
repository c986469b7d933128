"""SFT (TRL) of the backbone on one arm's targets, under its loss and its tunings; all else alike for every arm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback
from transformers.trainer_utils import set_seed
from trl import SFTConfig

from patchrl.arms import Arm
from patchrl.backbone import Backbone
from patchrl.config import StudyConfig
from patchrl.errors import DataError, StopRequested
from patchrl.stages.losses import NEEDS_BACKBONE, ArmTrainer, frozen_reference, loss_of
from patchrl.stages.tuning import tunings_of
from patchrl.types import Recorder

LOG_STEPS = 4
Pair = tuple[str, str]  # question, target
Resample = Callable[[int], list[Pair]]  # epoch, from 1 on -> its pairs


def _row(backbone: Backbone, question: str, target: str) -> dict[str, Any]:
    question, target = backbone.plain(question), backbone.plain(target)
    if backbone.tokenizer.chat_template:
        return {
            "prompt": [{"role": "user", "content": question}],
            "completion": [{"role": "assistant", "content": target}],
        }
    return {"prompt": backbone.prompt_text(question), "completion": f" {target}{backbone.tokenizer.eos_token}"}


class _Watcher(TrainerCallback):
    def __init__(self, recorder: Recorder, where: dict[str, Any]) -> None:
        self.recorder, self.where = recorder, where
        self.stopped = False

    def on_log(self, args, state, control, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.recorder.event("finetune", **self.where, step=state.global_step, loss=round(float(logs["loss"]), 6))
            self.recorder.progress(state.global_step, state.max_steps)

    def on_step_end(self, args, state, control, **_: Any) -> None:
        if self.recorder.stop_requested() and state.global_step < state.max_steps:
            self.stopped = True
            control.should_training_stop = True


class _LiveRows(TrainerCallback):
    """Rows that are replaced before every epoch but the first; the trainer's dataset looks them up as it goes."""

    def __init__(self, backbone: Backbone, pairs: Sequence[Pair], resample: Resample, max_length: int) -> None:
        self.backbone, self.resample, self.max_length = backbone, resample, max_length
        self.rows = [row_tokens(backbone, *pair, max_length) for pair in pairs]
        self.epoch = 0

    def dataset(self, size: int) -> Dataset:
        """`size` places; place i holds row i of those there are, counted round."""

        def look_up(batch: dict[str, list[int]]) -> dict[str, list[list[int]]]:
            found = [self.rows[i % len(self.rows)] for i in batch["place"]]
            return {key: [row[key] for row in found] for key in ("input_ids", "labels")}

        return Dataset.from_dict({"place": list(range(size))}).with_transform(look_up)

    def on_epoch_begin(self, args, state, control, **_: Any) -> None:
        if self.epoch and (pairs := self.resample(self.epoch)):
            self.rows = [row_tokens(self.backbone, *pair, self.max_length) for pair in pairs]
        self.epoch += 1


def row_tokens(backbone: Backbone, question: str, target: str, max_length: int) -> dict[str, list[int]]:
    """Token ids of a row and their labels, −100 on the prompt: what TRL makes of `_row`."""
    row, tokenizer = _row(backbone, question, target), backbone.tokenizer
    if tokenizer.chat_template:
        template: dict[str, Any] = {"tokenize": True, "return_dict": False}
        start = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, **template)
        ids = tokenizer.apply_chat_template(row["prompt"] + row["completion"], **template)
    else:
        start = tokenizer(row["prompt"])["input_ids"]
        ids = tokenizer(row["prompt"] + row["completion"])["input_ids"]
    labels = [-100] * len(start) + ids[len(start) :]
    return {"input_ids": ids[:max_length], "labels": labels[:max_length]}


def finetune(
    config: StudyConfig,
    backbone: Backbone,
    pairs: Sequence[Pair],
    steps: int,
    arm: Arm,
    seed: int,
    folder: Path,
    recorder: Recorder,
    *,
    rate: float,
    replay: Sequence[Pair] = (),
    resample: Resample | None = None,
    where: dict[str, Any] | None = None,
) -> None:
    """Fine-tune `backbone` in place on (question, target) pairs for exactly `steps` updates.

    `steps` is the same for every arm, also where examples were dropped or replayed rows added. `rate` is the
    study's learning rate, `resample` gives the pairs of every epoch after the first, `where` goes into the
    events. Raises DataError on an empty set and StopRequested when asked to stop (an unfinished arm starts
    over: it is short).
    """
    if not pairs:
        raise DataError(
            f"Arm {arm.name}: no example is left to fine-tune on; leave the arm out, or use rewrite.fallback = 'expert'."
        )
    section = config.finetune
    set_seed(seed)
    on_cpu = backbone.device.type == "cpu"
    tunings, loss = tunings_of(arm), loss_of(arm.loss, arm.loss_number)
    for tuning in tunings:
        rate, pairs = tuning.rate(rate), tuning.rows(pairs, replay)
        backbone.model = tuning.before(backbone.model)
    settings = SFTConfig(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=section.batch_size,
        max_steps=steps,
        learning_rate=rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, math.ceil(0.05 * steps)),
        max_length=section.max_length,
        loss_type=loss if isinstance(loss, str) else "nll",
        logging_steps=LOG_STEPS,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        bf16=not on_cpu,
        use_cpu=on_cpu,
        gradient_checkpointing=False,
        dataloader_pin_memory=not on_cpu,
        seed=seed,
        # Rows looked up as training goes are tokens already.
        remove_unused_columns=resample is None,
        dataset_kwargs=None if resample is None else {"skip_prepare_dataset": True},
    )
    watcher = _Watcher(recorder, where or {"seed": seed, "arm": arm.name})
    callbacks: list[TrainerCallback] = [watcher]
    if resample is None:
        rows = Dataset.from_list([_row(backbone, question, target) for question, target in pairs])
    else:
        live = _LiveRows(backbone, pairs, resample, section.max_length)
        rows = live.dataset(max(len(pairs), math.ceil(steps / section.epochs) * section.batch_size))
        callbacks.append(live)
    reference = frozen_reference(backbone) if arm.loss in NEEDS_BACKBONE else None
    trainer = ArmTrainer(
        model=backbone.model,
        args=settings,
        train_dataset=rows,
        processing_class=backbone.tokenizer,
        callbacks=callbacks,
    )
    trainer.token_loss, trainer.reference = None if isinstance(loss, str) else loss, reference
    trainer.train()
    if watcher.stopped:
        raise StopRequested(f"Stopped while fine-tuning {arm.name}; resume starts this arm again.")
    for tuning in reversed(tunings):
        backbone.model = tuning.after(backbone.model)
    backbone.model.eval()
