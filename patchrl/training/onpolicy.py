"""On-policy references: the model samples answers as it learns, from a verdict or from itself. By name in METHODS.

Every method takes the optimiser steps of the other arms over the same questions, `finetune.batch_size` of them a
step, and samples at the rewriter's temperature and length limit. What was tried for the learning rate stands in
examples/nano_lab/README.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl.experimental.sdft import SDFTConfig, SDFTTrainer
from trl.experimental.sdft.sdft_trainer import DemonstrationTeacherContextBuilder

from patchrl.config import StudyConfig
from patchrl.config.instructions import rewrite_prompt
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.models.rows import prompt, row_tokens
from patchrl.rewards.trl import COLUMNS
from patchrl.training.baselines.dypo import DypoTrainer
from patchrl.training.callbacks import Watcher
from patchrl.training.losses import frozen_reference
from patchrl.training.rollouts import roll_out
from patchrl.training.supervised import shared_settings, supervised
from patchrl.types import Cost, Example

CLIP = {"epsilon": 0.2, "epsilon_high": 0.28}  # DAPO, arXiv 2503.14476


@dataclass(frozen=True)
class Practice:
    """What an arm practises with: the model in training, its examples with the arm's targets as solutions, and
    where what it samples is counted."""

    config: StudyConfig
    backbone: Backbone
    gate: Gate
    examples: Sequence[Example]
    rate: float
    seed: int
    folder: Path
    watcher: Watcher
    sampled: Cost

    def settings(self, steps: int, samples: int) -> dict[str, Any]:
        """TRL's settings of a trainer that samples `samples` answers to each question of a batch."""
        rewriter = self.config.rewriter
        return shared_settings(self.backbone, self.folder, steps, self.seed) | {
            "per_device_train_batch_size": self.config.finetune.batch_size * samples,
            "num_generations": samples,
            "max_completion_length": rewriter.max_new_tokens,
            "temperature": rewriter.temperature,
            "top_p": 1.0,
            "top_k": 0,
            "learning_rate": self.rate * self.config.onpolicy.rate_factor,
            "lr_scheduler_type": "constant_with_warmup",
            "disable_dropout": True,  # answers are sampled in train mode
            "logging_steps": 1,
        }

    def rows(self, columns: Callable[[Example], dict[str, Any]]) -> Dataset:
        """Every example with its bare question as prompt, and `columns`; repeated until they fill a batch."""
        rows = [{"prompt": prompt(self.backbone, e.question)} | columns(e) for e in self.examples]
        return Dataset.from_list(rows * math.ceil(self.config.finetune.batch_size / len(rows)))

    def train(self, trainer: Any) -> None:
        """Train, with everything that is sampled on the way counted."""
        prepare = trainer._prepare_inputs

        def counted(batch: Any) -> Any:
            started = time.perf_counter()
            inputs = prepare(batch)
            self.sampled.seconds += time.perf_counter() - started
            self.sampled.tokens += int(inputs["completion_mask"].sum())
            return inputs

        trainer._prepare_inputs = counted
        trainer.train()


class RightAnswer:
    """TRL's reward function: 1 for a right final answer, 0 for a wrong one, None where the gate cannot decide."""

    __name__ = "answer"

    def __init__(self, practice: Practice) -> None:
        self.practice = practice

    def __call__(self, completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
        backbone, gate = self.practice.backbone, self.practice.gate
        examples = [Example(*values) for values in zip(*(columns[name] for name in COLUMNS), strict=True)]
        texts = [backbone.decode(backbone.completion_ids(ids)) for ids in completion_ids]
        verdicts = gate.check(examples, texts)
        return [None if verdict.passed is None else float(verdict.passed) for verdict in verdicts]


class _TeacherPrompts(DemonstrationTeacherContextBuilder):
    """Takes `privileged_context` as the teacher's whole prompt."""

    def _compose_teacher_prompt(self, prompt: Any, privileged_context: Any) -> Any:
        return privileged_context


def _grpo_trainer(kind: type[GRPOTrainer], practice: Practice, steps: int) -> Any:
    settings = practice.settings(steps, practice.config.onpolicy.group_size)
    return kind(
        model=practice.backbone.model,
        reward_funcs=RightAnswer(practice),
        args=GRPOConfig(**settings, **CLIP, loss_type="dapo", scale_rewards="none", beta=0.0),
        train_dataset=practice.rows(asdict),
        processing_class=practice.backbone.tokenizer,
        rollout_func=roll_out(practice.backbone),
        callbacks=[practice.watcher],
    )


# --- the methods ----------------------------------------------------------------------------------


def grpo(practice: Practice, steps: int, number: float | None = None) -> None:
    """GRPO on the task: K answers to the bare question, rewarded where the final answer is right.

    Group-relative advantages without scaling by the group's deviation, DAPO's loss and clipping, no KL term:
    the recipe of arXiv 2604.23747 for the RL stage. GRPO: arXiv 2402.03300, Eq. 3; DAPO: arXiv 2503.14476, Eq. 8.
    """
    practice.train(_grpo_trainer(GRPOTrainer, practice, steps))


def sft_then_rl(practice: Practice, steps: int, number: float | None) -> None:
    """SFT on the targets for the share `number` of the steps, `grpo` for the rest (arXiv 2604.23747).

    The paper trains three epochs, then 50 steps or more; here both halves share the steps of every other arm.
    """
    assert number is not None
    first = min(max(1, round(steps * number)), steps)
    pairs = [(e.question, e.solution) for e in practice.examples]
    section = practice.config.finetune
    supervised(
        section,
        practice.backbone,
        pairs,
        first,
        practice.seed,
        practice.folder,
        practice.watcher,
        rate=practice.rate,
    )
    if steps > first and not practice.watcher.stopped:
        grpo(practice, steps - first)


def dypo(practice: Practice, steps: int, number: float | None) -> None:
    """Each question is routed by how many of its K answers are right (DYPO, arXiv 2604.08926); see `DypoTrainer`.

    `number` is α; β and γ are the paper's 1.
    """
    assert number is not None
    reference, limit = frozen_reference(practice.backbone), practice.config.finetune.max_length
    trainer = _grpo_trainer(DypoTrainer, practice, steps)
    trainer.prepare(
        alpha=number,
        reference=reference,
        expert=lambda question, solution: row_tokens(practice.backbone, question, solution, limit),
    )
    practice.train(trainer)


def sdft(practice: Practice, steps: int, number: float | None = None) -> None:
    """Self-distillation (arXiv 2601.19897): one answer to the bare question, pulled towards the model as it answers
    with the target c shown, by the reverse divergence KL(πθ(·|x, y<t) ‖ π(·|x, c, y<t)) at every token.

    TRL's SDFTTrainer on the student's 100 likeliest tokens. The teacher follows the student as a moving average
    (rate 0.05 a step, starting from the backbone) and reads the study's own rewriting instruction, so that
    arms differ in method and not in prompt.
    """
    backbone, instruction = practice.backbone, practice.config.rewriter.instruction

    def shown(example: Example) -> dict[str, Any]:
        """The teacher's prompt."""
        asked = rewrite_prompt(instruction, example.question, example.solution)
        return {"privileged_context": prompt(backbone, asked)}

    settings = SDFTConfig(
        **practice.settings(steps, samples=1),
        distillation_alpha=1.0,
        distillation_topk=min(100, backbone.model.config.get_text_config().vocab_size),
        teacher_model_kind="ema",
        teacher_update_rate=0.05,
        model_init_kwargs={
            "revision": practice.config.backbone.revision,
            "use_safetensors": True,
            "dtype": backbone.model.dtype,  # a moving average in bfloat16 would round its steps away
        },
        max_prompt_length=None,
    )
    trainer = SDFTTrainer(
        model=backbone.model,
        args=settings,
        train_dataset=practice.rows(shown),
        processing_class=backbone.tokenizer,
        callbacks=[practice.watcher],
    )
    trainer.teacher_context_builder = _TeacherPrompts(trainer)
    practice.train(trainer)


# By the names of patchrl.config.arms.ON_POLICY.
METHODS: dict[str, Callable[[Practice, int, float | None], None]] = {
    "grpo": grpo,
    "sft-then-rl": sft_then_rl,
    "dypo": dypo,
    "sdft": sdft,
}
