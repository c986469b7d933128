"""The frozen reference stays frozen, or training stops."""

import pytest
import rollouts
import tiny
import torch
from trl import GRPOTrainer

from patchrl.backbone import Backbone
from patchrl.errors import BackboneError
from patchrl.stages.train_rewriter import FrozenProbe
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


def test_an_alarm_is_said_once_after_three_steps_in_a_row(tmp_path):
    with rollouts.fixed_rollouts():
        recorder = rollouts.train(tmp_path, "rewriter.steps=5")
    said = [e for e in recorder.events if e["kind"] == "message"]
    # Every fixed rewrite but one in four is free of equations, which all experts write.
    assert [e["level"] for e in said if "reasoning is lost" in e["text"]] == ["warning"]
    assert "Seed 0, step 3: 75% of rewrites dropped every equation" in next(e["text"] for e in said)
