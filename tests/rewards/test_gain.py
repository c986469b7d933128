"""The gain over the fallback, against values computed by hand."""

import math

import numpy as np
import pytest

from patchrl import group_rewards
from patchrl.rewards.gain import MIN_GAP, PASS_SHARE, closed_gap, first_time_nll

GAP = (1.7, 0.7)
APART = [[1.0, 0.0], [0.0, 1.0]]


def test_the_expert_earns_nothing_the_own_style_everything_and_more_is_not_better():
    assert closed_gap(np.array([1.7, 2.5, 1.2, 0.7, 0.1]), GAP).tolist() == [0, 0, 0.5, 1, 1]


def test_an_expert_that_is_near_already_leaves_little_to_gain():
    assert closed_gap(np.array([0.7]), (0.8, 0.7)) == pytest.approx(0.1 / MIN_GAP)
    assert closed_gap(np.array([0.5]), (0.5, 0.7)) == 0.0


def test_the_reward_is_that_of_the_formula():
    """r = g·(β + (1 − β)·u + λ·u·d), d of two opposite members by the paper's formula: D = 0.5, without either 0."""
    rewards = group_rewards([True, True, False, None], [1.2, 0.7, 0.0, 0.0], [*APART, *APART], lambda_div=0.4, gap=GAP)
    assert rewards.reward == pytest.approx([0.1 + 0.9 * 0.5 + 0.4 * 0.5 * 0.5, 0.1 + 0.9 + 0.4 * 0.5, 0.0, None])
    assert rewards.alignment == pytest.approx([0.5, 1.0, 0.0, None])


def test_a_group_of_copies_of_the_expert_earns_the_share_of_passing_alone():
    rewards = group_rewards([True] * 4, [1.7] * 4, [[1.0, 0.0]] * 4, gap=GAP)
    assert rewards.reward == [PASS_SHARE] * 4
    published = group_rewards([True] * 4, [1.7] * 4, [[1.0, 0.0]] * 4)
    assert min(published.reward) > 1  # what the published reward pays for the same


def test_being_different_does_not_pay_far_from_the_backbone():
    assert group_rewards([True, True], [1.7, 0.7], APART, gap=GAP).diversity == [0.0, 0.5]


def test_what_a_text_repeats_does_not_lower_its_nll():
    ids = [1, 2, 3, 4, 5, 6]
    surprisal = np.array([2.0, 1.0, 1.0, 1.0, 2.0, 2.0])
    once = first_time_nll(surprisal, ids)
    assert once == pytest.approx(1.5)
    # The second time costs next to nothing; its first three tokens do not end a repeated sequence of four yet.
    twice = first_time_nll(np.concatenate([surprisal, [1.5, 1.5, 1.5, 0.01, 0.01, 0.01]]), ids * 2)
    assert twice == pytest.approx(once)
    assert math.isnan(first_time_nll(np.array([0.3]), []))


def test_the_questions_own_sentences_do_not_lower_it_either():
    question, equation = [1, 2, 3, 4, 5, 6], [7, 8, 9]
    surprisal = np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 2.0, 2.0, 2.0])
    assert first_time_nll(surprisal, question + equation) == pytest.approx(surprisal.mean())
    # Its first three tokens do not end a sequence of four of the question's yet.
    expected = np.mean([0.5, 0.1, 0.1, 2.0, 2.0, 2.0])
    assert first_time_nll(surprisal, question + equation, question) == pytest.approx(expected)
    assert closed_gap(np.array([math.nan]), (1.5, 0.5)).tolist() == [0.0]


@pytest.mark.parametrize("gap", [(1.0,), (math.nan, 1.0), "ab", (True, 1.0)])
def test_a_gap_that_is_none_is_refused(gap):
    with pytest.raises(ValueError, match="gap must be two finite numbers"):
        group_rewards([True], [1.0], [[1.0]], gap=gap)
