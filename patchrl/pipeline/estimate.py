"""How long a study takes, step by step, from times measured with the nano lab; other backbones scale it."""

from __future__ import annotations

from patchrl.config import StudyConfig
from patchrl.config.arms import REWRITERS, SOURCES, Arm, parse
from patchrl.config.eval_tasks import harness_names
from patchrl.pipeline.plan import REPLAY, Step, plan

# Measured with examples/nano.toml on two CPU cores. A rollout is a sampled rewrite with its rewards and its share of
# the update; a rewrite is sampled and judged; an example is trained on once; an item is answered.
SECONDS_PER_ROLLOUT, SECONDS_PER_REWRITE, SECONDS_PER_EXAMPLE, SECONDS_PER_ITEM = 0.046, 0.02, 0.009, 0.0036
SCAN_SECONDS, REPORT_SECONDS = 7.0, 3.0
LOAD_SECONDS = 1.0  # what every step takes beside its work


def sized(config: StudyConfig, train: int, held_out: int) -> StudyConfig:
    """The config with the sizes of the actual data, so that estimates are of the work that will be done."""
    return config.model_copy(
        update={"data": config.data.model_copy(update={"train_size": train, "eval_size": held_out})}
    )


def step_seconds(config: StudyConfig, step: Step) -> float:
    """Expected seconds of one step of the nano lab on two CPU cores; within a factor of two."""
    size, k = config.data.train_size, config.rewrite.best_of_k
    stage, name = step.stage, str(step.subject)
    if stage == "scan":
        return SCAN_SECONDS
    if stage == "report":
        return REPORT_SECONDS
    if stage == "train":
        rewriter = config.rewriter.model_copy(update=REWRITERS[name].get("rewriter", {}))
        warm = 0.0
        if rewriter.warm_start_steps:
            warm = size * rewriter.warm_start_samples * SECONDS_PER_REWRITE
            warm += rewriter.warm_start_steps * config.finetune.batch_size * SECONDS_PER_EXAMPLE
        return LOAD_SECONDS + warm + rewriter.steps * rewriter.rollouts_per_step * SECONDS_PER_ROLLOUT
    if stage == "evaluate":
        section = config.evaluate
        harness = len(harness_names((*section.target, *section.general))) * section.limit
        return LOAD_SECONDS + (config.data.eval_size + section.general_size + harness) * SECONDS_PER_ITEM
    if stage == "rewrite":
        return LOAD_SECONDS + size * _samples(config, name) * SECONDS_PER_REWRITE
    arm, epochs = parse(name), config.finetune.epochs
    sampled = size * k * (epochs - 1) * SECONDS_PER_REWRITE if SOURCES[arm.source].resampled else 0.0
    practised = size * epochs * answers_per_question(config, arm) * SECONDS_PER_ROLLOUT
    return LOAD_SECONDS + size * epochs * SECONDS_PER_EXAMPLE + sampled + practised


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
    """Wall time of a whole study of the nano lab on two CPU cores."""
    return sum(step_seconds(config, step) for step in plan(config)) / 60
