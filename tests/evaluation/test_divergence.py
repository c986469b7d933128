"""KL of a model to its backbone, on texts that the backbone sampled."""

import pytest
import torch

from patchrl.config import BackboneSection
from patchrl.evaluation.divergence import divergence, sample_texts
from patchrl.models.backbone import Backbone

QUESTIONS = [f"{n} + {n + 5} = ?" for n in range(12, 60)]


def nano():
    return Backbone.load(BackboneSection())


def exact(model, backbone, texts):
    """Σ p (log p − log q) over the whole vocabulary, averaged over the tokens of the texts."""
    total, count = 0.0, 0
    for text in texts:
        prompt = backbone.prompt_ids(text["question"])
        row = torch.tensor([prompt + text["ids"]])
        with torch.no_grad():
            p, q = (m.model(row).logits[0, len(prompt) - 1 : -1].log_softmax(-1) for m in (backbone, model))
        total += float((p.exp() * (p - q)).sum())
        count += len(text["ids"])
    return total / count


def test_the_backbone_itself_is_at_zero_and_a_moved_model_at_its_kl():
    backbone, model = nano(), nano()
    texts = sample_texts(backbone, QUESTIONS, seed=0)
    assert divergence(backbone, texts) == pytest.approx(0, abs=1e-4)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in model.model.parameters():
            weights.add_(0.1 * weights.std() * torch.randn(weights.shape, generator=generator))
    expected = exact(model, backbone, texts)
    assert expected > 0.05  # far above what the sampled texts leave to chance
    assert divergence(model, texts) == pytest.approx(expected, rel=0.35)
