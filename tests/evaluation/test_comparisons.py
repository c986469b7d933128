"""Pairs of arms: Holm and the detectable difference by hand, verdicts, and coverage of a known difference."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from patchrl.evaluation.comparisons import as_dicts, compare, detectable_difference, holm
from patchrl.evaluation.statistics import resample
from patchrl.reporting import sentences, tables

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def answers(rng, items, target, general):
    return {
        "target/t": (rng.random(items) < target).astype(float),
        "general/a": (rng.random(items) < general).astype(float),
    }


def compared(base, arms, resamples=500):
    return {(c.a, c.b, c.on): c for c in compare(arms, resample(base, arms, resamples))}


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.2 times 4, 3, 2, 1; the third is lifted to the second's 0.06.
    assert holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx([0.06, 0.04, 0.2, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(p_values)
def test_holm_is_between_the_raw_value_and_bonferroni(p):
    for raw, adjusted in zip(p, holm(p), strict=True):
        assert raw <= adjusted <= min(1.0, len(p) * raw) + 1e-12


@given(p_values)
def test_holm_keeps_the_order_of_the_values(p):
    adjusted = holm(p)
    order = sorted(range(len(p)), key=lambda i: p[i])
    assert all(adjusted[i] <= adjusted[j] for i, j in pairwise(order))


def test_detectable_difference_is_found_with_the_power_it_names():
    # 1.96 + 0.84 = 2.80 standard errors is the textbook's value for 5 % and 80 % with many items.
    assert detectable_difference(0.01, 1e6) == pytest.approx(0.0280, abs=5e-5)
    differences = np.random.default_rng(0).normal(detectable_difference(1.0, 1e6), 1.0, 20_000)
    assert np.mean(np.abs(differences) > stats.norm.ppf(0.975)) == pytest.approx(0.8, abs=0.01)


def test_a_clear_difference_is_called_and_its_direction_is_right():
    rng = np.random.default_rng(0)
    base = answers(rng, 300, 0.3, 0.95)
    arms = {
        "expert": [answers(rng, 300, 0.9, 0.6) for _ in range(3)],
        "rl": [answers(rng, 300, 0.9, 0.9) for _ in range(3)],
    }
    got = compared(base, arms)
    assert got["rl", "expert", "general"].verdict == "better"
    assert got["rl", "expert", "target"].verdict == "cannot tell"
    turned = compared(base, {"rl": arms["rl"], "expert": arms["expert"]})
    assert turned["expert", "rl", "general"].verdict == "worse"
    assert turned["expert", "rl", "general"].difference == -got["rl", "expert", "general"].difference


def test_identical_arms_cannot_be_told_apart():
    base = answers(np.random.default_rng(0), 50, 0.5, 0.9)
    got = compared(base, {"expert": [base, base], "rl": [base, base]})["rl", "expert", "general"]
    assert (got.difference, got.p, got.verdict, got.detectable) == (0.0, 1.0, "cannot tell", None)


def test_three_items_that_all_changed_prove_nothing():
    base = {"target/t": np.ones(3)}
    got = compared(base, {"expert": [base], "rl": [{"target/t": np.zeros(3)}]})["rl", "expert", "target"]
    assert got.p == 0.25 and got.verdict == "cannot tell"  # the sign test of three: 2 · 0.5³


def test_without_general_tasks_only_the_target_is_compared():
    base = {"target/t": np.array([1.0, 0.0, 1.0])}
    assert {c.on for c in compare({"a": [base], "b": [base]}, resample(base, {"a": [base], "b": [base]}, 100))} == {
        "target"
    }


@pytest.mark.parametrize(("seeds", "between"), [(1, 0.0), (3, 0.0), (3, 0.05)])
def test_intervals_cover_a_known_difference_as_often_as_they_say(seeds, between):
    rng = np.random.default_rng(1)
    hits = []
    for run in range(150):
        hard_I = rng.uniform(-0.15, 0.15, 120)

        def arm(level, hard_I=hard_I):
            return [
                {"target/t": (rng.random(120) < level + hard_I + rng.normal(0, between)).astype(float)}
                for _ in range(seeds)
            ]

        arms = {"b": arm(0.65), "a": arm(0.60)}
        (got,) = compare(arms, resample(arms["b"][0], arms, 200, seed=run))
        hits.append(got.ci95[0] <= -0.05 <= got.ci95[1])
    assert np.mean(hits) > 0.9  # 150 draws of 95 % fall below this once in 500


def test_twenty_arms_alike_are_rarely_called_different():
    rng = np.random.default_rng(2)
    false = 0
    for run in range(20):
        base = answers(rng, 80, 0.5, 0.8)
        arms = {f"arm-{n}": [answers(rng, 80, 0.6, 0.7) for _ in range(2)] for n in range(8)}
        false += any(c.verdict != "cannot tell" for c in compare(arms, resample(base, arms, 200, seed=run)))
    assert false <= 3  # 5 % of 20 studies is one


def test_every_pair_is_a_plain_sentence():
    rng = np.random.default_rng(0)
    base = answers(rng, 300, 0.3, 0.95)
    arms = {"expert": [answers(rng, 300, 0.9, 0.6)], "rl": [answers(rng, 300, 0.9, 0.9)]}
    result = {"comparisons": as_dicts(compare(arms, resample(base, arms, 500))), "seeds": [0]}
    target, general = sentences.comparison_sentences(result)
    assert target.startswith("Cannot tell RL rewrite (PatchRL) from Expert (plain SFT) on the target task: ")
    assert target.endswith("would have shown.")
    assert general.startswith("RL rewrite (PatchRL) is better than Expert (plain SFT) on general skills: ")
    assert sentences.comparison_sentences(result, ("prompted",)) == []
    assert {len(row) for row in tables.comparison_rows(result)} == {len(tables.COMPARISON_HEADERS)}
    assert sentences.detectable_sentence(result).startswith("The study detects differences of ")
    assert "one seed" in sentences.detectable_sentence(result)
    pair = result["comparisons"]["pairs"][0] | {"ci95": [0.01, 0.09], "verdict": "cannot tell"}
    assert "too little after correction for all comparisons" in sentences.comparison_sentence(pair)
