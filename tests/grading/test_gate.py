"""One gate for training, rewriting and evaluation: answers, meaning, equations, judge."""

import numpy as np
import pytest
from helpers import tiny
from hypothesis import given
from hypothesis import strategies as st

from patchrl.config import resolve
from patchrl.errors import ConfigError
from patchrl.grading.calibration import Thresholds, calibrate
from patchrl.grading.gate import Gate, cosine
from patchrl.types import Example

MATH = Example("m", "What is 2 + 1?", "2 + 1 = 3.", "3", "math")
OPEN = Example("o", "What did Ana buy?", "Ana has 3 apples and buys 4 more apples.", None, "open")


def gate(reasoning="equations", threshold=None, limit=0.5, task=None, **options):
    values = {"gate": {"reasoning": reasoning, "judge_threshold": limit}, "data": {"task": task}}
    return Gate(resolve(values), tiny.judging_backbone(), Thresholds(meaning=threshold), **options)


def test_calibration_of_pairs_that_part_lies_between_them():
    calibration = calibrate([0.9, 0.8], [0.2, 0.4])
    assert calibration.threshold == pytest.approx(0.6) and calibration.balanced_accuracy == 1.0


def test_calibration_of_pairs_that_overlap_takes_the_best_balance():
    calibration = calibrate([0.9, 0.8, 0.3], [0.2, 0.4, 0.85])
    # From 0.4 to 0.8: two of three kept, two of three refused.
    assert calibration.balanced_accuracy == pytest.approx(2 / 3)
    assert 0.4 < calibration.threshold <= 0.8 or 0.2 < calibration.threshold <= 0.3


@given(*[st.lists(st.integers(-20, 20).map(lambda n: n / 20), min_size=1, max_size=12)] * 2)
def test_no_other_threshold_tells_the_pairs_apart_better(same, different):
    calibration = calibrate(same, different)

    def accuracy(cut):
        return (np.mean(np.array(same) >= cut) + np.mean(np.array(different) < cut)) / 2

    assert accuracy(calibration.threshold) == pytest.approx(calibration.balanced_accuracy)
    assert all(accuracy(cut) <= calibration.balanced_accuracy + 1e-9 for cut in np.linspace(-1.1, 1.1, 89))


def test_calibration_without_pairs_is_refused():
    with pytest.raises(ConfigError, match="no pairs to calibrate"):
        calibrate([], [0.1])


def test_cosine_of_a_zero_vector_is_zero():
    assert cosine(np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])).tolist() == [0.0, 1.0]


def test_an_open_answer_passes_from_the_threshold_on_and_the_reason_shows_both():
    with gate("none", threshold=0.999, task="open") as opened:
        same, other, empty = opened.check([OPEN] * 3, [OPEN.solution, "x", "  "])
    assert same.passed is True and "meaning 1.000, at least 0.999 needed" in same.reason
    assert other.passed is False and "at least 0.999 needed" in other.reason
    assert empty.passed is False and empty.reason == "empty"


def test_an_open_answer_without_calibration_is_unscorable():
    with gate("none", task="open") as opened:
        assert opened.check([OPEN], [OPEN.solution])[0].passed is None


def test_the_judge_has_the_last_word_on_what_passed():
    right, wrong = "It is 2 + 1 = 3. The answer is 3.", "It is 2 + 1 = 4. The answer is 3."
    with gate("equations+judge", limit=0.0) as mild, gate("equations+judge", limit=1.0) as strict:
        assert [v.passed for v in mild.check([MATH] * 2, [right, wrong])] == [True, False]
        refused, failed = strict.check([MATH] * 2, [right, wrong])
    assert refused.passed is False and "judge says yes with" in refused.reason
    assert "equation does not hold" in failed.reason and "judge" not in failed.reason  # it was not asked


def test_a_judge_alone_checks_no_equations():
    with gate("judge", limit=0.0) as judged:
        assert judged.check([MATH], ["It is 2 + 1 = 4. The answer is 3."])[0].passed is True


def test_open_answers_are_judged_for_meaning_unless_reasoning_is_none():
    with gate("equations", threshold=-1.0, limit=1.0, task="open") as judged:
        assert "judge says yes" in judged.check([OPEN], ["x"])[0].reason
    with gate("none", threshold=-1.0, limit=1.0, task="open") as unjudged:
        assert unjudged.check([OPEN], ["x"])[0].passed is True


def test_too_long_for_the_judge_is_unscorable():
    with gate("judge", limit=0.0) as judged:
        verdict = judged.check([MATH], ["and so on " * 3000 + "The answer is 3."])[0]
    assert verdict.passed is None and verdict.reason == "too long for the judge"


def test_an_evaluation_looks_at_the_answer_only():
    with gate("equations+judge", limit=1.0, answers_only=True) as answers:
        assert answers.check([MATH], ["It is 2 + 1 = 4. The answer is 3."])[0].passed is True


def test_mixed_tasks_keep_their_order():
    with gate("none", threshold=0.999, task="open") as mixed:
        verdicts = mixed.check([OPEN, MATH, OPEN, MATH], [OPEN.solution, "It is 3.", "x", "It is 4."])
    assert [v.passed for v in verdicts] == [True, True, False, False]
