"""Train the rewriter: GRPO (TRL) on a LoRA adapter of the frozen backbone, rewarded by the gated reward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import TrainerCallback
from transformers.trainer_utils import set_seed
from trl import GRPOConfig

from patchrl.config import RewriterSection, StudyConfig
from patchrl.config.instructions import rewrite_prompt
from patchrl.errors import BackboneError, ConfigError, StopRequested
from patchrl.models.backbone import Backbone
from patchrl.rewards.group import part_weights
from patchrl.rewards.monitors import warnings
from patchrl.rewards.own_answers import OwnAnswers
from patchrl.rewards.trl import GatedReward, StepStats, emit_group, group_fields
from patchrl.runs.checkpoints import CHECKPOINTS, Checkpoint, resumable_checkpoint
from patchrl.runs.context import StageContext
from patchrl.training.baselines.vcpo import EssScaling, StalenessTrainer
from patchrl.training.checkpoints import KEPT_CHECKPOINTS, CheckpointCallback, agreed, run_trainer
from patchrl.training.ranks import ALONE, Ranks
from patchrl.training.rollouts import roll_out
from patchrl.training.shared_prompts import SharedPromptTrainer
from patchrl.training.warm_start import warm_start
from patchrl.types import Example, Recorder

CHECKPOINT_STEPS = 10
PROBE_COUNT = 8
SPREADS, SPREAD_SIZE = 60, 256  # steps at which the ℓ of passing rewrites is recorded one by one; at most so many
WARNING_STEPS = 3  # one odd batch is not a trend
ALARM_EXAMPLES = 3  # rewrites recorded with an alarm


class FrozenProbe:
    """ℓ of a few fixed texts, to prove that the frozen backbone stays what it was.

    Merging and unmerging an adapter in bf16 moves the base weights; then every ℓ means something else.
    """

    def __init__(self, backbone: Backbone, examples: Sequence[Example]) -> None:
        self.backbone = backbone
        self.questions, self.texts = [e.question for e in examples], [e.solution for e in examples]
        self.tolerance = 2e-2 if backbone.in_bf16 else 1e-3
        self.start = self._measure()

    def _measure(self) -> list[float]:
        return [s.nll for s in self.backbone.score(self.questions, self.texts)]

    def check(self, step: int) -> None:
        """Raises BackboneError when any probe's ℓ moved by more than the tolerance (nats per token)."""
        drift = float(np.abs(np.subtract(self.start, self._measure())).max())
        if not drift <= self.tolerance:  # also catches NaN
            raise BackboneError(
                f"rewriter: the frozen backbone moved by step {step} (ℓ of the probe texts by {drift:.2g} nats, "
                f"tolerated {self.tolerance:g}); rewards would be wrong. Use float32, and never merge the adapter."
            )


class _RewriterCallback(TrainerCallback):
    """Turns TRL's logs into `train` and `group` events and honours a request to stop."""

    def __init__(
        self, reward: GatedReward, recorder: Recorder, probe: FrozenProbe, seed: int, rewriter: RewriterSection
    ) -> None:
        self.reward, self.recorder, self.probe, self.seed, self.rewriter = reward, recorder, probe, seed, rewriter
        self.stopped = False
        self.lasting: dict[str, int] = {}
        self.warned: set[str] = set()  # monitors that have warned, also before a checkpoint that is resumed

    def on_log(self, args, state, control, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not logs or "reward" not in logs:
            return
        stats = self.reward.take_stats(gather_object)
        warned = state.is_world_process_zero and self._record(state, logs, stats)
        if agreed(warned and self.rewriter.on_alarm == "pause"):
            self._pause(control)

    def _record(self, state: Any, logs: dict[str, Any], stats: StepStats) -> bool:
        """Record a step, of all processes; returns whether a monitor warned."""
        passing = stats.nll

        def number(key: str) -> float | None:
            value = logs.get(key)
            return None if value is None or math.isnan(float(value)) else round(float(value), 6)

        def mean(values: Sequence[float]) -> float | None:
            return round(sum(values) / len(values), 5) if values else None

        parts = {
            f"{part}{suffix}": number(f"rewards/{part}/{statistic}")
            for part in ("consistency", "alignment", "diversity")
            for suffix, statistic in (("", "mean"), ("_std", "std"))
        }
        self.recorder.event(
            "train",
            seed=self.seed,
            step=state.global_step,
            samples=math.ceil(state.global_step / self.rewriter.updates_per_rollout) * self.rewriter.rollouts_per_step,
            reward=number("reward"),
            reward_std=number("reward_std"),
            **parts,
            nll=mean(passing),
            text_nll=mean(stats.text_nll),
            max_token_nll=mean(stats.max_token_nll),
            own_style_share=stats.own_style_share,
            own_distance=stats.own_distance,
            unscorable=stats.unscorable,
            failed_groups=stats.failed_groups,
            unscorable_groups=stats.unscorable_groups,
            no_signal=number("frac_reward_zero_std"),
            kl=number("kl"),
            entropy=number("entropy"),
            length=number("completions/mean_length"),
            clipped=number("completions/clipped_ratio"),
            loss=number("loss"),
            step_seconds=number("step_time"),
            reward_seconds=round(stats.seconds, 4),
            monitor_shares={name: round(share, 4) for name, share in stats.monitor_shares.items()},
        )
        emit_group(self.recorder, self.seed, state.global_step, stats)
        every = max(1, state.max_steps // SPREADS)
        if passing and (state.global_step % every == 0 or state.global_step in (1, state.max_steps)):
            spread = [round(nll, 3) for nll in passing[:SPREAD_SIZE]]
            self.recorder.event("spread", seed=self.seed, step=state.global_step, nll=spread)
        self.recorder.progress(state.global_step, state.max_steps)
        return self._warn(state.global_step, stats)

    def _warn(self, step: int, stats: StepStats) -> bool:
        """Record a monitor's warning once, when its share was above the limit for WARNING_STEPS steps in a row; returns
        whether one was recorded."""
        sentences = warnings(stats.monitor_shares)
        self.lasting = {name: self.lasting.get(name, 0) + 1 for name in sentences}
        new = {name for name, steps in self.lasting.items() if steps >= WARNING_STEPS} - self.warned
        for name in sorted(new):
            text = f"Seed {self.seed}, step {step}: {sentences[name]}"
            if self.rewriter.on_alarm == "pause" and name == max(new):
                text += " It stopped the training (rewriter.on_alarm); resume goes on."
            group = group_fields(stats.newest_group, best=ALARM_EXAMPLES) if stats.newest_group else {}
            where = {"seed": self.seed, "step": step}
            self.recorder.event("message", level="warning", monitor=name, text=text, **where, **group)
        self.warned |= new
        return bool(new)

    def _pause(self, control: Any) -> None:
        self.stopped = True
        control.should_save = True
        control.should_training_stop = True

    def progress(self) -> dict[str, Any]:
        """What a checkpoint says beside the trainer's files: tokens sampled, and what the monitors have seen."""
        return {"tokens": self.reward.total_tokens, "warned": sorted(self.warned), "lasting": self.lasting}

    def on_step_end(self, args, state, control, **_: Any) -> None:
        if state.global_step % CHECKPOINT_STEPS == 0 or state.global_step == state.max_steps:
            self.probe.check(state.global_step)
        if agreed(self.stopped or self.recorder.stop_requested()) and state.global_step < state.max_steps:
            self._pause(control)


def trainer_config(config: StudyConfig, seed: int, folder: Path, backbone: Backbone, processes: int = 1) -> GRPOConfig:
    """TRL's settings for one generation batch of whole groups per update, in one or more microbatches."""
    rewriter = config.rewriter
    rollouts = rewriter.rollouts_per_process(processes)
    batch = rewriter.microbatch_size or rollouts
    on_cpu = backbone.device.type == "cpu"
    return GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=rollouts // batch,
        num_generations=rewriter.group_size,
        num_iterations=rewriter.updates_per_rollout,
        max_completion_length=rewriter.max_new_tokens,
        max_steps=rewriter.steps,
        learning_rate=rewriter.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=rewriter.warmup_steps,
        beta=rewriter.beta,
        temperature=rewriter.temperature,
        top_p=rewriter.top_p,
        top_k=0,
        loss_type="dapo",
        reward_weights=part_weights(config.reward),
        logging_steps=1,
        save_strategy="steps",
        save_total_limit=KEPT_CHECKPOINTS,
        save_steps=CHECKPOINT_STEPS,
        report_to="none",
        disable_tqdm=True,
        bf16=backbone.in_bf16,
        use_cpu=on_cpu,
        gradient_checkpointing=backbone.gradient_checkpointing,
        dataloader_pin_memory=not on_cpu,
        seed=seed,
    )


@dataclass(frozen=True)
class _Start:
    """What GRPO starts from: own answers, the adapter's weights, a checkpoint, tokens sampled before it."""

    own: OwnAnswers
    adapter: dict[str, torch.Tensor]
    checkpoint: Checkpoint | None
    tokens: int


def train_rewriter(
    context: StageContext, examples: Sequence[Example], seed: int, home: Path, ranks: Ranks = ALONE
) -> int:
    """Train the rewriter and save its adapter to `home`; returns the completion tokens sampled.

    The policy, the reference and the scorer are one model, the gate's backbone: the adapter on, or off. GRPO is divided among
    `ranks`, each of which calls this; the first alone prepares it and writes files.
    Resumes from the last checkpoint in the folder. Raises StopRequested after saving one, ConfigError when
    there are fewer prompts than one step needs or a setting would split a group.
    """
    backbone, rewriter = context.gate.backbone, context.config.rewriter
    rewriter.rollouts_per_process(ranks.count)
    if len(examples) < rewriter.prompts_per_step:
        raise ConfigError(
            f"rewriter.prompts_per_step: {rewriter.prompts_per_step} prompts are asked for but only "
            f"the data has {len(examples)} examples; lower it."
        )
    set_seed(seed)
    instructions = (rewriter.instruction, *rewriter.more_instructions)
    prompts = [
        rewrite_prompt(instructions[i % len(instructions)], e.question, e.solution) for i, e in enumerate(examples)
    ]
    lora = LoraConfig(
        r=rewriter.lora_rank,
        lora_alpha=rewriter.lora_alpha,
        lora_dropout=0.0,  # rollouts are sampled in train mode
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    start = None
    if ranks.is_first:
        start = _prepare(context, examples, prompts, seed, home, lora)
        ranks.send("start")
    else:
        backbone.model = get_peft_model(backbone.model, lora)
        if ranks.receive() != "start":
            raise StopRequested("The first process stopped before it trained.")
    if ranks.count > 1:
        backbone.model._is_accelerate_prepared = False  # the warm start's trainer prepared it for one process
    with ranks.together(backbone.device):
        start = ranks.share(start)
        assert start is not None
        if not ranks.is_first:
            set_peft_model_state_dict(backbone.model, start.adapter)
        return _grpo(context, examples, prompts, seed, home, start, ranks)


def _prepare(
    context: StageContext, examples: Sequence[Example], prompts: Sequence[str], seed: int, home: Path, lora: LoraConfig
) -> _Start:
    """Give the backbone its adapter, warm where that is asked for, and find out what GRPO starts from."""
    rewriter, backbone, recorder = context.config.rewriter, context.gate.backbone, context.recorder
    questions = [e.question for e in examples[: rewriter.prompts_per_step]]
    recorder.event("phase", name="own answers for the alarms", prepares=True)
    with context.kept():
        own = OwnAnswers.sample(backbone, questions, rewriter, seed)
    backbone.model = get_peft_model(backbone.model, lora)
    last = resumable_checkpoint(home / CHECKPOINTS, recorder)
    sampled = last.progress["tokens"] if last else 0
    if rewriter.warm_start_steps and not last:
        sampled = warm_start(context, examples, prompts, seed, home)
    adapter = {name: weight.cpu() for name, weight in get_peft_model_state_dict(backbone.model).items()}
    return _Start(own, adapter, last, sampled)


def _grpo(
    context: StageContext,
    examples: Sequence[Example],
    prompts: Sequence[str],
    seed: int,
    home: Path,
    start: _Start,
    ranks: Ranks,
) -> int:
    config, gate, recorder = context.config, context.gate, context.recorder
    rewriter, backbone, last = config.rewriter, gate.backbone, start.checkpoint
    rows = Dataset.from_list(
        [{"prompt": user, **asdict(example)} for user, example in zip(prompts, examples, strict=True)]
    )
    reward = GatedReward(gate, config.reward, rewriter.group_size, start.own)
    reward.total_tokens = start.tokens
    probe = FrozenProbe(backbone, examples[:PROBE_COUNT])
    callback = _RewriterCallback(reward, recorder, probe, seed, rewriter)
    if last:
        callback.warned, callback.lasting = set(last.progress["warned"]), dict(last.progress["lasting"])
    stale = EssScaling(recorder, seed, rewriter.vcpo) if rewriter.updates_per_rollout > 1 else None
    saving = CheckpointCallback(
        recorder, f"rewriter, seed {seed}", callback.progress, every=rewriter.updates_per_rollout
    )
    trainer = (StalenessTrainer if stale else SharedPromptTrainer)(
        backbone=backbone,
        model=backbone.model,
        reward_funcs=reward.functions,
        args=trainer_config(config, seed, home / CHECKPOINTS, backbone, ranks.count),
        train_dataset=rows,
        processing_class=backbone.tokenizer,
        rollout_func=roll_out(backbone, with_nll=config.reward.alignment == "kl"),
        callbacks=[callback, *([stale] if stale else []), saving],
    )
    if stale:
        stale.trainer = trainer
    recorder.event("phase", name="steps")
    run_trainer(trainer, last)
    if callback.stopped:
        raise StopRequested(f"Stopped at step {trainer.state.global_step} of {rewriter.steps}; resume continues there.")
    weights = trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
    if ranks.is_first:
        backbone.model.save_pretrained(home, state_dict=weights)
    return reward.total_tokens
