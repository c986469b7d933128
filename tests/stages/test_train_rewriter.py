"""The frozen reference stays frozen, or training stops."""

import pytest
import tiny
import torch

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
