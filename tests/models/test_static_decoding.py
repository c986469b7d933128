"""Decoding from a static cache gives what Transformers' own loop gives. The capture itself runs on a GPU: `tests.gpu`."""

import math

import pytest
import torch
from helpers import tiny

from patchrl.errors import BackboneError
from patchrl.models.backbone import Backbone
from patchrl.models.engines.drawing import Draws
from patchrl.models.engines.interface import SampleRequest
from patchrl.models.engines.static_decoding import StaticDecoder, decodes_statically
from patchrl.models.engines.transformers import TransformersEngine
from patchrl.models.scoring import left_padded

QUESTIONS = ["12?", "What is 3 + 4, and what is 4 + 3?", "a"]


def backbone_of(kind):
    words = tiny.tokenizer()
    return Backbone(tiny.model(kind, len(words)), words)


def decoded(backbone, request, seed=0):
    """Ids and −log p of each row, cut behind the token that ends it."""
    prompts = [backbone.prompt_ids(question) for question in QUESTIONS]
    tokens, mask = left_padded(prompts, backbone.tokenizer.pad_token_id, backbone.device)
    decoder = StaticDecoder(backbone.model, backbone.tokenizer.pad_token_id, backbone.stop_ids)
    draws = Draws(request, seed, backbone.device, len(prompts) * request.samples)
    with torch.no_grad():
        out, nll = decoder.decode(tokens, mask, request, draws)
    return out, nll


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "mistral", "gemma"])
def test_greedy_tokens_and_their_likelihood_are_those_of_transformers_loop(kind):
    backbone = backbone_of(kind)
    request = SampleRequest(2, 0.0, 1.0, 20, True, None)
    sampler = TransformersEngine(backbone.model, backbone.tokenizer, backbone.stop_ids, backbone.reading)
    groups = sampler.sample([backbone.prompt_ids(question) for question in QUESTIONS], request, 0)
    out, nll = decoded(backbone, request)
    for row, (ids, expected) in enumerate(sample for group in groups for sample in group):
        assert out[row, : len(ids)].tolist() == ids
        assert nll[row] == pytest.approx(expected, abs=1e-3, nan_ok=True)


def test_samples_follow_the_models_own_probabilities():
    backbone = backbone_of("llama")
    request = SampleRequest(4000, 1.0, 1.0, 1, False, None)
    out, nll = decoded(backbone, request)
    prompt = torch.tensor([backbone.prompt_ids(QUESTIONS[0])])
    with torch.no_grad():
        probabilities = backbone.model(prompt).logits[0, -1].softmax(-1)
    shares = torch.bincount(out[:4000, 0], minlength=len(probabilities)) / 4000
    assert (shares - probabilities).abs().max() < 0.03
    assert all(map(math.isnan, nll))  # nobody asked


def test_a_seed_repeats_its_samples_and_a_low_top_p_keeps_the_likeliest_token():
    backbone = backbone_of("llama")
    warm = SampleRequest(3, 1.0, 1.0, 12, True, None)
    assert torch.equal(decoded(backbone, warm, 5)[0], decoded(backbone, warm, 5)[0])
    assert not torch.equal(decoded(backbone, warm, 5)[0], decoded(backbone, warm, 6)[0])
    greedy = decoded(backbone, SampleRequest(3, 0.0, 1.0, 12, True, None))[0]
    assert torch.equal(decoded(backbone, SampleRequest(3, 1.0, 1e-6, 12, True, None))[0], greedy)


def test_probabilities_that_are_not_finite_are_one_sentence():
    backbone = backbone_of("llama")
    with torch.no_grad():
        backbone.model.get_output_embeddings().weight[3] = math.nan
    with pytest.raises(BackboneError, match="not finite"):
        decoded(backbone, SampleRequest(1, 1.0, 1.0, 4, True, None))


def test_a_cpu_and_models_with_windows_keep_transformers_loop():
    assert not decodes_statically(backbone_of("llama").model, torch.device("cpu"))
    assert not decodes_statically(backbone_of("gemma2").model, torch.device("cuda"))
    assert decodes_statically(backbone_of("llama").model, torch.device("cuda"))
