"""What is sampled and scored piece by piece is, bit by bit, what is sampled and scored at once; kept pieces come back the same."""

import math

import numpy as np
import pytest
from helpers import tiny
from helpers.contexts import SilentRecorder
from peft import LoraConfig, get_peft_model

from patchrl.models.backbone import Backbone
from patchrl.models.engines import transformers as engine
from patchrl.runs.journal import Journal

QUESTIONS = [f"What is {n} + {'1' * (1 + n % 3)}?" for n in range(23)]


@pytest.fixture
def backbone(monkeypatch):
    monkeypatch.setattr(engine, "ROWS_PER_BATCH", 8)
    words = tiny.tokenizer()
    return Backbone(tiny.model("qwen2", len(words)), words)


def scores_equal(first, second):
    for a, b in zip(first, second, strict=True):
        assert a.nll == b.nll or (math.isnan(a.nll) and math.isnan(b.nll))
        assert np.array_equal(a.embedding, b.embedding) and a.embedding.dtype == b.embedding.dtype
        assert np.array_equal(a.surprisal, b.surprisal) and a.tokens == b.tokens
    return True


def work(backbone):
    """Samples and scores of every kind."""
    sampled = backbone.sample_with_nll(
        [backbone.prompt_ids(question) for question in QUESTIONS], samples=2, temperature=1.0, max_new_tokens=6, seed=7
    )
    texts = [("", "It is 4.", "So 12 apples.")[n % 3] for n in range(len(QUESTIONS))]
    whole = backbone.score(QUESTIONS, texts, top=2)
    shared = backbone.score(QUESTIONS[:12] * 3, [f"{n} is it." for n in range(36)])
    return sampled, whole, shared, backbone.next_token_probabilities(QUESTIONS, [[5], [6, 7]])


def same(first, second):
    alike = repr(first[0]) == repr(second[0])  # NaN equals NaN so
    return alike and all(map(scores_equal, first[1:3], second[1:3])) and np.array_equal(first[3], second[3])


def test_pieces_make_the_whole_and_kept_pieces_make_it_again(tmp_path, backbone):
    path, at_once = tmp_path / "journal.jsonl", work(backbone)
    with backbone.kept(Journal(path, SilentRecorder()).keep):
        assert same(at_once, work(backbone))
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) > 10
    for kept in (len(lines), len(lines) // 2):  # all of it, and as a process left it that died halfway
        path.write_bytes(b"".join(lines[:kept]))
        with backbone.kept(Journal(path, SilentRecorder()).keep):
            assert same(at_once, work(backbone))
        assert len(path.read_bytes().splitlines()) == len(lines)


def test_pieces_of_other_weights_or_with_the_adapter_off_are_not_taken(tmp_path, backbone):
    journal = Journal(tmp_path / "journal.jsonl", SilentRecorder())
    greedy = {"max_new_tokens": 6}
    with backbone.kept(journal.keep):
        before = backbone.generate(QUESTIONS, **greedy)
    settings = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    backbone.model = get_peft_model(backbone.model, settings)
    with backbone.kept(journal.keep):
        adapted = backbone.generate(QUESTIONS, **greedy)
        with backbone.frozen():
            assert backbone.generate(QUESTIONS, **greedy) == before
    assert adapted != before and adapted == backbone.generate(QUESTIONS, **greedy)


def test_a_large_model_on_a_cpu_is_sampled_in_smaller_pieces(backbone, monkeypatch):
    parameters = sum(weights.numel() for weights in backbone.model.parameters())
    monkeypatch.setattr(engine, "PARAMETER_TOKENS_KEPT", parameters * 6 * 4)  # of 6 tokens each: four rows
    sizes = []

    def keep(source, make):
        sizes.append(len(source[2][1]))
        return make()

    with backbone.kept(keep):
        backbone.generate(QUESTIONS, samples=2, temperature=1.0, max_new_tokens=6)
    assert sizes == [2] * 11 + [1]
