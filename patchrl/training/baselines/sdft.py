"""Self-distillation fine-tuning (arXiv 2601.19897)."""

from __future__ import annotations

from typing import Any

from safetensors.torch import load_model, save_model
from trl.experimental.sdft import SDFTConfig, SDFTTrainer
from trl.experimental.sdft.sdft_trainer import DemonstrationTeacherContextBuilder

from patchrl.config.instructions import rewrite_prompt
from patchrl.models.backbone import Backbone
from patchrl.training.onpolicy import OnPolicyContext
from patchrl.types import Example

TEACHER_FILE = "teacher.safetensors"  # in a checkpoint


class _TeacherPrompts(DemonstrationTeacherContextBuilder):
    """Takes `privileged_context` as the teacher's whole prompt."""

    def _compose_teacher_prompt(self, prompt: Any, privileged_context: Any) -> Any:
        return privileged_context


class RowSdftTrainer(SDFTTrainer):
    """TRL's SDFTTrainer whose prompts are user turns, written by the backbone as everywhere else."""

    backbone: Backbone

    def _tokenize_prompts(self, prompts: list[str]) -> list[list[int]]:
        return [self.backbone.prompt_ids(user) for user in prompts]


def sdft(on_policy: OnPolicyContext, steps: int, number: float | None = None) -> None:
    """Self-distillation (arXiv 2601.19897): one answer to the bare question, pulled towards the model as it answers
    with the target c shown, by the reverse divergence KL(πθ(·|x, y<t) ‖ π(·|x, c, y<t)) at every token.

    TRL's SDFTTrainer on the student's 100 likeliest tokens. The teacher follows the student as a moving average
    (rate 0.05 a step, starting from the backbone) and reads the study's own rewriting instruction, so that
    arms differ in method and not in prompt.
    """
    backbone, instruction = on_policy.backbone, on_policy.config.rewriter.instruction

    def columns_of(example: Example) -> dict[str, Any]:
        """The teacher's prompt."""
        return {"privileged_context": rewrite_prompt(instruction, example.question, example.solution)}

    settings = SDFTConfig(
        **on_policy.settings(steps, samples=1),
        distillation_alpha=1.0,
        distillation_topk=min(100, backbone.model.config.get_text_config().vocab_size),
        teacher_model_kind="ema",
        teacher_update_rate=0.05,
        model_init_kwargs={
            "revision": on_policy.config.backbone.revision,
            "use_safetensors": True,
            "dtype": backbone.model.dtype,  # a moving average in bfloat16 would round its steps away
        },
        max_prompt_length=None,
    )
    trainer = RowSdftTrainer(
        model=backbone.model,
        args=settings,
        train_dataset=on_policy.rows(columns_of),
        processing_class=backbone.tokenizer,
        callbacks=[on_policy.callback],
    )
    trainer.backbone = backbone
    trainer.teacher_context_builder = _TeacherPrompts(trainer)
    teacher = trainer.teacher_model
    on_policy.train(
        trainer,
        save=lambda checkpoint: save_model(teacher, str(checkpoint / TEACHER_FILE)),
        load=lambda checkpoint: load_model(teacher, str(checkpoint / TEACHER_FILE)),
    )
