from helpers.results import HOSTILE

from patchrl.reporting import markup


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
