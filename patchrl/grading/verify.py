"""The verdict on a text: its answer equals the reference, and its equations hold."""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from threading import Lock
from types import TracebackType
from typing import Literal, get_args

from patchrl.grading.choices import choice_letter
from patchrl.grading.commitment import Expected, commits_to_words, lack_of_commitment
from patchrl.grading.coverage import MIN_SHARE, lack_of_coverage
from patchrl.grading.coverage import read_row as read_claims
from patchrl.grading.derivation import lack_of_derivation, read_row
from patchrl.grading.equality import (
    TIME,
    answer_quantity,
    are_same_letters,
    exact_comparison,
    for_math_verify,
    have_other_bases,
    is_same_quantity,
    is_same_time,
)
from patchrl.grading.equations import failing_equation
from patchrl.grading.math_answers import find_math_answer
from patchrl.grading.math_process import MathProcess
from patchrl.grading.notation import DASHES, plain_mathematics, without_text_macros, without_thoughts
from patchrl.grading.quantities import MAYBE_LIST, parse_quantity
from patchrl.grading.text_answers import (
    answer_words,
    find_text_answers,
    first_sentence,
    is_same_text,
    names,
    normalize,
    without_fences,
    without_stops,
)
from patchrl.types import EvalTask, Verdict

Reasoning = Literal["derivation", "coverage", "equations", "none"]
MAX_CANDIDATE = 100_000  # characters; a model should write far fewer for one answer
NO_DERIVATION = "the expert solution shows no steps to compare with"
NO_CLAIMS = "the expert solution says nothing beyond its answer"
_NAME = re.compile(r"[A-Za-z]{2,}(?:[ '-][A-Za-z]+)*")


class Verifier:
    """Judges candidates: finds the answer, asks whether the text commits to it, reads its value, compares it.

    Plain numbers and words are compared here. Other mathematics goes to math-verify in a process of its own, which
    is killed when it passes the deadline (unscorable, never a pass).
    """

    def __init__(
        self, *, timeout: float = 2.0, reasoning: Reasoning = "equations", process: MathProcess | None = None
    ) -> None:
        """`timeout` is in seconds of processor time for each comparison by math-verify."""
        if reasoning not in get_args(Reasoning):
            raise ValueError(
                f"verify: reasoning is {reasoning!r}; use derivation, coverage, equations or none here, as a judge "
                "needs the backbone that only a study's gate has."
            )
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < float("inf"):
            raise ValueError(f"verify: timeout is {timeout!r:.40}; give seconds of processor time above 0.")
        self.timeout, self.reasoning = timeout, reasoning
        self._math_process = process or MathProcess()

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process of math-verify, if one was started."""
        self._math_process.close()

    def verify_many(self, items: Sequence[tuple[EvalTask, str | None, str]]) -> list[Verdict]:
        """One verdict for each (task, reference, candidate), in order."""
        return [self.verify(task, reference, candidate) for task, reference, candidate in items]

    def verify(
        self,
        task: EvalTask,
        reference: str | None,
        candidate: str,
        *,
        question: str | None = None,
        solution: str | None = None,
    ) -> Verdict:
        """The verdict on one candidate; `passed` is None when it cannot be decided.

        `question` and the expert `solution` are what reasoning is compared with; without them neither coverage nor a
        derivation in mathematics is decided.
        """
        if task not in get_args(EvalTask):
            raise ValueError(f"verify: task is {task!r}; use one of {', '.join(get_args(EvalTask))}.")
        if task == "open" and self.reasoning == "coverage":
            return covered(Verdict(True, "", candidate), question, solution, None, candidate)
        if task == "open":
            return Verdict(None, "an open-ended task needs a judge")
        reference, candidate = reference if reference is None else str(reference), str(candidate or "")
        if reference is None or not reference.strip():
            return Verdict(None, "no reference answer")
        if len(candidate) > MAX_CANDIDATE:
            return Verdict(False, f"longer than {MAX_CANDIDATE:,} characters", None, reference)
        judge = {"math": self._judge_math, "choice": _judge_choice, "exact": _judge_words, "mention": _judge_mention}[
            task
        ]
        passed, reason, answer = judge(reference.strip(), without_thoughts(candidate))
        if not passed:
            return Verdict(passed, reason or _mismatch(answer, reference), answer, reference)
        if self.reasoning == "none":
            return Verdict(True, "answer matches", answer, reference)
        if wrong := failing_equation(candidate):
            return Verdict(False, f"equation does not hold: {wrong}", answer, reference)
        if self.reasoning == "coverage" and task != "mention":
            return covered(
                Verdict(True, "answer matches and", answer, reference), question, solution, reference.strip(), candidate
            )
        if self.reasoning == "equations" or task != "math":
            return Verdict(True, "answer matches and equations hold", answer, reference)
        if question is None or solution is None:
            return Verdict(None, "a derivation needs the question and the expert solution", answer, reference)
        row = read_row(question, solution, reference.strip())
        if not row.is_scorable:
            return Verdict(None, NO_DERIVATION, answer, reference)
        if lack := lack_of_derivation(without_thoughts(candidate), row):
            return Verdict(False, f"not derived: {lack}", answer, reference)
        return Verdict(True, "answer matches and is derived", answer, reference)

    def _judge_math(self, reference: str, candidate: str) -> _Judgement:
        if _NAME.fullmatch(name := without_text_macros(reference).strip()):  # a person, or "even"
            return _judge_words(name, candidate)
        text = plain_mathematics(candidate, bullets=not reference.startswith(("-", "−", *DASHES)))
        answer = find_math_answer(text)
        if answer is None:
            return False, "", None
        plain_reference = plain_mathematics(reference, bullets=False)
        quantity = parse_quantity(plain_reference)
        is_number = quantity is not None and not MAYBE_LIST.search(plain_reference)
        expected: Expected = "alternatives" if " or " in reference else "number" if is_number else "formula"
        if problem := lack_of_commitment(text, answer, expected):
            return False, f"{problem}: {answer.text[:80]}", answer.text
        if time := TIME.fullmatch(plain_reference):  # to math-verify it is a ratio
            return is_same_time(time, TIME.search(text, answer.start)), "", answer.text
        if have_other_bases(plain_reference, answer.text):
            return False, "", answer.text
        if are_same_letters(plain_reference, answer.text):
            return True, "", answer.text
        value = answer_quantity(answer) if is_number else parse_quantity(answer.text)
        if quantity is not None and value is not None:
            return is_same_quantity(quantity, value), "", answer.text
        if (is_equal := exact_comparison(plain_reference, answer.text)) is not None:
            return is_equal, "", answer.text
        verdict = self._math_process.compare(*for_math_verify(plain_reference, answer.text), self.timeout)
        if isinstance(verdict, str):
            return None, verdict, answer.text
        return verdict, "", answer.text


def covered(
    verdict: Verdict,
    question: str | None,
    solution: str | None,
    reference: str | None,
    candidate: str,
    min_share: float = MIN_SHARE,
    similar: Collection[int] = (),
) -> Verdict:
    """A verdict that passed so far, with what the coverage of the expert solution says; arguments as in `lack_of_coverage`."""
    if question is None or solution is None:
        return replace(verdict, passed=None, reason="coverage needs the question and the expert solution")
    row = read_claims(question, solution, reference)
    if not row.is_scorable:
        return replace(verdict, passed=None, reason=NO_CLAIMS)
    if lack := lack_of_coverage(without_thoughts(candidate), row, min_share, similar):
        return replace(verdict, passed=False, reason=f"not covered: {lack}")
    return replace(verdict, passed=True, reason=f"{verdict.reason} what the expert says comes back".strip())


# Whether the answer is right (None: undecided), why not where the mismatch itself does not say it, and the answer.
_Judgement = tuple[bool | None, str, str | None]


def _judge_choice(reference: str, candidate: str) -> _Judgement:
    expected = choice_letter(reference)
    if expected is None:
        return None, f"the reference names no choice: {reference[:80]}", None
    letter = choice_letter(candidate)
    return letter == expected, _mismatch(letter, expected), letter


def _judge_words(reference: str, candidate: str) -> _Judgement:
    text = without_fences(candidate)
    first_answer = None
    for answer in find_text_answers(text):
        words = answer_words(answer) if commits_to_words(text, answer) else ""
        if answer.kind == "first sentence":  # "Paris. It lies on the Seine."
            is_same = words != "" and words == without_stops(normalize(reference))
        else:
            first_answer = words or None
            is_same = words != "" and is_same_text(reference, words)
        if is_same:
            return True, "", words
    return False, "", first_answer


def _judge_mention(reference: str, candidate: str) -> _Judgement:
    sentence = first_sentence(without_fences(candidate))
    return names(reference, sentence), "", sentence or None


def _mismatch(answer: str | None, reference: str) -> str:
    return "no answer found" if answer is None else f"answer is {answer[:80]}, expected {reference[:80]}"


_shared_process, _shared_lock = MathProcess(), Lock()


def _forget_shared_process() -> None:
    """Leave the process of math-verify to the parent after a fork, as both would read its answers."""
    global _shared_process, _shared_lock
    _shared_process, _shared_lock = MathProcess(), Lock()


os.register_at_fork(after_in_child=_forget_shared_process)
atexit.register(lambda: _shared_process.close())


def verify_answer(
    task: EvalTask,
    reference: str | None,
    candidate: str,
    *,
    reasoning: Reasoning = "none",
    question: str | None = None,
    solution: str | None = None,
    timeout: float = 2.0,
) -> Verdict:
    """Judge one candidate against a reference.

    Calls share one process of math-verify, which ends with the program. Several threads take turns at it.

    Args:
        task: math, choice, exact, open, or mention (the first sentence names the reference).
        reference: the right answer; None makes the verdict undecided.
        candidate: the text to judge.
        reasoning: `equations` also checks every written equation; `derivation` asks in mathematics that the steps of
            the text lead from the question's numbers to the answer; `coverage` asks that the text says what the expert
            says, and brings in no new number or name. A study's gate does as `gate.reasoning` says.
        question: the question; needed by `derivation` and `coverage`.
        solution: the expert solution, which says what is asked of the text; needed by `derivation` and `coverage`.
        timeout: seconds of processor time for a comparison by math-verify.

    Raises ValueError for an unknown task or `reasoning`, for a timeout that is not above 0, and for `derivation` and
    `coverage` without `question` and `solution`.

    Example:
        >>> verify_answer("math", "1/2", "So the answer is 0.5.").passed
        True
    """
    compares = reasoning == "coverage" or (reasoning == "derivation" and task == "math")
    if compares and (question is None or solution is None):
        raise ValueError(f"verify_answer: reasoning={reasoning!r} needs question=… and solution=…, the expert's text.")
    with _shared_lock:
        return Verifier(timeout=timeout, reasoning=reasoning, process=_shared_process).verify(
            task, reference, candidate, question=question, solution=solution
        )
