import pytest
from helpers.predictions import prediction

from patchrl.errors import RunError
from patchrl.evaluation.changes import ChangeCounts, arm_changes
from patchrl.evaluation.statistics import changed, correct_by_task


def changes_of(before, after):
    """Changes between two lists of verdicts."""
    rows = [[prediction(n, passed) for n, passed in enumerate(verdicts)] for verdicts in (before, after)]
    return arm_changes(*rows, arm="expert", seed=0, rate=1e-3), rows


def test_a_question_is_listed_where_its_verdict_turned_and_only_there():
    changes, _ = changes_of([True, True, False, False, None, True, True], [True, False, True, False, False, None, 0.5])
    assert [(row["id"], row["change"], row["passed"]) for row in changes.questions] == [
        ("add-1", "right_to_wrong", False),
        ("add-6", "right_to_wrong", 0.5),  # half a point counts as wrong
        ("add-2", "wrong_to_right", True),
    ]
    assert changes.counts == {"general": ChangeCounts(5, 3, 2, 1), "target": ChangeCounts()}


def test_the_list_is_as_long_as_the_shares_of_the_result_say():
    changes, (base, tuned) = changes_of([True, True, True, False, None], [False, True, False, True, True])
    before, after = correct_by_task(base), correct_by_task(tuned)
    counts = changes.counts["general"]
    assert counts.right_to_wrong / counts.scored == changed(before, after, True) == 0.5
    assert counts.wrong_to_right / counts.scored == changed(before, after, False) == 0.25


def test_what_chose_the_learning_rate_is_not_reported():
    rows = [prediction(1, passed, task="validation/held-out") for passed in (True, False)]
    assert arm_changes(rows[:1], rows[1:], arm="expert", seed=0, rate=1e-3).questions == []


def test_answers_to_other_questions_are_not_compared():
    with pytest.raises(RunError, match="general/add: the tuned model and the backbone answered other questions"):
        arm_changes([prediction(1, True)], [prediction(2, False)], arm="expert", seed=0, rate=1e-3)
