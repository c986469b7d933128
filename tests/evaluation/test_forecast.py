import numpy as np
import pytest

from patchrl.evaluation.forecast import Pair, forecast, lab_pairs


def line(slope, noise=0.0):
    rng = np.random.default_rng(0)
    gaps = np.linspace(0.1, 2, 12)
    return [
        Pair("one" if i % 2 else "two", "d", f"arm{i}", gap, slope * gap + noise * rng.normal(), 3)
        for i, gap in enumerate(gaps)
    ]


def test_where_the_gap_decides_the_drop_is_forecast():
    found = forecast(1.5, line(0.2))
    assert found["useful"] and found["drop"] == pytest.approx(0.3)
    assert found["left_out"]["backbone"]["line"] == pytest.approx(0, abs=1e-9)
    assert found["rank_correlation"] == pytest.approx(1)
    assert forecast(100.0, line(0.2))["drop"] == 1.0


def test_where_it_does_not_nothing_is_forecast():
    found = forecast(1.5, line(0.0, noise=0.2))
    assert not found["useful"] and found["drop"] is None
    assert found["left_out"]["arm"]["line"] > 0.5 * found["left_out"]["arm"]["mean"]


def test_left_out_errors_are_of_pairs_the_fit_had_not_seen():
    pairs = [Pair("one", "d", str(i), g, d, 1) for i, (g, d) in enumerate([(0, 0), (1, 1), (2, 5)])]
    found = forecast(None, pairs + [Pair("two", "d", "x", 1.0, 1.0, 1), Pair("two", "d", "y", 2.0, 2.0, 1)])
    # From backbone two alone the drop is the gap: off by 0, 0 and 3. From one alone it is 2.5 g − 0.5: by 1 and 2.5.
    assert found["left_out"]["backbone"]["line"] == pytest.approx((0 + 0 + 3 + 1 + 2.5) / 5)


def test_the_labs_pairs_do_not_allow_a_forecast_and_say_how_far_off_it_is():
    pairs = lab_pairs()
    assert {p.backbone for p in pairs} == {"nano", "nano-1", "nano-2"} and len(pairs) == len(set(pairs))
    found = forecast(1.0)
    assert found["drop"] is None and [p["arm"] for p in found["experts"]] == ["expert"] * 5
    # Foreign and mild expert text: a gap four times as wide, the same drop.
    foreign, mild = found["experts"][:2]
    assert foreign["gap"] > 3 * mild["gap"] and foreign["drop"] == pytest.approx(mild["drop"], abs=0.01)
