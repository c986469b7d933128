import pytest

from patchrl.runs.remaining_time import RemainingTime


def test_what_is_left_is_what_is_expected_at_the_pace_so_far():
    remaining = RemainingTime()
    remaining.begin(10, after=90)
    assert remaining.left(1, 0.1) is None  # one expected second tells no pace
    remaining.end(30)  # three times slower than expected
    remaining.begin(40, after=50)
    assert remaining.left(0, 0) == pytest.approx(3 * 90)
    assert remaining.left(20, 0) == pytest.approx(3 * 90 - 20)
    assert remaining.left(70, 0.5) == pytest.approx((30 + 70) / (10 + 20) * (20 + 50))
    remaining.end(140)
    remaining.begin(50, after=0)
    assert remaining.left(0, 0) == pytest.approx(170 / 50 * 50)


def test_what_a_resumed_step_had_already_is_not_expected_again():
    remaining = RemainingTime()
    remaining.begin(40, after=100)
    remaining.resumed(0.75)
    assert remaining.left(10, 0.5) == pytest.approx(10 / 5 * (5 + 100))
