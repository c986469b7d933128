import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrl.evaluation import mismatch
from patchrl.evaluation.mismatch import AnswerSurprisal
from patchrl.types import TokenSurprisal


def surprise(totals, tokens):
    return AnswerSurprisal.of([t / n if n else math.nan for t, n in zip(totals, tokens, strict=True)], tokens)


def test_divergences_are_differences_of_totals_and_of_ratios_of_totals():
    expert, own = surprise([20, 40], [10, 10]), surprise([2, 4], [4, 8])
    prompted, as_asked = surprise([30, 10], [10, 10]), surprise([10, 6], [10, 10])
    measured = mismatch.divergences(expert, own, prompted, as_asked)
    value = {name: (f["per_answer"]["value"], f["per_token"]["value"]) for name, f in measured.items()}
    assert value == {"expert": (30, 3), "own": (3, 0.5), "excess": (27, 2.5), "prompted": (12, 1.2)}


def test_kl_of_the_prompted_backbone_converges_to_the_true_kl_of_known_distributions():
    rng = np.random.default_rng(1)
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])
    drawn_NT = rng.choice(3, size=(4000, 5), p=p)
    under = {name: surprise(-np.log(d)[drawn_NT].sum(1), [5] * 4000) for name, d in (("q", q), ("p", p))}
    measured = mismatch.divergences(under["q"], under["p"], under["q"], under["p"])["prompted"]
    true = float((p * np.log(p / q)).sum())
    low, high = measured["per_token"]["ci95"]
    assert low < true < high and high - low < 0.1
    assert measured["per_answer"]["value"] == pytest.approx(5 * measured["per_token"]["value"], abs=1e-3)


def test_empty_texts_leave_every_estimate():
    expert, own = surprise([20, 0, 40], [10, 0, 10]), surprise([2, 4, 0], [4, 8, 0])
    measured = mismatch.divergences(expert, own, own, None)
    assert measured["expert"]["per_answer"]["value"] == 30 and measured["own"]["per_token"]["value"] == 0.5
    assert "prompted" not in measured
    nothing = surprise([0], [0])
    assert mismatch.divergences(nothing, nothing, nothing, None) == {}
    assert mismatch.rounded({"own": expert}) == {"own": [2.0, 4.0]}


def test_the_gap_is_standardised_and_its_interval_pairs_questions():
    rng = np.random.default_rng(0)
    own_N = rng.normal(1, 0.5, 400)
    assert mismatch.standardised_gap(own_N + 2, own_N) == pytest.approx(2 / own_N.std())
    low, high = mismatch.gap_interval(own_N + 2, own_N)
    assert low < 2 / own_N.std() < high and high - low < 1
    assert mismatch.standardised_gap(np.ones(3), np.ones(3)) is None
    assert mismatch.gap_interval(np.ones(3), np.ones(3)) is None


def test_tokens_are_ranked_by_the_part_of_the_gap_they_make():
    rows = [
        [TokenSurprisal("a", 3.0), TokenSurprisal("b", 0.1)],
        [TokenSurprisal("a", 5.0), TokenSurprisal("rare", 6.0), TokenSurprisal("b", 0.1)],
    ]
    first, second = mismatch.surprising_tokens(rows, usual=1.0)
    assert (first.text, first.count, first.mean, first.share) == ("a", 2, 4.0, round(6 / 11, 4))
    assert (first.row, first.position) == (1, 0)
    assert second.text == "rare" and (second.row, second.position) == (1, 1)


def test_the_most_surprising_rows_come_first_without_the_unscored():
    assert mismatch.most_surprising(np.array([1.0, math.nan, 3.0, 2.0]), 2) == [2, 3]


def test_own_style_counts_passing_rewrites_within_the_range_of_own_answers():
    own = np.linspace(1, 2, 401)
    passed = [True, True, True, False, None]
    measured = mismatch.own_style(passed, np.array([1.5, 0.2, 2.5, 1.5, 1.5]), own)
    assert (measured["scorable"], measured["passed"], measured["own"]) == (4, 3, 1)
    assert measured["range"] == [1.025, 1.975] and measured["share"] == pytest.approx(1 / 3)
    assert mismatch.own_style([None], np.array([1.5]), own)["share"] is None


@given(st.integers(0, 50), st.integers(1, 50))
def test_an_interval_of_a_share_holds_it_and_stays_a_share(hits, more):
    low, high = mismatch.wilson(hits, hits + more)
    assert 0 <= low <= hits / (hits + more) + 1e-12 and hits / (hits + more) <= high <= 1


def test_wilson_agrees_with_the_published_example():
    low, high = mismatch.wilson(81, 263)  # Newcombe 1998, table I
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
