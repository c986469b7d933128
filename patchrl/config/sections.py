"""The settings of a study: one frozen model per stage, those of the inputs in `inputs`. Form, command line and docs read titles, help and bounds here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, field_validator, model_validator

from patchrl.config.fields import MAX_TOKENS, FileName, Section, setting
from patchrl.config.inputs import MAX_ROWS, BackboneSection, DataSection, EngineSection, StudySection
from patchrl.config.instructions import INSTRUCTIONS, check_instruction
from patchrl.errors import ConfigError

MAX_STEPS = 1_000_000  # of one training
MAX_BATCH = 4_096  # examples or questions in one update
MAX_WEIGHT = 1_000.0  # of one part of a reward or a loss
Alignment = Literal["kl", "mean"]


def _as_list(value: Any) -> Any:
    """A single number becomes a list of one."""
    return (value,) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class GateSection(Section):
    """What a rewrite must satisfy to be used."""

    reasoning: Literal[
        "derivation",
        "coverage",
        "equations",
        "judge",
        "derivation+judge",
        "coverage+judge",
        "equations+judge",
        "none",
    ] = setting(
        "equations",
        "Reasoning check",
        "`derivation`: in mathematics the written steps must lead from the question's numbers to the answer, and every "
        "written equality must be true; `coverage`: what the expert says must come back, and no new number or name may come in "
        "(left out, `derivation` is chosen for mathematics and `coverage` for other tasks whose experts explain their answer, "
        "with a backbone other than `nano`); "
        "`equations`: every written equality must be true; `judge`: the frozen backbone must say that the steps are "
        "valid; `none`: only the final answer is checked. Open-ended answers are judged unless this is `none`.",
        basic=True,
    )
    judge_threshold: float = setting(
        0.5, "Judge threshold", "The judge accepts when its probability of yes is at least this.", ge=0, le=1
    )
    timeout: float = setting(
        2.0,
        "Verifier deadline",
        "A check that needs more processor time leaves the text unscored.",
        "s",
        gt=0,
        le=3_600,
    )


class RewardSection(Section):
    """The reward that trains the rewriter."""

    kind: Literal["paper", "gain"] = setting(
        "paper",
        "Reward",
        "`paper`: passing the gate, plus alignment and diversity within the group (arXiv 2602.11220). `gain`: the share of "
        "the gap in ℓ between the expert and the backbone's own answers that a rewrite closes; a copy of the expert "
        "closes none.",
        basic=True,
    )
    lambda_dist: float = setting(
        0.35, "λ alignment", "Weight of alignment with the backbone's style in the reward `paper`.", ge=0, le=MAX_WEIGHT
    )
    alignment: Alignment = setting(
        "kl",
        "Alignment measure",
        "How closeness to the backbone is measured: `kl` of the rewriter to the backbone's own answers, which preserves "
        "their variety, or `mean` surprisal per token (the paper's ℓ).",
    )
    alignment_scale: Literal["group", "own"] = setting(
        "group",
        "Alignment scale",
        "`group`: standardised among the rewrites of a question (the paper); `own`: absolute, full when a rewrite is as "
        "likely as the backbone's own sampled answers (for `kl`: as likely under the rewriter).",
    )
    lambda_div: float = setting(
        0.5, "λ diversity", "Weight of diversity in the reward.", basic=True, ge=0, le=MAX_WEIGHT
    )
    diversity_scale: Literal["paper", "group"] = setting(
        "paper", "Diversity scale", "`paper`: raw marginal diversity; `group`: divided by the diversity of the group."
    )
    bf16_scoring: bool = setting(
        False,
        "bfloat16 scoring",
        "Score rollouts in bfloat16. This is about three times faster and accurate to 0.01 nats, which can swap "
        "near ties. Weights loaded in bfloat16 are always scored in it.",
    )
    embedder: FileName = setting(
        "backbone",
        "Embeddings",
        "The model that measures diversity and meaning: `backbone` (costs nothing extra), or a sentence-transformers "
        "model by folder or Hub id.",
    )


class RewriterSection(Section):
    """How the rewriter is trained."""

    instruction: str = setting(
        "own-words", "Rewriting instruction", f"{', '.join(INSTRUCTIONS)}, or a sentence of your own.", basic=True
    )
    more_instructions: tuple[str, ...] = setting(
        (),
        "More instructions",
        "Further instructions, by name or as your own text. Training alternates between all of them; rewriting uses "
        "the first one only.",
        max_length=16,
    )
    steps: int = setting(40, "Steps", "GRPO updates.", "steps", basic=True, ge=1, le=MAX_STEPS)
    prompts_per_step: int = setting(
        8, "Prompts per step", "Questions sampled for each update.", basic=True, ge=1, le=MAX_BATCH
    )
    group_size: int = setting(8, "Group size K", "Rewrites sampled for each question.", basic=True, ge=2, le=64)
    learning_rate: float = setting(1e-3, "Learning rate", "Constant after warm-up.", basic=True, gt=0, le=1)
    warmup_steps: int = setting(
        2, "Warm-up", "Steps over which the learning rate rises linearly.", "steps", ge=0, le=MAX_STEPS
    )
    updates_per_rollout: int = setting(
        1,
        "Updates per rollout",
        "GRPO updates made with the same rollouts. From the second update on, the rollouts are stale.",
        ge=1,
        le=16,
    )
    vcpo: bool = setting(
        False,
        "VCPO",
        "For stale rollouts: multiply the learning rate by the root of their effective sample size, and subtract the reward "
        "baseline with which the gradient varies least (arXiv 2602.17616). Doubles the cost of an update, not of sampling.",
        validation_alias=AliasChoices("vcpo", "ess_scaling"),  # ess_scaling: its name in older configs
    )
    warm_start_steps: int = setting(
        40,
        "Warm start",
        "Supervised steps on the backbone's own verified answers before GRPO. 0 turns the warm start off.",
        "steps",
        basic=True,
        ge=0,
        le=MAX_STEPS,
    )
    warm_start_rate: float | None = setting(
        None,
        "Learning rate of the warm start",
        "Empty means the rewriter's learning rate. If that rate is small (1e-5), use ten times as much here.",
        gt=0,
        le=1,
    )
    warm_start_samples: int = setting(
        4,
        "Own answers per question",
        "Answers sampled for the warm start. Those that pass the gate are used.",
        ge=1,
        le=64,
    )
    beta: float = setting(0.0, "KL coefficient β", "Weight of the KL penalty to the backbone.", ge=0, le=MAX_WEIGHT)
    temperature: float = setting(
        1.0,
        "Temperature",
        "Sampling temperature of rollouts. Below 1, rare styles are almost never sampled.",
        gt=0,
        le=4,
    )
    top_p: float = setting(
        1.0,
        "Top-p",
        "Rollouts are sampled from the likeliest tokens that together have this probability. Below 1, unlikely tokens are "
        "never sampled. ℓ and `kl` are always those of the whole distribution at temperature 1.",
        gt=0,
        le=1,
    )
    on_alarm: Literal["warn", "pause"] = setting(
        "warn",
        "On an alarm",
        "What happens when a monitor of the rewrites warns three steps in a row: `warn` reports it; `pause` also stops the run "
        "with a checkpoint, from which `patchrl resume` continues.",
    )
    microbatch_size: int | None = setting(
        None,
        "Microbatch",
        "Rollouts in one forward and backward pass. Empty means all rollouts of a step; fewer need less memory.",
        "rollouts",
        ge=1,
        le=64 * MAX_BATCH,
    )
    max_new_tokens: int = setting(
        96, "Rewrite length limit", "Longest rewrite sampled.", "tokens", basic=True, ge=4, le=MAX_TOKENS
    )
    quantization: Literal["none", "8-bit", "4-bit"] = setting(
        "none",
        "Quantization",
        "Weights of the frozen backbone where the rewriter is trained and used: in 8 or 4 bits they take a half or a quarter "
        "of bfloat16's memory (QLoRA). Needs bitsandbytes and an NVIDIA GPU. Fine-tuning and evaluation use whole weights.",
    )
    lora_rank: int = setting(16, "LoRA rank", "Rank of the adapter on all linear layers.", ge=1, le=1_024)
    lora_alpha: int = setting(32, "LoRA alpha", "Scale of the adapter.", ge=1, le=4_096)

    @property
    def rollouts_per_step(self) -> int:
        return self.prompts_per_step * self.group_size

    def rollouts_per_process(self, processes: int = 1) -> int:
        """Rollouts of one step that each of `processes` samples and scores, in whole groups.

        Raises ConfigError that names the setting to change when a group would be split.
        """
        if self.prompts_per_step % processes:
            raise ConfigError(
                f"rewriter.prompts_per_step: {self.prompts_per_step} prompts cannot be shared evenly by {processes} "
                f"processes, which would split a group; use a multiple of {processes}."
            )
        rollouts = self.rollouts_per_step // processes
        if self.microbatch_size and rollouts % self.microbatch_size:
            divisors = ", ".join(str(n) for n in range(1, rollouts + 1) if rollouts % n == 0)
            raise ConfigError(
                f"rewriter.microbatch_size: {self.microbatch_size} does not divide the {rollouts} rollouts of a step "
                f"(prompts_per_step × group_size, on each process), which would split a group; use one of {divisors}."
            )
        return rollouts

    @field_validator("instruction", "more_instructions")
    @classmethod
    def _instructions_can_be_followed(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for instruction in (value,) if isinstance(value, str) else value:
            check_instruction(instruction)
        return value

    @model_validator(mode="after")
    def _no_group_is_split(self) -> RewriterSection:
        self.rollouts_per_process()
        return self


class RewriteSection(Section):
    """How the dataset is rewritten."""

    attempts: int = setting(1, "Attempts", "Rewrites tried for an example before the fallback.", ge=1, le=16)
    temperature: float = setting(1.0, "Temperature", "Sampling temperature of rewrites.", gt=0, le=4)
    top_p: float = setting(1.0, "Top-p", "As for rollouts, when the dataset is rewritten.", gt=0, le=1)
    best_of_k: int = setting(8, "Best-of-K", "Prompted rewrites per example in the best-of-k arm.", ge=1, le=64)
    fallback: Literal["expert", "drop"] = setting(
        "expert", "Fallback", "After failed rewrites: `expert` uses the expert solution, `drop` drops the example."
    )


class FinetuneSection(Section):
    """How every arm is fine-tuned."""

    learning_rate: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], BeforeValidator(_as_list)] = setting(
        (1e-3,),
        "Learning rate",
        "Peak, with warm-up and linear decay; every arm uses it. With several (3e-4, 1e-3), each arm uses its best one.",
        basic=True,
        min_length=1,
        max_length=8,
    )
    epochs: int = setting(8, "Epochs", "Passes over the training examples.", basic=True, ge=1, le=1000)
    batch_size: int = setting(16, "Batch size", "Examples per update.", basic=True, ge=1, le=MAX_BATCH)
    max_length: int = setting(512, "Length limit", "Longer examples are truncated.", "tokens", ge=16, le=2**20)
    replay_data: FileName = setting(
        "nano",
        "Replay questions",
        "For arms with replay: `nano` (the lab's general skills), or a JSONL file with a question column. The backbone "
        "answers the questions itself.",
    )
    keep_weights: bool = setting(True, "Keep weights", "Keep every fine-tuned model in the run's folder.")

    @field_validator("learning_rate")
    @classmethod
    def _rates_are_distinct(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if repeated := [rate for rate in dict.fromkeys(rates) if rates.count(rate) > 1]:
            raise ValueError(f"{repeated[0]:g} is named twice; name each rate once")
        return rates

    @property
    def sweeps(self) -> bool:
        """Whether every arm is tuned at several learning rates."""
        return len(self.learning_rate) > 1


class OnPolicySection(Section):
    """Arms that sample while they are fine-tuned."""

    group_size: int = setting(
        4,
        "Answers per question",
        "Answers that grpo, sft-then-rl and dypo sample for each question of a batch. sdft samples one.",
        ge=2,
        le=64,
    )
    rate_factor: float = setting(
        0.1,
        "Learning rate factor",
        "On-policy updates use the fine-tuning learning rate times this factor. The SFT part of sft-then-rl uses the "
        "full rate.",
        gt=0,
        le=1,
    )


class EvaluateSection(Section):
    """What is measured after fine-tuning."""

    target: tuple[Annotated[FileName, Field(min_length=1)], ...] = setting(
        ("held-out",),
        "Target tasks",
        "The tasks that fine-tuning is for: `held-out` (the examples kept out of training), or names as in general tasks.",
        basic=True,
        min_length=1,
    )
    general: tuple[Annotated[FileName, Field(min_length=1)], ...] = setting(
        ("nano",),
        "General tasks",
        "The tasks that measure forgetting: `nano`; `everyday` (questions for real backbones); JSONL files with question and answer; tasks of lm-evaluation-harness "
        "by name (mmlu, hellaswag); its sets general-lite, paper, math. Empty means that forgetting is not measured.",
        basic=True,
    )
    limit: int = setting(
        200,
        "Items per harness task",
        "Spread evenly over the task or group. 0 means all items.",
        "items",
        ge=0,
        le=MAX_ROWS,
    )
    tasks_folder: FileName = setting(
        "", "Own harness tasks", "A folder with your own task files (YAML). They can run code: use files you trust."
    )
    general_size: int = setting(
        600, "General items", "Items over the general tasks `nano` or `everyday`.", "items", ge=10, le=20_000
    )
    max_new_tokens: int = setting(
        96,
        "Answer length limit",
        "Longest answer generated. A harness task that asks for more gets more.",
        "tokens",
        ge=1,
        le=MAX_TOKENS,
    )
    bootstrap: int = setting(
        2000, "Bootstrap resamples", "Resamples for the tests that compare two arms.", ge=100, le=100_000
    )


class StudyConfig(Section):
    """Every setting of a study, frozen and typed. A run restarts from these alone.

    Example:
        >>> config = patchrl.StudyConfig()
        >>> config.backbone.model, config.rewriter.group_size
        ('nano', 8)
    """

    study: StudySection = StudySection()
    backbone: BackboneSection = BackboneSection()
    engine: EngineSection = EngineSection()
    data: DataSection = DataSection()
    gate: GateSection = GateSection()
    reward: RewardSection = RewardSection()
    rewriter: RewriterSection = RewriterSection()
    rewrite: RewriteSection = RewriteSection()
    finetune: FinetuneSection = FinetuneSection()
    onpolicy: OnPolicySection = OnPolicySection()
    evaluate: EvaluateSection = EvaluateSection()


SECTIONS: dict[str, type[Section]] = {name: type(info.default) for name, info in StudyConfig.model_fields.items()}
