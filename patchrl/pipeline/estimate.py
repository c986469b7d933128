"""How long a study takes, step by step, from times measured with the nano lab and with SmolLM2-135M on two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass

from patchrl.config import SMOLLM2, StudyConfig
from patchrl.config.arms import REWRITERS, SOURCES, Arm, parse
from patchrl.config.eval_tasks import harness_names
from patchrl.pipeline.plan import REPLAY, Step, plan


@dataclass(frozen=True)
class Pace:
    """Seconds of a backbone on two CPU cores: per sampled rewrite with its rewards and its share of the update (rollout), per
    rewrite sampled and judged, per example trained on once, per item answered, per question of the scan, and to load."""

    rollout: float
    rewrite: float
    example: float
    item: float
    question: float
    load: float


# Of nano, measured with examples/nano.toml on two quiet cores (tests/benchmarks/RESULTS.md). Of SmolLM2, computed from its measured speed: 480 tokens/s are read, a third as many
# trained on, and 140 tokens/s are sampled at 64 rows; prompts of 60 to 150 tokens, answers of 60.
PACES = {
    "nano": Pace(rollout=0.038, rewrite=0.032, example=0.016, item=0.005, question=0.13, load=1.0),
    SMOLLM2: Pace(rollout=2.1, rewrite=0.75, example=0.6, item=0.4, question=1.5, load=4.0),
}
SCAN_QUESTIONS = 128  # at most
REPORT_SECONDS = 3.0


def sized(config: StudyConfig, train: int, held_out: int) -> StudyConfig:
    """The config with the sizes of the actual data, so that estimates are of the work that will be done."""
    return config.model_copy(
        update={"data": config.data.model_copy(update={"train_size": train, "eval_size": held_out})}
    )


def step_seconds(config: StudyConfig, step: Step) -> float:
    """Expected seconds of one step on two CPU cores, within a factor of two; of a backbone without a pace, those of nano, which
    are right in proportion."""
    pace = PACES.get(config.backbone.model, PACES["nano"])
    size, k = config.data.train_size, config.rewrite.best_of_k
    stage, name = step.stage, str(step.subject)
    if stage == "scan":
        return pace.load + min(size, SCAN_QUESTIONS) * pace.question
    if stage == "report":
        return REPORT_SECONDS
    if stage == "train":
        rewriter = config.rewriter.model_copy(update=REWRITERS[name].get("rewriter", {}))
        warm = 0.0
        if rewriter.warm_start_steps:
            warm = size * rewriter.warm_start_samples * pace.rewrite
            warm += rewriter.warm_start_steps * config.finetune.batch_size * pace.example
        return pace.load + warm + rewriter.steps * rewriter.rollouts_per_step * pace.rollout
    if stage == "evaluate":
        section = config.evaluate
        harness = len(harness_names((*section.target, *section.general))) * section.limit
        return pace.load + (config.data.eval_size + section.general_size + harness) * pace.item
    if stage == "rewrite":
        return pace.load + size * _samples(config, name) * pace.rewrite
    arm, epochs = parse(name), config.finetune.epochs
    sampled = size * k * (epochs - 1) * pace.rewrite if SOURCES[arm.source].resampled else 0.0
    practised = size * epochs * answers_per_question(config, arm) * pace.rollout
    return pace.load + size * epochs * pace.example + sampled + practised


def answers_per_question(config: StudyConfig, arm: Arm) -> float:
    """How many answers to each question of an epoch an arm samples while it is tuned."""
    if not arm.on_policy or arm.loss == "sdft":
        return float(arm.on_policy)
    share = 1 - (arm.loss_number or 0.0) if arm.loss == "sft-then-rl" else 1.0
    return share * config.onpolicy.group_size


def _samples(config: StudyConfig, source: str) -> float:
    """Rewrites sampled for each training example."""
    if source == REPLAY:
        return max(parse(name).replay or 0.0 for name in config.study.arms)
    if source == "expert" or SOURCES[source].after:
        return 0.0
    return 1.0 if SOURCES[source].once else config.rewrite.best_of_k


def study_minutes(config: StudyConfig) -> float:
    """Wall time of a whole study on two CPU cores, for a backbone with a pace."""
    return sum(step_seconds(config, step) for step in plan(config)) / 60
