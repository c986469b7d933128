import itertools
import math
import re

import pytest
from helpers.results import train_event
from hypothesis import given
from hypothesis import strategies as st

from patchrl.config import RewardSection
from patchrl.reporting import curves


def test_smoothing_has_no_start_up_bias_and_keeps_gaps():
    assert curves.smooth([1.0, 1.0, None, 1.0], 0.9) == pytest.approx([1.0, 1.0, None, 1.0])
    assert curves.smooth([0.0, 1.0], 0.5) == pytest.approx([0.0, 2 / 3])  # (0.25·0 + 0.5·1) / 0.75


def test_curves_without_values_are_not_drawn_and_constant_ones_only_where_they_matter_most():
    same = {"consistency": 1.0, "clipped": 0.0, "kl": None}
    drawn = curves.training_figures([train_event(1, reward=1.0, **same), train_event(2, reward=2.0, **same)])
    assert list(drawn) == ["reward", "consistency"]


def test_curves_are_drawn_against_the_backbones_own_answers():
    events = [{"kind": "scan", "own_mean": 0.4, "expert_mean": 1.5}]
    events += [train_event(step, reward=step / 9, nll=1.0, own_style_share=0.5) for step in range(1, 9)]

    def references(section):
        drawn = curves.training_figures(events, reward=RewardSection(**section))
        return {name: [line["y0"] for line in figure["layout"]["shapes"]] for name, figure in drawn.items()}

    # gain: 0.1 + 0.9 · 1, and 0.1 for a copy; the published reward: 1 + 0.35 / 2, whatever the texts are
    assert references({"kind": "gain"}) == {"reward": [1.0, 0.1], "nll": [0.4, 1.5], "own_style_share": [0.975]}
    assert references({"kind": "paper"})["reward"] == [1.175]


def test_a_step_axis_has_whole_steps():
    axes = [
        curves.training_figures([train_event(step, reward=step) for step in range(1, last)], x=x)["reward"]["layout"]
        for last, x in ((5, "step"), (5, "time"), (500, "step"))
    ]
    assert [axis["xaxis"].get("dtick") for axis in axes] == [1, None, None]


def test_line_ends_carry_their_names_and_do_not_touch():
    events = [train_event(step, reward=1.0 + seed / 1e4) | {"seed": seed} for seed in range(4) for step in (1, 2)]
    figure = curves.training_figures([*events, train_event(3, reward=2.0) | {"seed": 9}], log_y=True)["reward"]
    labels, look = figure["layout"]["annotations"], figure["layout"]
    assert {label["text"] for label in labels} == {line["name"] for line in figure["data"]} and not look["showlegend"]
    pixels = (look["height"] - look["margin"]["t"] - look["margin"]["b"]) / math.log10(2)
    heights = [pixels * label["y"] + label["yshift"] for label in labels]
    assert min(b - a for a, b in itertools.pairwise(heights)) > 14.8


def test_alarms_are_marked_on_the_reward_of_their_rewriter_at_their_step():
    alarm = {"kind": "message", "level": "warning", "monitor": "short", "text": "<b>", "seed": 0, "step": 2}
    events = [
        train_event(step, reward=step / 4) | {"rewriter": name} for name in ("rl", "rl-paper") for step in (1, 2, 3)
    ]
    other = [train_event(1, reward=0.5), train_event(2, reward=0.7), alarm]
    drawn = curves.training_figures([*events, alarm | {"rewriter": "rl-paper"}], overlays={"other": other})["reward"]
    marks = [trace for trace in drawn["data"] if trace["name"] == "alarm"]
    assert [(mark["x"], mark["y"], mark["text"]) for mark in marks] == [([2], [0.5], ["&lt;b>"])]
    assert drawn["data"].index(marks[0]) == 2  # after its own line


def test_time_axis_starts_at_zero_minutes():
    figure = curves.training_figures([train_event(1, loss=1.0), train_event(3, loss=2.0)], x="time")["loss"]
    assert figure["data"][0]["x"] == [0.0, 2.0]


@given(st.integers(1, 5000))
def test_thinning_keeps_first_newest_and_at_most_500(count):
    rows = [{"n": i} for i in range(count)]
    kept = curves.thin(rows)
    assert len(kept) == min(count, 500)
    assert (kept[0], kept[-1]) == (rows[0], rows[-1])


def test_curves_of_two_rewriters_are_two_lines():
    events = [train_event(1, reward=1.0), train_event(1, reward=2.0, rewriter="rl-no-alignment")]
    lines = curves.training_figures(events)["reward"]["data"]
    assert {line["name"] for line in lines if "name" in line} == {"seed 0, rl", "seed 0, rl-no-alignment"}


def test_losses_at_two_rates_are_two_lines():
    events = [
        {"kind": "finetune", "arm": "rl", "seed": 0, "step": 4, "loss": 1.0, "rate": rate} for rate in (1e-4, 1e-3)
    ]
    lines = curves.loss_figure(events)["data"]
    assert len(lines) == 2 and [line["showlegend"] for line in lines] == [True, False]
    assert "rl, seed 0, 0.0001" in lines[0]["hovertemplate"] and "rl, seed 0, 0.001" in lines[1]["hovertemplate"]


def test_answers_and_objectives_of_on_policy_arms_have_figures_of_their_own():
    where = {"kind": "finetune", "seed": 0}
    events = [where | {"arm": "expert", "step": 4, "loss": 1.0}]
    assert curves.practice_figures(events) == {}
    events += [where | {"arm": arm, "step": 1, "objective": 0.1, "reward": 0.5} for arm in ("grpo", "sft-then-rl")]
    events += [where | {"arm": "sdft", "step": 1, "objective": 0.2}]
    figures = curves.practice_figures(events)
    assert [trace["y"] for trace in figures["answers"]["data"]] == [[0.5], [0.5]]
    assert [trace["y"] for trace in figures["objective"]["data"]] == [[0.1], [0.1], [0.2]]
    assert len({trace["line"]["color"] for trace in figures["objective"]["data"]}) == 3
    assert len(curves.loss_figure(events)["data"]) == 1  # a policy's objective is no cross entropy


def test_other_runs_are_told_by_colour_and_seeds_by_dash():
    other = [train_event(n, reward=1.0) | {"seed": seed} for seed in (0, 1) for n in (1, 2)]
    drawn = curves.training_figures([train_event(1, reward=1.0)], overlays={"<b>": other})["reward"]["data"]
    assert [trace["name"] for trace in drawn] == ["this run, seed 0", "&lt;b>, seed 0", "&lt;b>, seed 1"]
    assert len({trace["line"]["color"] for trace in drawn}) == 2
    assert drawn[1]["line"]["dash"] != drawn[2]["line"]["dash"]
    assert all(re.fullmatch(r"[A-Za-z][\w-]*", trace["uid"]) for trace in drawn)  # it goes into CSS selectors


def test_the_ess_of_every_update_is_drawn_also_of_those_without_new_rollouts():
    stale = [
        {"kind": "staleness", "t": 60.0 * n, "seed": 0, "step": n, "ess": ess, "rate_factor": 0.9}
        for n, ess in ((1, 1.0), (2, 0.4), (3, 1.0), (4, 0.5))
    ]
    events = [*stale, train_event(1, reward=1.0), train_event(3, reward=2.0)]  # two updates on each rollout
    drawn = curves.training_figures(events)
    assert (drawn["ess"]["data"][0]["x"], drawn["ess"]["data"][0]["y"]) == ([1, 2, 3, 4], [1.0, 0.4, 1.0, 0.5])
    assert drawn["reward"]["data"][-1]["x"] == [1, 3] and set(drawn) == {"reward", "ess"}
    assert curves.training_figures(events, x="samples")["ess"]["data"][0]["x"] == [64, 64, 192, 192]
    assert curves.training_figures(events, x="time")["ess"]["data"][0]["x"] == [0.0, 1.0, 2.0, 3.0]
    other = {"kind": "staleness", "t": 0.0, "seed": 1, "step": 1, "ess": 0.2, "rate_factor": 1.0}
    assert "ess" not in curves.training_figures([other, train_event(1, reward=1.0)])
