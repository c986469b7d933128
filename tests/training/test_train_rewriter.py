"""The frozen reference stays frozen, or training stops; kl reads nothing twice; warnings are said once."""

import math
from unittest import mock

import pytest
import torch
from helpers import rollouts, tiny
from helpers.contexts import context_of

from patchrl.config import apply_overrides, resolve
from patchrl.errors import BackboneError, StopRequested
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.nano import world
from patchrl.rewards.misalignment import misalignment
from patchrl.training.shared_prompts import SharedPromptTrainer
from patchrl.training.train_rewriter import FrozenProbe, train_rewriter
from patchrl.types import Example

EXAMPLES = [Example(str(n), f"What is {n} + 1?", f"It is {n + 1}.", str(n + 1)) for n in range(4)]


def test_probe_accepts_an_untouched_backbone_and_refuses_a_moved_one():
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    probe = FrozenProbe(backbone, EXAMPLES)
    probe.check(1)
    with torch.no_grad():
        for weight in backbone.model.parameters():
            weight.mul_(1.02)
    with pytest.raises(BackboneError, match="frozen backbone moved by step 2"):
        probe.check(2)


def test_a_probe_that_became_no_number_is_drift():
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    probe = FrozenProbe(backbone, EXAMPLES)
    probe.start[-1] = float("nan")
    with pytest.raises(BackboneError, match="frozen backbone moved"):
        probe.check(1)


@pytest.mark.slow
def test_merging_the_adapter_in_bfloat16_moves_the_backbone_and_stops_training(tmp_path):
    class Merging(SharedPromptTrainer):
        def training_step(self, *args, **options):
            loss = super().training_step(*args, **options)
            self.model.merge_adapter()
            self.model.unmerge_adapter()
            return loss

    rate = ("rewriter.learning_rate=1.0", "rewriter.warmup_steps=0")  # a large adapter: its rounding shows
    with rollouts.fixed_rollouts(trainer=Merging), pytest.raises(BackboneError, match="never merge the adapter"):
        rollouts.train(tmp_path / "merging", *rate, dtype=torch.bfloat16)
    with rollouts.fixed_rollouts():
        rollouts.train(tmp_path / "plain", *rate, dtype=torch.bfloat16)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [[], ["rewriter.temperature=0.7", "rewriter.top_p=0.8", "rewriter.updates_per_rollout=2"]]
)
def test_kl_knows_the_rewriters_likelihoods_from_the_rollouts(tmp_path, more):
    """Of real rollouts, after updates: what was noted while sampling is what reading them again would find."""
    rollouts_seen = []

    def read_twice(*group, sampled_nll, bf16):
        noted = misalignment(*group, sampled_nll=sampled_nll, bf16=bf16)
        rollouts_seen.append((noted, misalignment(*group, bf16=bf16), sampled_nll))
        return noted

    sizes = ["rewriter.steps=3", "rewriter.prompts_per_step=2", "rewriter.group_size=2", "rewriter.warm_start_steps=1"]
    config = resolve(apply_overrides({}, [*sizes, *more]))
    watched = mock.patch("patchrl.rewards.group_score.misalignment", read_twice)
    with Gate(config, Backbone.load(config.backbone)) as gate, watched:
        context = context_of(config, gate, tmp_path)
        train_rewriter(context, world.downstream_examples("foreign", 16), 0, tmp_path)
    assert len(rollouts_seen) == (3 if not more else 2)
    for noted, read_again, sampled_nll in rollouts_seen:
        assert noted == pytest.approx(read_again, abs=2e-3) and not all(map(math.isnan, sampled_nll))


@pytest.mark.slow
def test_a_warning_is_said_once_after_three_steps_in_a_row(tmp_path):
    with rollouts.fixed_rollouts():
        recorder = rollouts.train(tmp_path, "rewriter.steps=5")
    # Every fixed rewrite but one in four is free of equations, which all experts write.
    warnings = [e for e in recorder.events if e["kind"] == "message" and "reasoning is lost" in e["text"]]
    assert [(e["level"], e["text"][:50]) for e in warnings] == [
        ("warning", "Seed 0, step 3: 75% of rewrites dropped every equa")
    ]
    alarm = warnings[0]
    assert (alarm["seed"], alarm["step"]) == (0, 3) and alarm["question"]
    rewards = [candidate["reward"] for candidate in alarm["candidates"]]
    assert (
        rewards == sorted(rewards, reverse=True)
        and 0 < len({c["text"] for c in alarm["candidates"]}) == len(rewards) < 4
    )


@pytest.mark.slow
def test_an_alarm_pauses_with_a_checkpoint_and_resuming_goes_on_past_it(tmp_path):
    settings = ("rewriter.steps=7", "rewriter.on_alarm=pause")
    with rollouts.fixed_rollouts():
        with pytest.raises(StopRequested, match="Stopped at step 3 of 7"):
            rollouts.train(tmp_path, *settings)
        assert (tmp_path / "checkpoints" / "checkpoint-3").is_dir()
        resumed = rollouts.train(tmp_path, *settings)
    steps = [e["step"] for e in resumed.events if e["kind"] == "train"]
    assert steps == [4, 5, 6, 7] and not [e for e in resumed.events if "reasoning is lost" in e.get("text", "")]
