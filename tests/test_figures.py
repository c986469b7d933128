import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrl import figures


def train_event(step, **values):
    return {"kind": "train", "t": 60.0 * step, "seed": 0, "step": step, "samples": 64 * step, **values}


def test_smoothing_has_no_start_up_bias_and_keeps_gaps():
    assert figures.smooth([1.0, 1.0, None, 1.0], 0.9) == pytest.approx([1.0, 1.0, None, 1.0])
    assert figures.smooth([0.0, 1.0], 0.5) == pytest.approx([0.0, 2 / 3])  # (0.25·0 + 0.5·1) / 0.75


def test_curves_without_values_are_not_drawn():
    drawn = figures.training_figures([train_event(1, reward=1.0, kl=None), train_event(2, reward=2.0, kl=None)])
    assert set(drawn) == {"reward"}


def test_time_axis_starts_at_zero_minutes():
    figure = figures.training_figures([train_event(1, loss=1.0), train_event(3, loss=2.0)], x="time")["loss"]
    assert figure["data"][0]["x"] == [0.0, 2.0]


@given(st.integers(1, 5000))
def test_thinning_keeps_first_newest_and_at_most_500(count):
    rows = [{"n": i} for i in range(count)]
    kept = figures.thin(rows)
    assert len(kept) == min(count, 500)
    assert (kept[0], kept[-1]) == (rows[0], rows[-1])


def test_other_runs_are_told_by_colour_and_seeds_by_dash():
    other = [train_event(n, reward=1.0) | {"seed": seed} for seed in (0, 1) for n in (1, 2)]
    drawn = figures.training_figures([train_event(1, reward=1.0)], overlays={"<b>": other})["reward"]["data"]
    assert [trace["name"] for trace in drawn] == ["this run, seed 0", "&lt;b>, seed 0", "&lt;b>, seed 1"]
    assert len({trace["line"]["color"] for trace in drawn}) == 2
    assert drawn[1]["line"]["dash"] != drawn[2]["line"]["dash"]
    assert all(re.fullmatch(r"[A-Za-z][\w-]*", trace["uid"]) for trace in drawn)  # it goes into CSS selectors


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
    assert "3 passing rewrites is 0.20 nats" in played["frames"][1]["told"]
    assert [trace["name"] for trace in played["still"]][1] == "Expert solutions"
    assert figures.mismatch_over_training(SPREADS[:1]) is None


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
