"""The three forgetting figures by hand, and the interval's behaviour."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrl.evaluation.statistics import (
    absolute_forgetting,
    arm_statistics,
    best_rate,
    changed,
    correct_by_task,
    relative_forgetting,
    resample,
    share_avoided,
    task_intervals,
)


def tasks(target, **general):
    return {"target/t": np.array(target, float)} | {f"general/{k}": np.array(v, float) for k, v in general.items()}


BASE = tasks([1, 0, 0, 0], a=[1, 1, 1, 1], b=[1, 1, 0, 0])
TUNED = tasks([1, 1, 1, 0], a=[1, 1, 0, 0], b=[1, 0, 0, 0])


def test_absolute_forgetting_is_the_mean_drop_over_general_tasks():
    assert absolute_forgetting(BASE, TUNED) == pytest.approx((0.5 + 0.25) / 2)


def test_relative_forgetting_divides_each_task_by_its_own_base():
    assert relative_forgetting(BASE, TUNED) == pytest.approx((0.5 / 1.0 + 0.25 / 0.5) / 2)


def test_relative_forgetting_leaves_out_tasks_the_base_cannot_do():
    base, tuned = tasks([1], a=[1, 1], b=[0, 0]), tasks([1], a=[1, 0], b=[1, 0])
    assert relative_forgetting(base, tuned) == pytest.approx(0.5)


def test_share_avoided_is_named_only_where_plain_sft_lost_something():
    assert share_avoided(0.1, 0.4) == pytest.approx(0.75)
    assert share_avoided(0.1, 0.0) is None
    assert share_avoided(None, 0.4) is None


def statistics(base, **arms):
    return arm_statistics(base, arms)


def test_without_general_tasks_forgetting_is_not_measured():
    base, tuned = tasks([1, 0]), tasks([1, 1])
    got = statistics(base, expert=[tuned])["expert"]
    assert got.absolute is None and got.general_ci95 is None
    assert got.relative is None and got.relative_ci95 is None and got.share_avoided_ci95 is None
    assert got.target_per_seed == [1.0]


def noisy(items, seed, target, general):
    rng = np.random.default_rng(seed)
    return tasks(rng.random(items) < target, a=rng.random(items) < general)


def test_interval_holds_the_point_estimate_and_shrinks_with_items():
    def width(items):
        tuned = noisy(items, 2, 0.9, 0.6)
        got = statistics(noisy(items, 1, 0.5, 0.9), expert=[tuned, tuned])["expert"]
        for point, ci95 in ((got.absolute, got.absolute_ci95), (got.relative, got.relative_ci95)):
            assert ci95[0] < point < ci95[1]
        return got.absolute_ci95[1] - got.absolute_ci95[0]

    assert width(2000) < width(100) / 3


def test_paired_interval_of_identical_answers_is_a_point():
    base, tuned = ({task: np.tile(values, 20) for task, values in answers.items()} for answers in (BASE, TUNED))
    got = statistics(base, expert=[tuned, tuned], rl=[base, base])
    assert got["rl"].absolute_ci95 == (0.0, 0.0)
    assert got["rl"].share_avoided == 1.0 and got["rl"].share_avoided_ci95 == (1.0, 1.0)
    assert got["expert"].share_avoided_ci95 == (0.0, 0.0)  # plain SFT avoids nothing of its own drop


def test_the_share_avoided_pairs_arm_and_expert():
    base, expert = noisy(400, 1, 0.5, 0.95), noisy(400, 2, 0.9, 0.5)
    half = {k: v.copy() for k, v in expert.items()}
    half["general/a"][::2] = base["general/a"][::2]  # every other item is as before
    got = statistics(base, expert=[expert], rl=[half])["rl"]
    low, high = got.share_avoided_ci95
    assert low < got.share_avoided < high
    drop, alone = got.absolute_ci95, statistics(base, expert=[expert])["expert"]
    # Unpaired, the ratio would spread over the worst corners of both drops.
    assert high - low < (1 - drop[0] / alone.absolute_ci95[1]) - (1 - drop[1] / alone.absolute_ci95[0])


def test_no_share_is_avoided_of_a_drop_that_may_be_nothing():
    base = tasks([1], a=[1, 1, 0, 1])
    got = statistics(base, expert=[tasks([1], a=[1, 0, 1, 0])], rl=[base])["rl"]
    assert got.absolute == 0.0 and got.share_avoided is None and got.share_avoided_ci95 is None


def test_unscorable_predictions_become_nan_and_leave_the_score():
    rows = [{"task": "general/a", "passed": p} for p in (True, None, False)]
    correct = correct_by_task(rows)
    assert np.isnan(correct["general/a"][1])
    assert absolute_forgetting(correct, correct) == 0.0


def test_unscorable_items_leave_the_interval_as_they_leave_the_score():
    nan = np.nan
    base = tasks([1] * 6, a=[1, 1, 1, 1, nan, nan])
    tuned = tasks([1] * 6, a=[1, 1, nan, nan, 1, nan])
    got = statistics(base, expert=[tuned])["expert"]
    # Every scorable item is right before and after: counting the others as wrong made this an interval.
    assert got.absolute == 0.0 and got.absolute_ci95 == (0.0, 0.0)
    assert got.general_per_seed == [1.0] and got.general_ci95 == (1.0, 1.0)


def test_a_task_without_a_scorable_item_is_left_out():
    base = tasks([1, 1], a=[1, 1], b=[np.nan, np.nan])
    got = statistics(base, expert=[tasks([1, 1], a=[1, 0], b=[np.nan, np.nan])])["expert"]
    low, high = got.absolute_ci95
    assert got.absolute == 0.5 and low + high == 1.0


answers = st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=12, max_size=12)


@given(answers, answers, answers)
def test_bootstrap_scores_stay_between_none_and_all(before, after, other):
    base = tasks([1], a=before)
    drawn = resample(base, {"expert": [tasks([1], a=after), tasks([0], a=other)]}, 50)["expert"]
    for values in (drawn.target, drawn.general):
        known = values[~np.isnan(values)]
        assert ((known >= 0) & (known <= 1 + 1e-12)).all()


def test_the_lowest_rate_within_one_standard_error_of_the_best_is_compared():
    # One standard error of 0.9 over 100 items is 0.03.
    assert best_rate({1e-4: 0.50, 3e-4: 0.875, 1e-3: 0.90}, 100) == 3e-4
    assert best_rate({1e-4: 0.50, 3e-4: 0.865, 1e-3: 0.90}, 100) == 1e-3
    assert best_rate({1e-3: 1.0, 1e-4: 1.0}, 100) == 1e-4


def test_intervals_of_tasks_hold_the_scores_and_widen_with_the_seeds():
    rng = np.random.default_rng(0)
    alike = [{"general/add": (rng.random(200) < 0.7).astype(float)} for _ in range(3)]
    apart = [{"general/add": np.full(200, value)} for value in (0.0, 1.0, 1.0)]
    low, high = task_intervals(alike)["general/add"]
    assert low < 0.7 < high and high - low < 0.3
    low, high = task_intervals(apart)["general/add"]
    assert 0.0 < low < 0.05 and 0.95 < high < 1.0  # a share never leaves 0 … 1
    assert task_intervals([{"target/w": np.full(3, np.nan)}])["target/w"] is None


def test_what_changed_is_counted_both_ways_over_all_general_items():
    base = {"general/a": np.array([1.0, 1.0, 0.0, np.nan]), "target/x": np.array([1.0])}
    tuned = {"general/a": np.array([0.0, 1.0, 1.0, 1.0]), "target/x": np.array([0.0])}
    lost, gained = (changed(base, tuned, before) for before in (True, False))
    assert (lost, gained) == pytest.approx((1 / 3, 1 / 3))
    assert changed({"target/x": np.array([1.0])}, tuned, True) is None
