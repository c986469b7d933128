"""Whether a value read from a text equals the reference."""

from __future__ import annotations

import re

from patchrl.grading.answer_span import AnswerSpan
from patchrl.grading.notation import as_interval
from patchrl.grading.quantities import Quantity, parse_quantity
from patchrl.grading.units import SCALE_WORD

TIME = re.compile(r"\b(\d{1,2}:\d{2})\b(?:\s?([ap])\.?m\b\.?)?", re.IGNORECASE)
_SUBSCRIPT = re.compile(r"\d_\{?(\d+)")
_FIRST_NUMBER = re.compile(
    rf"(?<![\d.,:/])[-−]?[$€£]?\d[\d,]*(?:\.\d+)?(?:\s?/\s?\d+)?%?(?:\s?{SCALE_WORD})?(?![:,/.]?\d)"
)


def answer_quantity(answer: AnswerSpan) -> Quantity | None:
    """The number that an answer is, None for a formula.

    Of several numbers between words ("145 dollars for 3 nights") the first one counts, unless the answer is boxed.
    """
    if (whole := parse_quantity(answer.text)) is not None:
        return whole
    if answer.kind != "box" and not re.search(r"[\\^=(){}\[\]!√π±]", answer.text):
        first = _FIRST_NUMBER.search(answer.text)
        return parse_quantity(first[0]) if first else None
    return None


def is_same_quantity(expected: Quantity, answer: Quantity) -> bool:
    """Whether two quantities are equal, units included where both have one.

    Only a reference in percent may also be met as a fraction.
    """
    is_pound = {expected.unit, answer.unit} == {"£", "pound"}
    if expected.unit and answer.unit and expected.unit != answer.unit and not is_pound:
        return False
    if expected.value == answer.value:
        return True
    return expected.percent and not answer.percent and answer.value * 100 == expected.value


def is_same_time(expected: re.Match[str], answer: re.Match[str] | None) -> bool:
    """Whether two matches of TIME are one time of day. A missing `am` or `pm` is not a difference."""
    return (
        answer is not None
        and expected[1].lstrip("0") == answer[1].lstrip("0")
        and (not expected[2] or not answer[2] or expected[2].lower() == answer[2].lower())
    )


def have_other_bases(reference: str, answer: str) -> bool:
    """Whether both are numbers with a base, such as 10_2 and 10_3, and the bases differ."""
    bases = [set(_SUBSCRIPT.findall(side)) for side in (reference, answer)]
    return all(bases) and bases[0] != bases[1]


def are_same_letters(reference: str, answer: str) -> bool:
    """Whether both are the same characters without a digit, which math-verify would take for words."""
    return re.sub(r"[\s$]", "", reference) == re.sub(r"[\s$]", "", answer) and not re.search(r"\d", answer)


def for_math_verify(text: str) -> str:
    """An expression as math-verify reads it: an inequality as an interval."""
    return as_interval(text) or text
