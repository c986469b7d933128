"""Simulated studies whose true score is known: how often an arm's own 95 % interval contains it."""

import numpy as np
import pytest
from scipy.special import expit

from patchrl.evaluation.statistics import mean_interval

ITEM_SPREAD = 1.0  # standard deviations on the logit scale


def true_score(rng, level, seed_spread):
    return expit(level + rng.normal(0, np.hypot(ITEM_SPREAD, seed_spread), 1_000_000)).mean()


def study(rng, seeds, tasks, items, level, seed_spread):
    """Answers (S, I) of each task: every item has its own difficulty, every seed its own skill over all tasks."""
    skill_S1 = rng.normal(0, seed_spread, (seeds, 1))
    chances = [expit(level + skill_S1 + rng.normal(0, ITEM_SPREAD, items)) for _ in range(tasks)]
    return [(rng.random(chance_SI.shape) < chance_SI).astype(float) for chance_SI in chances]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("seed_spread", [0.0, 0.15, 0.4])
@pytest.mark.parametrize("level", [0.3, 2.5])
@pytest.mark.parametrize(("tasks", "items"), [(1, 200), (6, 100)])
def test_the_interval_of_an_arm_covers_its_true_score_95_times_in_100(seeds, seed_spread, level, tasks, items):
    rng = np.random.default_rng(seeds)
    truth = true_score(rng, level, seed_spread)
    intervals = [mean_interval(study(rng, seeds, tasks, items, level, seed_spread), share=True) for _ in range(1000)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.93 <= covered <= 0.97 + 0.012  # 1.2 points: two standard errors of 1,000 studies


def test_one_seed_covers_new_items():
    rng = np.random.default_rng(0)
    chances = [rng.beta(6, 2, 150) for _ in range(1000)]
    intervals = [mean_interval([(rng.random((1, 150)) < chance_I).astype(float)], share=True) for chance_I in chances]
    assert 0.93 <= np.mean([low <= 0.75 <= high for low, high in intervals]) <= 0.97


def test_a_difference_is_not_bound_to_a_share():
    low, high = mean_interval([np.array([[-1.0, 0.0, 1.0, 0.0]] * 3)])
    assert low == pytest.approx(-high) and low < 0 < high
