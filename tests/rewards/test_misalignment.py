"""What alignment compares, by hand, and the scale of the backbone's own answers."""

import math
from typing import get_args
from unittest import mock

import numpy as np
import pytest
import torch
from helpers import tiny
from peft import LoraConfig, get_peft_model

from patchrl.config import Alignment, RewardSection, RewriterSection, resolve
from patchrl.config.instructions import rewrite_prompt
from patchrl.errors import ConfigError
from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score
from patchrl.rewards.alignment import alignment
from patchrl.rewards.gain import first_time_nll
from patchrl.rewards.group import group_rewards
from patchrl.rewards.misalignment import misalignment, text_nll
from patchrl.rewards.own_answers import OwnAnswers
from patchrl.types import Example

EXAMPLES = [Example("a", "What is 3 + 1?", "3 + 1 = 4.", "4"), Example("b", "12?", "It is 12.", "12")]
TEXTS = ["So 3 + 1 = 4, as one sees.", "It is 12 apples."]


def score_of(surprisal):
    return Score(float(np.mean(surprisal[:-1])), np.ones(2), np.array(surprisal, float))


def figures(alignment, backbone, prompts, scores=None, **options):
    ids = [backbone.completion_ids(text) for text in TEXTS]
    scores = scores or backbone.score([e.question for e in EXAMPLES], ids)
    return misalignment(alignment, backbone, prompts, ids, scores, **options)


def test_a_long_dull_template_wins_on_the_mean_and_loses_on_the_whole():
    own = score_of([0.35] * 10 + [0.1])
    template = score_of([3.0] + [0.05] * 59 + [0.1])
    assert template.nll < own.nll and text_nll(template) > text_nll(own)


def adapted():
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    backbone.model = get_peft_model(backbone.model, config).eval()
    return backbone


def whole(model, backbone, user, text):
    """log p of a text and its end after a user turn, from one plain forward."""
    prompt, target = backbone.prompt_ids(user), backbone.completion_ids(text)
    with torch.no_grad():
        logp = model(torch.tensor([prompt + target])).logits[0].double().log_softmax(-1)
    ids = [*target, backbone.tokenizer.eos_token_id]
    return sum(logp[len(prompt) - 1 + i, t].item() for i, t in enumerate(ids))


def test_mean_is_the_surprisal_per_token_and_reads_nothing():
    backbone = adapted()
    scores = [score_of([4.0, 0.5, 0.1, 0.4, 1.0]), score_of([1.0, 2.0])]
    with mock.patch.object(backbone, "score", side_effect=AssertionError):
        assert figures("mean", backbone, TEXTS, scores) == pytest.approx([1.25, 1.0])  # the end of the turn left out


def test_kl_is_a_difference_of_whole_log_likelihoods():
    backbone = adapted()
    prompts = [rewrite_prompt("polish", e.question, e.solution) for e in EXAMPLES]
    values = figures("kl", backbone, prompts)
    for value, example, prompt, text in zip(values, EXAMPLES, prompts, TEXTS, strict=True):
        with backbone.model.disable_adapter():
            alone = whole(backbone.model, backbone, example.question, text)
        assert value == pytest.approx(whole(backbone.model, backbone, prompt, text) - alone, abs=1e-3)


def test_what_was_noted_while_sampling_is_not_read_again():
    backbone = adapted()
    values = figures("kl", backbone, TEXTS)
    noted = [text_nll(s) for s in backbone.score(TEXTS, TEXTS, adapted=True)]
    with mock.patch.object(backbone, "score", wraps=backbone.score) as read:
        assert figures("kl", backbone, TEXTS, sampled_nll=noted) == pytest.approx(values)
        assert read.call_count == 1  # under the question alone
        assert figures("kl", backbone, TEXTS, sampled_nll=[math.nan, noted[1]]) == pytest.approx(values)
        assert read.call_args.args[0] == TEXTS[:1]


@pytest.mark.parametrize("alignment", get_args(Alignment))
def test_an_empty_text_and_one_beyond_the_context_have_no_figure(alignment):
    backbone = adapted()
    scores = backbone.score([e.question for e in EXAMPLES], ["", TEXTS[1]])
    ids = [[], backbone.completion_ids(TEXTS[1])]
    values = misalignment(alignment, backbone, TEXTS, ids, scores)
    assert math.isnan(values[0]) and math.isfinite(values[1])
    values = misalignment(alignment, backbone, [TEXTS[0], "Why? " * 2000], ids, scores)
    assert math.isnan(values[1]) is (alignment == "kl")


def test_kl_ranks_the_backbones_own_answers_best_where_the_rewriter_prefers_a_template():
    """Both texts pass. Under the paper's mean the template wins the group, under kl the own answer does."""
    own, template = 2.0, 9.0  # nats of the whole text under q(x)
    mean_nll = [own / 5, template / 30]
    kl = [own - 5.0, template - 1.0]  # the rewriter gives the template e⁻¹, the own answer e⁻⁵
    by_mean = group_rewards([True, True], mean_nll, np.ones((2, 2))).reward
    by_kl = group_rewards([True, True], kl, np.ones((2, 2))).reward
    assert by_mean[1] > by_mean[0] and by_kl[0] > by_kl[1]


def test_the_absolute_scale_is_full_at_own_answers_and_falls_slowly():
    values = alignment(np.array([0.1, 0.5, 0.7, 2.5]), anchor=(0.5, 0.2))
    assert values == pytest.approx([1.0, 1.0, 0.5, 1 / 11])
    assert alignment(np.array([]), anchor=(0.5, 0.2)).size == 0
    assert np.isfinite(alignment(np.array([1.0, 2.0]), anchor=(1.0, 0.0))).all()
    rewards = group_rewards([True, False, True], [0.4, 0.0, 0.7], np.ones((3, 2)), lambda_div=0, anchor=(0.5, 0.2))
    assert rewards.alignment == pytest.approx([1.0, 0.0, 0.5])


def test_own_answers_give_their_own_scale_and_tell_what_is_like_them():
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    rewriter = RewriterSection(group_size=4, max_new_tokens=12)
    own = OwnAnswers.sample(backbone, [e.question for e in EXAMPLES], rewriter, seed=0)
    totals = [s.surprisal.sum() for s in own.scores]
    assert len(own.texts) == 8
    means = [s.nll for s in own.scores]
    assert own.anchor(RewardSection()) is None
    absolute = {name: RewardSection(alignment=name, alignment_scale="own") for name in ("mean", "kl")}
    assert own.anchor(absolute["mean"]) == pytest.approx((np.mean(means), np.std(means)))
    assert own.anchor(absolute["kl"]) == pytest.approx((0.0, np.std(totals)))
    rows = zip(own.scores, own.token_ids, own.question_ids, strict=True)
    first_time = [first_time_nll(score.surprisal, ids, question) for score, ids, question in rows]
    assert own.anchor(RewardSection(kind="gain"))[0] == pytest.approx(np.nanmean(first_time))
    assert sum(own.resembles(s) for s in own.scores) >= 7
    assert not own.resembles(score_of([max(totals), 5.0]))
    plain, mannered = [f"{n} + 1 = 4." for n in range(4)], [f"Sure! Step {n}: it is 4." for n in range(4)]
    assert OwnAnswers(plain, []).distance(plain) == 0.0 < 0.5 < OwnAnswers(plain, []).distance(mannered)


@pytest.mark.parametrize("removed", ["total", "excess", "worst", "ratio"])
def test_a_removed_alignment_is_refused_with_the_two_that_exist(removed):
    with pytest.raises(ConfigError, match=rf"^reward\.alignment: it must be 'kl' or 'mean' \(found '{removed}'\)\.$"):
        resolve({"reward": {"alignment": removed}})
