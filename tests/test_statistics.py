"""The three forgetting figures by hand, and the interval's behaviour."""

import numpy as np
import pytest

from patchrl.statistics import (
    absolute_forgetting,
    arm_statistics,
    correct_by_task,
    relative_forgetting,
    share_avoided,
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


def test_without_general_tasks_forgetting_is_not_measured():
    base, tuned = tasks([1, 0]), tasks([1, 1])
    got = arm_statistics(base, [tuned], None, resamples=100)
    assert got.absolute is None and got.general_ci95 is None and got.relative is None
    assert got.target_per_seed == [1.0]


def test_interval_holds_the_point_estimate_and_shrinks_with_items():
    def width(items):
        rng = np.random.default_rng(1)
        base = tasks(rng.random(items) < 0.5, a=rng.random(items) < 0.9)
        tuned = tasks(rng.random(items) < 0.9, a=rng.random(items) < 0.6)
        got = arm_statistics(base, [tuned, tuned], 0.5, resamples=1000)
        low, high = got.absolute_ci95
        assert low < got.absolute < high
        return high - low

    assert width(2000) < width(100) / 3


def test_paired_interval_of_identical_answers_is_a_point():
    got = arm_statistics(BASE, [BASE, BASE], 0.3, resamples=200)
    assert got.absolute_ci95 == (0.0, 0.0)
    assert got.share_avoided == 1.0


def test_unscorable_predictions_become_nan_and_leave_the_score():
    rows = [{"task": "general/a", "passed": p} for p in (True, None, False)]
    correct = correct_by_task(rows)
    assert np.isnan(correct["general/a"][1])
    assert absolute_forgetting(correct, correct) == 0.0
