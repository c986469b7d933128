"""The frozen reference stays frozen, or training stops; kl reads nothing twice; alarms are said once."""

import math
from unittest import mock

import pytest
import torch
from helpers import rollouts, tiny
from helpers.contexts import context_of
from trl import GRPOTrainer

from patchrl.config import apply_overrides, resolve
from patchrl.errors import BackboneError
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.nano import world
from patchrl.rewards.measures import surprise
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


def test_merging_the_adapter_in_bfloat16_moves_the_backbone_and_stops_training(tmp_path):
    class Merging(GRPOTrainer):
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


@pytest.mark.parametrize("more", [[], ["rewriter.temperature=0.7", "rewriter.updates_per_rollout=2"]])
def test_kl_knows_the_rewriters_likelihoods_from_the_rollouts(tmp_path, more):
    """Of real rollouts, after updates: what was noted while sampling is what reading them again would find."""
    seen = []

    def told(name, backbone, prompts, completions, scores, bf16, sampled):
        found = surprise(name, backbone, prompts, completions, scores, bf16, sampled)
        again = surprise(name, backbone, prompts, completions, scores, bf16)
        seen.append((found, again, sampled))
        return found

    sizes = ["rewriter.steps=3", "rewriter.prompts_per_step=2", "rewriter.group_size=4", "rewriter.warm_start_steps=2"]
    config = resolve(apply_overrides({}, [*sizes, *more]))
    with Gate(config, Backbone.load(config.backbone)) as gate, mock.patch("patchrl.rewards.trl.surprise", told):
        context = context_of(config, gate, tmp_path)
        train_rewriter(context, world.downstream_examples("foreign", 16), 0, tmp_path)
    assert len(seen) == (3 if not more else 2)
    for found, again, sampled in seen:
        assert found == pytest.approx(again, abs=2e-3) and not all(map(math.isnan, sampled))


def test_an_alarm_is_said_once_after_three_steps_in_a_row(tmp_path):
    with rollouts.fixed_rollouts():
        recorder = rollouts.train(tmp_path, "rewriter.steps=5")
    # Every fixed rewrite but one in four is free of equations, which all experts write.
    said = [e for e in recorder.events if e["kind"] == "message" and "reasoning is lost" in e["text"]]
    assert [(e["level"], e["text"][:50]) for e in said] == [
        ("warning", "Seed 0, step 3: 75% of rewrites dropped every equa")
    ]
