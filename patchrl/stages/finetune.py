"""Plain SFT (TRL) of the backbone on one arm's targets; the same recipe for every arm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback
from transformers.trainer_utils import set_seed
from trl import SFTConfig, SFTTrainer

from patchrl.backbone import Backbone
from patchrl.config import StudyConfig
from patchrl.errors import DataError, StopRequested
from patchrl.types import Recorder

LOG_STEPS = 4


def _row(backbone: Backbone, question: str, target: str) -> dict[str, Any]:
    question, target = backbone.plain(question), backbone.plain(target)
    if backbone.tokenizer.chat_template:
        return {
            "prompt": [{"role": "user", "content": question}],
            "completion": [{"role": "assistant", "content": target}],
        }
    return {"prompt": backbone.prompt_text(question), "completion": f" {target}{backbone.tokenizer.eos_token}"}


class _Watcher(TrainerCallback):
    def __init__(self, recorder: Recorder, seed: int, arm: str) -> None:
        self.recorder, self.seed, self.arm = recorder, seed, arm
        self.stopped = False

    def on_log(self, args, state, control, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.recorder.event(
                "finetune", seed=self.seed, arm=self.arm, step=state.global_step, loss=round(float(logs["loss"]), 6)
            )
            self.recorder.progress(state.global_step, state.max_steps)

    def on_step_end(self, args, state, control, **_: Any) -> None:
        if self.recorder.stop_requested() and state.global_step < state.max_steps:
            self.stopped = True
            control.should_training_stop = True


def finetune(
    config: StudyConfig,
    backbone: Backbone,
    pairs: Sequence[tuple[str, str]],
    steps: int,
    arm: str,
    seed: int,
    folder: Path,
    recorder: Recorder,
) -> None:
    """Fine-tune `backbone` in place on (question, target) pairs for exactly `steps` updates.

    `steps` is the same for every arm, also where examples were dropped. Raises DataError on an empty
    set and StopRequested when asked to stop (an unfinished arm starts over: it is short).
    """
    if not pairs:
        raise DataError(f"Arm {arm}: no example is left to fine-tune on; use rewrite.fallback = 'expert'.")
    section = config.finetune
    set_seed(seed)
    on_cpu = backbone.device.type == "cpu"
    rows = Dataset.from_list([_row(backbone, question, target) for question, target in pairs])
    settings = SFTConfig(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=section.batch_size,
        max_steps=steps,
        learning_rate=section.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, math.ceil(0.05 * steps)),
        max_length=section.max_length,
        logging_steps=LOG_STEPS,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        bf16=not on_cpu,
        use_cpu=on_cpu,
        gradient_checkpointing=False,
        dataloader_pin_memory=not on_cpu,
        seed=seed,
    )
    watcher = _Watcher(recorder, seed, arm)
    trainer = SFTTrainer(
        model=backbone.model,
        args=settings,
        train_dataset=rows,
        processing_class=backbone.tokenizer,
        callbacks=[watcher],
    )
    trainer.train()
    backbone.model.eval()
    if watcher.stopped:
        raise StopRequested(f"Stopped while fine-tuning {arm}; resume starts this arm again.")
