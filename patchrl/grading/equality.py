"""Whether a value read from a text equals the reference."""

from __future__ import annotations

import re
from fractions import Fraction

from patchrl.grading.answer_span import AnswerSpan
from patchrl.grading.arithmetic import arithmetic_value
from patchrl.grading.equation_notation import plain_arithmetic
from patchrl.grading.notation import UNIT_NAME, as_interval
from patchrl.grading.quantities import Quantity, parse_quantity
from patchrl.grading.units import SCALE_WORD, UNITS

TIME = re.compile(r"\b(\d{1,2}:\d{2})\b(?:\s?([ap])\.?m\b\.?)?", re.IGNORECASE)
_SUBSCRIPT = re.compile(r"\d_\{?(\d+)")
_FIRST_NUMBER = re.compile(
    rf"(?<![\d.,:/])[-−]?[$€£]?\d[\d,]*(?:\.\d+)?(?:\s?/\s?\d+)?%?(?:\s?{SCALE_WORD})?(?![:,/.]?\d)"
)
_UNIT_AT_END = re.compile(r"(?<=\S)(?:\s|~|\\[,;:])+([A-Za-z]{2,}|[A-Za-z](?=[²³]))[²³]?(?:/[A-Za-z]+)?\s*$")
_BRACKETS = re.compile(r"(\(|\[|\\\{)(.*)(\)|\]|\\\})", re.DOTALL)
MAX_EXACT = 500  # characters of an expression that is evaluated here


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


def exact_comparison(reference: str, answer: str) -> bool | None:
    """Whether two expressions of numbers, or two tuples, sets or intervals of such, are exactly equal.

    math-verify compares floats, to which 1/2^99 and 1/2^98 are one number. None where one of the two is not such an
    expression, or they have different brackets.
    """
    expected, value = _exact_values(reference), _exact_values(answer)
    if expected is None or value is None or expected[0] != value[0]:
        return None
    is_set = expected[0] == r"\{\}"
    return set(expected[1]) == set(value[1]) if is_set else expected[1] == value[1]


def _exact_values(text: str) -> tuple[str, list[Fraction]] | None:
    r"""The brackets around an expression ("" for a single number) and its values in order, as `()`, [1, 2] of (1, 2)."""
    text = re.sub(r"\\(?:left|right)(?![A-Za-z])|[$\s]+(?=$)|^[$\s]+", "", text)
    if len(text) > MAX_EXACT or "%" in text:
        return None
    brackets, items = "", [text]
    if (group := _BRACKETS.fullmatch(text)) and "," in group[2]:
        if re.search(r",\d{3}(?!\d)", group[2]):  # (1,234) is a pair or a number in brackets
            return None
        brackets, items = group[1] + group[3], group[2].split(",")
    values = [arithmetic_value(plain_arithmetic(item)) for item in items]
    return None if None in values else (brackets, [value for value in values if value is not None])


def for_math_verify(reference: str, answer: str) -> tuple[str, str]:
    """A reference and an answer as math-verify reads them.

    An inequality becomes an interval, operators are in ASCII and LaTeX, and a unit that only one of the two has goes.
    """
    units = [_UNIT_AT_END.search(text) for text in (reference, answer)]
    units = [
        unit if unit and (unit[1].lower() in UNITS or re.fullmatch(UNIT_NAME, unit[1])) else None for unit in units
    ]
    if units[0] is None or units[1] is None:
        reference, answer = (
            text[: unit.start()] if unit else text for text, unit in zip((reference, answer), units, strict=True)
        )
    return _latex(reference), _latex(answer)


def _latex(text: str) -> str:
    text = as_interval(text) or text
    return text.replace("−", "-").replace("×", r"\times ").replace("÷", r"\div ")
