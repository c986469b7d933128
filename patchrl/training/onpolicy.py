"""On-policy training: the model samples answers as it learns and is rewarded for right ones.

Every method takes the optimiser steps of the other arms over the same questions, `finetune.batch_size` of them a step, and
samples at the rewriter's temperature and length limit. Why the learning rate is what it is: examples/nano_lab/README.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig

from patchrl.config import StudyConfig
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.rewards.trl import EXAMPLE_COLUMNS
from patchrl.runs.checkpoints import resumable_checkpoint
from patchrl.training.callbacks import FinetuneCallback
from patchrl.training.checkpoints import CheckpointCallback, nothing, run_trainer
from patchrl.training.rollouts import roll_out
from patchrl.training.shared_prompts import SharedPromptTrainer
from patchrl.training.supervised import shared_settings
from patchrl.types import Cost, Example

CLIP_SETTINGS = {"epsilon": 0.2, "epsilon_high": 0.28}  # DAPO, arXiv 2503.14476


@dataclass(frozen=True)
class OnPolicyContext:
    """What an on-policy arm trains with: the model, its examples with the arm's targets as solutions, and the cost to which
    its samples are added."""

    config: StudyConfig
    backbone: Backbone
    gate: Gate
    examples: Sequence[Example]
    rate: float
    seed: int
    folder: Path
    callback: FinetuneCallback
    sampled: Cost

    def settings(self, steps: int, samples: int) -> dict[str, Any]:
        """TRL's settings of a trainer that samples `samples` answers to each question of a batch."""
        rewriter = self.config.rewriter
        return shared_settings(self.backbone, self.folder, steps, self.seed) | {
            "per_device_train_batch_size": self.config.finetune.batch_size * samples,
            "num_generations": samples,
            "max_completion_length": rewriter.max_new_tokens,
            "temperature": rewriter.temperature,
            "top_p": rewriter.top_p,
            "top_k": 0,
            "learning_rate": self.rate * self.config.onpolicy.rate_factor,
            "lr_scheduler_type": "constant_with_warmup",
            "disable_dropout": True,  # answers are sampled in train mode
            "logging_steps": 1,
        }

    def rows(self, columns: Callable[[Example], dict[str, Any]]) -> Dataset:
        """Every example with its bare question as prompt, and `columns`; repeated until they fill a batch."""
        rows = [{"prompt": e.question} | columns(e) for e in self.examples]
        return Dataset.from_list(rows * math.ceil(self.config.finetune.batch_size / len(rows)))

    def train(
        self, trainer: Any, *, save: Callable[[Path], None] = nothing, load: Callable[[Path], Any] = nothing
    ) -> None:
        """Train from the newest checkpoint on, with everything that is sampled on the way counted.

        Args:
            save: Writes what a checkpoint must hold beside the trainer's own files.
            load: Reads it again.
        """
        checkpoint = resumable_checkpoint(Path(trainer.args.output_dir), self.callback.recorder)
        if checkpoint:
            self.callback.resume(checkpoint.progress)
            load(checkpoint.path)
        watched = self.callback
        trainer.add_callback(CheckpointCallback(watched.recorder, watched.whose, watched.progress, save=save))
        prepare = trainer._prepare_inputs

        def counted(batch: Any) -> Any:
            started = time.perf_counter()
            inputs = prepare(batch)
            self.sampled.seconds += time.perf_counter() - started
            self.sampled.tokens += int(inputs["completion_mask"].sum())
            return inputs

        trainer._prepare_inputs = counted
        run_trainer(trainer, checkpoint)


class RightAnswer:
    """TRL's reward function: 1 for a right final answer, 0 for a wrong one, None where the gate cannot decide."""

    __name__ = "answer"

    def __init__(self, on_policy: OnPolicyContext) -> None:
        self.on_policy = on_policy

    def __call__(self, completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
        backbone, gate = self.on_policy.backbone, self.on_policy.gate
        examples = [Example(*values) for values in zip(*(columns[name] for name in EXAMPLE_COLUMNS), strict=True)]
        texts = [backbone.decode(backbone.completion_ids(ids)) for ids in completion_ids]
        verdicts = gate.check(examples, texts)
        return [None if verdict.passed is None else float(verdict.passed) for verdict in verdicts]


def grpo_trainer(kind: type[SharedPromptTrainer], on_policy: OnPolicyContext, steps: int) -> Any:
    settings = on_policy.settings(steps, on_policy.config.onpolicy.group_size)
    return kind(
        backbone=on_policy.backbone,
        model=on_policy.backbone.model,
        reward_funcs=RightAnswer(on_policy),
        args=GRPOConfig(**settings, **CLIP_SETTINGS, loss_type="dapo", scale_rewards="none", beta=0.0),
        train_dataset=on_policy.rows(asdict),
        processing_class=on_policy.backbone.tokenizer,
        rollout_func=roll_out(on_policy.backbone),
        callbacks=[on_policy.callback],
    )


def grpo(on_policy: OnPolicyContext, steps: int, number: float | None = None) -> None:
    """GRPO on the task: K answers to the bare question, rewarded where the final answer is right.

    Group-relative advantages without scaling by the group's deviation, DAPO's loss and clipping, no KL term:
    the recipe of arXiv 2604.23747 for the RL stage. GRPO: arXiv 2402.03300, Eq. 3; DAPO: arXiv 2503.14476, Eq. 8.
    """
    on_policy.train(grpo_trainer(SharedPromptTrainer, on_policy, steps))
