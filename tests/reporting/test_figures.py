import pytest
from helpers.results import result
from hypothesis import given
from hypothesis import strategies as st

from patchrl.config.arms import OFFERED
from patchrl.reporting import figures
from patchrl.reporting.gain_forgetting import gain_forgetting_figure


def test_a_sweep_is_a_line_through_its_points_in_the_order_of_the_rates():
    study_result = result()
    points = [
        {"rate": rate, "chosen": rate == 1e-3, "validation": 0.5}
        | {kind: {"mean": value, "per_seed": [value], "ci95": None} for kind in ("target", "general")}
        for rate, value in ((1e-3, 0.6), (1e-4, 0.5))
    ]
    study_result["arms"]["rl"]["sweep"] = points
    (front,) = [t for t in gain_forgetting_figure(study_result)["data"] if t["mode"] == "lines+markers"]
    assert front["x"] == [50.0, 60.0] and front["text"] == ["learning rate 0.0001", "learning rate 0.001"]


def test_arms_that_depart_by_one_part_look_different_as_points_and_as_bars():
    arms = ["base", *OFFERED, "expert+dft", "rl+kl", "rl+lora", "rl+wise-ft=0.3"]
    arms.remove("dft")  # as expert+dft is written too
    points = {arm: figures.arm_style(arm) for arm in arms}
    bars = {arm: (figures.arm_style(arm)[0], figures.arm_pattern(arm)) for arm in arms}
    for look in (points, bars):
        assert len(set(look.values())) == len(arms), [a for a in arms if list(look.values()).count(look[a]) > 1]


SPREADS = [
    {"kind": "scan", "t": 0.0, "expert_nll": [2.0, 2.2], "own_nll": [0.1], "prompted_nll": [0.8]},
    {"kind": "spread", "t": 1.0, "seed": 0, "step": 1, "nll": [0.8, 0.6]},
    {"kind": "spread", "t": 2.0, "seed": 1, "step": 1, "nll": [5.0]},
    {"kind": "spread", "t": 3.0, "seed": 0, "step": 10, "nll": [0.2, 0.3, 0.1]},
]


def test_mismatch_over_training_has_a_frame_for_each_recorded_step_of_one_seed():
    played = figures.mismatch_over_training(SPREADS)
    assert [frame["step"] for frame in played["frames"]] == [1, 10]
    assert all(sum(frame["y"]) == pytest.approx(1, abs=1e-3) for frame in played["frames"])
    assert "3 passing rewrites is 0.20 nats" in played["frames"][1]["caption"]
    assert [trace["name"] for trace in played["still"]][1] == "Expert solutions"
    assert [mark["text"] for mark in played["layout"]["annotations"]] == ["own answers", "expert", "prompted"]
    assert figures.mismatch_over_training(SPREADS[:1])["frames"] == []
    assert figures.mismatch_over_training([]) is None


@given(st.lists(st.floats(0, 50), min_size=1), st.lists(st.floats(0, 50), min_size=1))
def test_histograms_hold_every_value(expert, own):
    figure = figures.mismatch_figure({"expert_nll": expert, "own_nll": own}, {})
    for trace in figure["data"]:
        assert sum(trace["y"]) == pytest.approx(1, abs=1e-3)


def test_the_map_joins_each_expert_solution_to_its_rewrite():
    points = {"expert": [[0, 0], [1, 1]], "own": [[2, 2]], "rl": [[3, 3]]}
    ids = {"expert": ["a", "b"], "own": ["a"], "rl": ["b"]}
    lines, *sources = figures.embedding_figure(points, ids, (0.5, 0.2))["data"]
    assert lines["x"] == [1, 3, None]
    assert [len(trace["x"]) for trace in sources] == [2, 1, 1]
