import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrl import figures, markup, views


def result(general=0.9):
    arm = {
        "target": {"mean": 0.6, "per_seed": [0.6], "ci95": [0.55, 0.65]},
        "general": {"mean": 0.5, "per_seed": [0.5], "ci95": [0.45, 0.55]},
        "by_task": {"target/w": 0.6, "general/add": 0.5},
        "forgetting": {"absolute": 0.4, "relative": 0.44, "share_avoided": 0.0, "ci95": [0.35, 0.45]},
        "data": {"nll": 1.5, "diversity": 0.2, "accepted": 0.0},
        "no_answer": 0.01,
        "cost": {"seconds": 12.0, "tokens": 100},
    }
    ours = arm | {
        "general": {"mean": 0.85, "per_seed": [0.85], "ci95": [0.8, 0.9]},
        "forgetting": {"absolute": 0.05, "relative": 0.05, "share_avoided": 0.875, "ci95": [0.0, 0.1]},
    }
    base = {"target": 0.3, "general": general, "by_task": {"target/w": 0.3, "general/add": 0.9}, "no_answer": 0.0}
    return {"base": base, "seeds": [7], "arms": {"expert": arm, "rl": ours}}


def train_event(step, **values):
    return {"kind": "train", "t": 60.0 * step, "seed": 0, "step": step, "samples": 64 * step, **values}


def test_headline_says_what_was_lost_and_what_was_avoided():
    text = views.headline(result())
    assert "from 30.0 % to 60.0 %" in text
    assert "avoids 88 % of the 40.0 points" in text


def test_headline_without_general_tasks_says_that_forgetting_was_not_measured():
    assert "not measured" in views.headline(result(general=None))


def test_result_rows_fill_every_column():
    rows = views.result_rows(result())
    assert {len(row) for row in rows} == {len(views.RESULT_HEADERS)}
    assert rows[2][3] == "5.0 [0.0, 10.0]"


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


def test_missing_gains_come_last_in_either_order():
    rows = [
        {"id": i, "decision": "accepted", "passed": True, "nll_expert": 1.0, "nll_rewrite": n, "question": "", "expert": "", "rewrite": ""}
        for i, n in enumerate([None, 0.2, 0.8])
    ]  # fmt: skip
    assert [r["id"] for r in views.select_samples(rows, order="biggest gain")] == [1, 2, 0]
    assert [r["id"] for r in views.select_samples(rows, order="smallest gain")] == [2, 1, 0]


HOSTILE = "<img src=x onerror=alert(1)>${alert(1)}{{value}}\"'"


def test_text_from_data_is_inert_wherever_html_is_made():
    row = {
        "question": HOSTILE, "expert": HOSTILE, "rewrite": HOSTILE + " more", "reference": HOSTILE, "extracted": HOSTILE,
        "passed": False, "reason": HOSTILE, "decision": "fallback", "nll_expert": 1.0, "nll_rewrite": None,
        "reward": None, "consistency": 0.0, "alignment": None, "diversity": None,
    }  # fmt: skip
    tokens = [[HOSTILE, 1.0, [[HOSTILE, 0.5]]]]
    page = markup.sample_detail(row, {"expert": tokens, "rewrite": tokens})
    group = markup.group_cards({"seed": 0, "step": 1, "question": HOSTILE, "solution": HOSTILE, "candidates": [row | {"text": HOSTILE, "nll": None}]})  # fmt: skip
    for html in (page, group, markup.table([HOSTILE], [[HOSTILE]])):
        assert "<img" not in html
        assert "${" not in html
        assert "{{" not in html


def test_a_missing_reward_is_said_and_not_drawn_as_zero():
    assert "not scored" in markup.bar("alignment", None, 1.0)
    assert "0.000" in markup.bar("alignment", 0.0, 1.0)


def test_word_diff_marks_what_went_and_what_came():
    html = markup.word_diff("n is 5 apples", "it is 5 pears")
    assert "<del>n</del>" in html
    assert "<ins>pears</ins>" in html


def test_surprisal_scale_is_shared_and_shows_the_mean():
    html = markup.surprisal([["a", 0.0, []], ["b", 12.0, []]])
    assert markup.SCALE[0] in html
    assert markup.SCALE[-1] in html
    assert "mean 6.000" in html


def test_durations_read_well():
    assert [views.format_seconds(s) for s in (3.2, 245, 7800, None)] == ["3 s", "4 min 05 s", "2 h 10 min", "–"]
