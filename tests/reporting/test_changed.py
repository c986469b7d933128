import csv
import io

import pytest
from helpers.predictions import prediction
from helpers.results import HOSTILE

from patchrl.evaluation.changes import arm_changes
from patchrl.reporting import changed


def changes(tuned="Solution. It is 5.", **fields):
    """Nine right answers of the backbone of which seven went wrong, and a wrong one that came right."""
    base = [prediction(n, n != 9, "It is 4.", **fields) for n in range(10)]
    after = [prediction(n, n > 6, tuned, **fields) for n in range(10)]
    return arm_changes(base, after, arm="expert", seed=3, rate=1e-3)


ROWS = changes().questions + changes(task="target/word-problems").questions


def test_filters_narrow_by_kind_skill_arm_direction_and_text():
    assert len(changed.select(ROWS)) == len(ROWS) == 16
    assert {row["task"] for row in changed.select(ROWS, task="target/")} == {"target/word-problems"}
    assert len(changed.select(ROWS, task="general/add", change="wrong_to_right")) == 1
    assert changed.select(ROWS, task="general/ad") == []  # a skill is named whole
    assert changed.select(ROWS, arm="rl") == changed.select(ROWS, seed="4") == []
    assert {row["id"] for row in changed.select(ROWS, search="WHAT IS 6 ")} == {"add-6"}
    questions = [row["question"] for row in changed.select(ROWS, sort="question", descending=True)]
    assert questions == sorted(questions, reverse=True)


def test_the_counts_add_up_over_seeds():
    assert changed.counts_sentence([changes()]) == (
        "Expert (plain SFT): 7 of 9 right answers went wrong, 1 wrong answer came right"
    )
    assert "2 seeds: 14 of 18" in changed.counts_sentence([changes(), changes()])


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        ("It is 4.", "It is 5.", 6),
        ("It is 44.", "It is 45.", 6),  # the whole word
        ("4", "5", 0),
        ("It is", "It is 5.", 5),
        ("It is 5", "It is 5.", 6),
        ("Same.", "Same.", None),
        ("", "x", 0),
    ],
)
def test_texts_differ_from_their_first_other_word_on(one, other, place):
    assert changed.first_difference(one, other) == changed.first_difference(other, one) == place


def test_both_answers_show_where_they_part():
    row = changes("It is five, I think.").questions[0]
    html = changed.detail(row, prediction(0, True, "It is 4"), "rl")
    marks = ["4.", "five,", "4"]
    assert [part.partition("</mark>")[0] for part in html.split('<mark class="first">')[1:]] == marks
    assert html.count("✓ right") == 2 and html.count("✗ wrong") == 1
    assert "(ends here)" in changed.marked("It", changed.first_difference("It", "It is"))
    assert changed.marked("It is 5.", 2) == 'It <mark class="first">is</mark> 5.'


def test_text_from_a_model_stays_text():
    html = changed.detail(changes(HOSTILE, question=HOSTILE, reference=HOSTILE).questions[0])
    assert "<img" not in html and "${" not in html and html.count("&lt;img") == 3


def test_the_report_shows_the_first_of_each_kind_and_names_the_total():
    html = changed.report_section([changes()])
    assert f"right → wrong, the first {changed.REPORTED_PER_KIND} of 7" in html and "wrong → right, all 1" in html
    assert html.count("<b>Question.</b>") == changed.REPORTED_PER_KIND + 1
    assert changed.report_section([]) == ""


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("-5", "-5"),
        ("+3.5", "+3.5"),
        ("-5 + 3", "'-5 + 3"),
        ("\t=1", "'\t=1"),
        ("a", "a"),
    ],
)
def test_no_cell_of_the_csv_is_a_formula(text, cell):
    table = changed.to_csv(changes(text).questions)
    assert next(csv.DictReader(io.StringIO(table)))["answer"] == cell
