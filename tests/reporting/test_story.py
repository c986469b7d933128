"""The story of a run, from plain dicts: what it says in words, which texts it shows, and its stages."""

import pytest
from helpers.results import HOSTILE, result

from patchrl.reporting import gain_forgetting, stage_strip, story


def compared(general, target="cannot tell"):
    """A result in which RL compares so with plain SFT."""
    study = result() | {"seeds": [7]}
    for values in study["arms"].values():
        values["forgetting"]["ci95"] = [0.01, 0.5]
    study["comparisons"] = {
        "pairs": [
            {"a": "expert", "b": "rl", "on": "general", "verdict": general},
            {"a": "rl", "b": "expert", "on": "target", "verdict": target},
        ]
    }
    for values in study["arms"].values():
        values["learning_rate"] = 0.001
    return study


def test_the_sentence_says_what_was_kept_and_learned_with_its_interval_and_its_caveat():
    sentence = story.result_sentence(compared("worse", "better"), "nano")  # plain SFT is worse than RL
    assert sentence.text == (
        "After plain SFT, the lab's model answers 50 % of general questions right, from 90 %; after SFT on its rewrites "
        "85 % [80, 90]. The rewrites teach the task better: 60 % right against 60 %, from 30 %."
    )
    assert sentence.caveat == "One seed, at learning rate 0.001. Brackets: 95 % interval."


@pytest.mark.parametrize(
    ("general", "words"), [("better", "which is worse"), ("cannot tell", "the two cannot be told apart")]
)
def test_it_says_where_the_rewrites_keep_less_and_where_nothing_can_be_told(general, words):
    assert words in story.result_sentence(compared(general), "nano").text


def test_it_says_what_there_is_where_an_arm_is_missing_and_judges_nothing_before_the_end():
    alone = result()
    del alone["arms"]["rl"]
    assert (
        "after plain sft, smollm2-x answers 50 % [45, 55]" in story.result_sentence(alone, "hub/smollm2-x").text.lower()
    )
    events = [
        {
            "kind": "evaluation",
            "arm": arm,
            "seed": seed,
            "target": 0.5,
            "general": general,
            "by_task": {"general/add": 1},
        }
        for arm, seed, general in (("base", None, 0.9), ("expert", 0, 0.4), ("expert", 1, 0.6))
    ]
    sentence = story.result_sentence(gain_forgetting.so_far(events), "nano")
    assert "answers 50 % of general questions right, from 90 %" in sentence.text and "So far" in sentence.caveat
    assert gain_forgetting.so_far(events[:1]) is None
    assert "not measured" in story.result_sentence(result(general=None), "nano").text


def test_while_a_study_goes_on_an_arm_stands_at_the_rate_with_the_best_validation_score():
    def evaluation(arm, rate, validation, target, general):
        by_task = {"validation/x": validation, "general/add": general}
        return {
            "kind": "evaluation",
            "arm": arm,
            "seed": 0,
            "target": target,
            "general": general,
            "by_task": by_task,
        } | ({"rate": rate} if rate else {})

    events = [
        evaluation("base", None, 0.3, 0.3, 0.9),
        evaluation("expert", 5e-4, 0.8, 0.8, 0.9),
        evaluation("expert", 1e-3, 0.9, 0.9, 0.6),
        evaluation("rl", 5e-4, 0.9, 0.9, 0.9),
        evaluation("rl", 1e-3, 0.8, 0.8, 0.6),
    ]
    arms = gain_forgetting.so_far(events)["arms"]
    assert [arms[arm]["general"]["mean"] for arm in ("expert", "rl")] == [0.6, 0.9]
    assert [len(arms[arm]["sweep"]) for arm in arms] == [2, 2]


def test_where_nothing_shows_it_says_so():
    study = compared("cannot tell")
    for values in study["arms"].values():
        values["forgetting"]["ci95"] = [-0.1, 0.1]
    assert (
        "Neither plain SFT nor SFT on its rewrites makes the lab's model forget"
        in story.result_sentence(study, "nano").text
    )


def row(number, gain, expert="e" * 20, decision="accepted"):
    return {
        "id": str(number), "question": "q", "expert": expert, "rewrite": "r", "decision": decision,
        "nll_expert": 1 + gain, "nll_rewrite": 1.0,
    }  # fmt: skip


def test_the_pair_is_the_accepted_row_of_median_gain_that_fits():
    rows = [row(0, 0.1), row(1, 1.0, expert="e" * 400), row(2, 1.1), row(3, 9.0), row(4, 1.0, decision="fallback")]
    assert [r["id"] for r in story.typical_rows(rows)] == ["2", "0", "3", "1"]
    assert story.typical_rows(rows[4:]) == []


def answers(**passed):
    """Predictions of one general item per letter: `base="rw"` is right on the first and wrong on the second."""
    return {
        arm: [
            {"id": str(i), "task": "general/add", "question": f"q{i}", "answer": "a" * (i + 1), "passed": letter == "r"}
            for i, letter in enumerate(letters)
        ]
        for arm, letters in passed.items()
    }


def test_the_question_is_the_shortest_that_plain_sft_lost_and_rl_kept_else_the_nearest_kind():
    change = story.changed_question(answers(base="rrrr", expert="rwww", rl="rwrr"))
    assert change.title.startswith("Right before, wrong after plain SFT, right") and change.rows["rl"]["id"] == "2"
    lost = story.changed_question(answers(base="rr", expert="rw", rl="rw"))
    assert lost.title.endswith("lost by both") and lost.rows["rl"]["id"] == "1"
    assert "stayed right" in story.changed_question(answers(base="rw", expert="rw", rl="rr")).title
    assert story.changed_question(answers(base="r", expert="r")) is None


def test_texts_of_models_are_escaped():
    rows = answers(base="r", expert="w", rl="r")
    for predictions in rows.values():
        predictions[0] |= {"question": HOSTILE, "answer": HOSTILE}
    texts = {"question": HOSTILE, "expert": HOSTILE, "rewrite": HOSTILE}
    for html in (story.change_html(story.changed_question(rows)), story.pair_html(texts, None)):
        assert "<img" not in html and "${" not in html and "{{" not in html


def test_no_label_of_the_plane_lies_on_another_point():
    points = {"base": (30.0, 96.0), "expert": (93.0, 66.0), "rl": (95.0, 96.0), "best-of-k": (94.0, 93.0)}
    places = gain_forgetting.label_places(points, [[20, 110], [60, 105]])
    assert places.keys() == points.keys() and places["rl"] != places["best-of-k"]


def test_a_label_of_the_plane_keeps_off_the_line_of_an_arm_at_its_rates():
    points, ranges = {"base": (30.0, 96.0), "rl": (80.0, 90.0)}, [[20, 110], [60, 105]]
    before = gain_forgetting.label_places(points, ranges)["rl"]
    ends = {"top center": (80.0, 104.0), "bottom center": (80.0, 62.0), "middle right": (108.0, 90.0)}
    assert gain_forgetting.label_places(points, ranges, [[(80.0, 90.0), ends[before]]])["rl"] != before


COUNTS = {"scan": 1, "warm": 1, "train": 1, "rewrite": 2, "finetune": 2, "evaluate": 3, "report": 1}
EVENTS = [
    {"t": 0, "kind": "stage", "state": "start", "stage": "scan"},
    {"t": 9, "kind": "stage", "state": "end", "stage": "scan", "seconds": 9.0},
    {"t": 9, "kind": "stage", "state": "start", "stage": "train"},
    {"t": 10, "kind": "phase", "name": "warm start: own answers"},
    {"t": 49, "kind": "phase", "name": "steps"},
    {"t": 89, "kind": "stage", "state": "end", "stage": "train", "seconds": 80.0},
]


def boxes(events, live=True, **status):
    return {box.name: box for box in stage_strip.stage_boxes(COUNTS, events, status, live=live)}


def test_every_stage_has_its_time_and_the_warm_start_its_own():
    strip = boxes(EVENTS, stage="rewrite", done=5, total=10, eta_seconds=4.0, phase="")
    assert [box.state for box in strip.values()] == ["done", "done", "done", "now", "ahead", "ahead", "ahead"]
    assert [strip[name].text for name in ("Scan", "Warm start", "Train")] == ["9 s", "40 s", "40 s"]
    assert strip["Rewrite"].share == 0.25 and "1 of 2: 5 of 10, 4 s left" in strip["Rewrite"].text


def test_a_bar_moves_without_an_amount_until_one_is_known_and_after_the_last_piece():
    warm = boxes(EVENTS[:4], stage="train", done=0, total=0, phase="warm start: own answers")
    assert warm["Warm start"].state == "now" and "measuring" in warm["Warm start"].text
    full = boxes(EVENTS[:3], stage="train", done=64, total=64, phase="warm start: own answers")["Warm start"]
    assert warm["Warm start"].share is None and full.share is None and "finishing" in full.text
    assert 'max="1"' not in stage_strip.strip_html([full])


def test_a_run_that_ended_says_where():
    assert (
        "ended here, 3 of 9 done"
        in boxes(EVENTS[:3], live=False, stage="train", done=3, total=9, phase="steps")["Train"].text
    )
