"""Whether the equations that a text writes hold, by exact arithmetic."""

from __future__ import annotations

import re
from fractions import Fraction

from patchrl.grading.arithmetic import OPERAND, arithmetic_value, with_decimal_points
from patchrl.grading.equation_notation import CALCULATOR_MARK, plain_arithmetic

# A stretch of arithmetic with at least one equals sign, as people write it inside a sentence.
# It starts where no sign or bracket stands before it, and gives nothing back: time stays linear in the text.
_FACTORIAL = r"(?:!(?!=))?+"
_STRETCH = re.compile(
    rf"(?<![-(])(?:[-(]++\s*+)?{OPERAND}{_FACTORIAL}"
    rf"(?:\s*[-+*/^()=]++{_FACTORIAL}\s*+(?:[-(]++\s*+)?(?:{OPERAND}{_FACTORIAL})?(?:\){_FACTORIAL})*+)*+"
)
_FUNCTIONS = r"sqrt|cbrt|root|log|lg|ln|exp|a?(?:rc)?(?:sin|cos|tan)h?|cot|csc|max|min|gcd|lcm|abs|floor|ceil|choose"
# What may precede a stretch and make it part of a larger expression: an operator, also with words after it
# ("25 + her original 98"; a minus there is most often a dash) or spelled out, a function, a name (D1) or a variable
# (5x), a time (11:00), a ratio, a root, a mixed number (1 1/2), a part of something.
_AMOUNTS = ("total", "sum", "cost", "price", "profit", "amount", "distance", "speed", "weight", "height", "length",
    "area", "age", "capacity", "count", "salary")  # fmt: skip
_BEGINS_EARLIER = re.compile(
    r"(?:[-+*/^√∛%±∓₀-₉]|\d\s|\d\s+:|[-+*/]\s*\d+[.,]|(?<![A-Za-z]{3})[)\]}]|\\[A-Za-z]+"
    + "|"
    + "".join(rf"(?<!\b{name} )" for name in _AMOUNTS)
    + rf"\b(?:of|von|de)|\b(?:plus|minus|times|by|over|than|twice|double|triple|half|mod|{_FUNCTIONS})"
    r"|\d\s*[+*/]\s*(?:[A-Za-z’'`]+\s+){1,4})\s*$|[A-Za-z&)\]}_]$|(?<![A-Za-z])[.,:]$|(?:^|\s)[.,]\s*$",
    re.IGNORECASE,
)
# Words that join a stretch to a number before it in the same clause ("2 at 5", "1 and 1/2").
_JOINS = re.compile(r"(?:\b(?:and|at|an?)|(?<!that)(?<!\bit)[’'`]s)\s*$")
_UNFINISHED = re.compile(r"\d\s*[+*/]|[+*/]\s*\(?\d")
_THOUSANDS = re.compile(r"\d,\s+$")
_LIST = re.compile(r"(?<!\d)\d[\d.]*,\s+$")
_CLAUSE = re.compile(r"[.;:!?,]\s")
# After a stretch: an operator, a variable or a name but no unit, a number, a remainder.
_GOES_ON = re.compile(
    r"\s*[-+*/^(\[√]|(?!(?:[ckm]m|[km]?g|m[lb]|[kmg]b|mph|lbs?|oz|ft|hrs?|mins?)\b)[A-Za-z_:\\]|\s*\d"
    r"|\s+and\s+\(?\d+/\d|\s+(?:[Rr]|remainder|mod|with\s+(?:a\s+)?(?:remainder|\d))\b"
)
_REMARK_CHANGES = re.compile(r"\s*(?:mod|base|in|rem|round|approx|about|almost|with|or|plus)|\s*~")
_QUESTION = re.compile(r"[\s\w]{0,20}\?")
_OF = re.compile(r"\s*of\b")
_TIGHT_FRACTION = re.compile(r"(/\s*)(\d+/\d+)(?![\d/.,])")
_PERCENT_CHANGE = re.compile(rf"\s*({OPERAND})\s*([-+])\s*(\d+(?:\.\d+)?)%\s*")
_LONG_COMMA = re.compile(r"(?<=\d),(?=\d{4,}(?!\d|,\d))")  # 3,1416 and, mistyped, 16,0000 for 160,000
_RESULT = re.compile(r"\s*[-+]?[\d,]*(?:\.(\d+))?\s*(%?)\s*")
_DECIMAL_PERCENT = re.compile(r"(?<![\d.,])\d+\.(\d+)%")
REPEATING_DENOMINATORS = (3, 6, 7, 9, 11, 12)  # of fractions that people write as a rounded percentage
MAX_CONTEXT = 80  # characters read before a stretch


def failing_equation(text: str) -> str | None:
    """The first written equality that does not hold, None when all hold. It is given in plain arithmetic.

    Checks chains such as `45 + 28 = 73` and `n := 2 * 3 = 6`. Skipped is a side that is not plain arithmetic, or
    that the prose around it makes part of something larger. A result with decimals or in percent may be rounded or
    cut off at the digits written. One unit after every number is left out; other units end a side.
    """
    # A line break ends an equation; a calculator mark is a line of its own.
    lines = plain_arithmetic("\n".join([text, *CALCULATOR_MARK.findall(text)])).splitlines()
    return next((wrong for line in lines if (wrong := _failing_in_line(line))), None)


def _failing_in_line(text: str) -> str | None:
    for stretch in _STRETCH.finditer(text):
        written = with_decimal_points(stretch[0].strip())
        if "=" not in written or _QUESTION.match(text, stretch.end()):
            continue
        sides = written.split("=")
        lefts, rights = [_left_operand(side) for side in sides], [_right_operand(side) for side in sides]
        if lefts[0] == sides[0] and _is_joined(text[max(0, stretch.start() - MAX_CONTEXT) : stretch.start()], sides[0]):
            lefts[0] = ""
        goes_on = _REMARK_CHANGES if written.endswith("(") else _GOES_ON
        if (rights[-1] == sides[-1] or written.endswith("(")) and goes_on.match(text, stretch.end()):
            rights[-1] = ""
        if "/" in sides[-1] and _OF.match(text, stretch.end()):
            rights[-1] = ""
        if "%" in sides[-1] and _OF.match(text, stretch.end()):
            # "48 = 100% + 20% = 120% of the number": a percentage of something else is not a plain number.
            lefts, rights = (["" if "%" in side else side for side in kept] for kept in (lefts, rights))
        for left, right in zip(lefts, rights[1:], strict=False):
            if not (_hold(left, right) or _hold(_LONG_COMMA.sub(".", left), _LONG_COMMA.sub(".", right))):
                return f"{left.strip()} = {right.strip()}"
    return None


def _is_joined(before: str, side: str) -> bool:
    """Whether what precedes a stretch makes its first side a part of something larger."""
    if _BEGINS_EARLIER.search(before) or (side[0] == "-" and before.strip()):
        return True
    if _THOUSANDS.search(before) and re.match(r"\d{3}(?!\d)", side):
        return True
    *earlier, clause = _CLAUSE.split(before)
    if _LIST.search(before) and re.fullmatch(rf"{OPERAND}\s*", side) and "=" not in earlier[-1]:
        return True  # "the average of 4, 6, 8 = 6"
    if "=" in clause:
        return False
    return bool(_UNFINISHED.search(clause) or (_JOINS.search(clause) and any(c.isdigit() for c in clause)))


def _left_operand(side: str) -> str:
    """A left side from its last bracket that is not closed in it, as in `5 (3 + 4 = 7)`.

    Empty when a bracket closes that was not opened, or when an operator precedes the open one.
    """
    brackets = list[int]()
    for position, character in enumerate(side):
        if character == "(":
            brackets.append(position + 1)
        elif character == ")":
            if not brackets:
                return ""
            brackets.pop()
    if not brackets:
        return side
    return "" if side[: brackets[-1] - 1].rstrip(" (").endswith(tuple("+-*/^")) else side[brackets[-1] :]


def _right_operand(side: str) -> str:
    """A right side up to its first bracket without a partner."""
    brackets = list[int]()
    for position, character in enumerate(side):
        if character == "(":
            brackets.append(position)
        elif character == ")":
            if not brackets:
                return side[:position]
            brackets.pop()
    if not brackets:
        return side
    return side[: brackets[0]] if side[: brackets[0]].endswith(" ") else ""


def _hold(left: str, right: str) -> bool:
    """Whether two sides are equal in one of their readings, or one of them cannot be read."""
    return sides_are_equal(left, right) is not False


def sides_are_equal(left: str, right: str) -> bool | None:
    """Whether two sides of plain arithmetic are equal in one of their readings; None where one cannot be read."""
    values = _readings(left), _readings(right)
    return any(_are_equal(a, left, b, right) for a in values[0] for b in values[1]) if all(values) else None


def _readings(side: str) -> list[Fraction]:
    """The values that a side can have, each from one way to read it."""
    expressions = [side]
    if side.startswith("- "):
        expressions.append(side[2:])  # a dash in front of a list's item
    if side.rstrip().endswith("!"):
        expressions.append(side.rstrip()[:-1])  # "2 + 3 = 5!" exclaims
    for expression in list(expressions):
        if (divided := _TIGHT_FRACTION.sub(r"\1(\2)", expression)) != expression:
            expressions.append(divided)  # 25 / 1/3 divides by a third
        if change := _PERCENT_CHANGE.fullmatch(expression):
            expressions.append(f"({change[1]}) * (1 {change[2]} {change[3]}%)")  # "200 - 20%" is 160
        if not _RESULT.fullmatch(expression):
            expressions.append(_DECIMAL_PERCENT.sub(_repeating_fraction, expression))  # 66.67% of 12 is 8
    return [value for text in dict.fromkeys(expressions) if (value := arithmetic_value(text)) is not None]


def _repeating_fraction(percent: re.Match[str]) -> str:
    """The fraction that a percentage with decimals rounds, `(2/3)` for 66.7%; the percentage itself without one."""
    value, unit = Fraction(percent[0][:-1]) / 100, Fraction(1, 10 ** (len(percent[1]) + 2))
    for denominator in REPEATING_DENOMINATORS:
        fraction = Fraction(round(value * denominator), denominator)
        if 0 < abs(fraction - value) <= unit / 2:
            return f"({fraction.numerator}/{fraction.denominator})"
    return percent[0]


def written_equations(text: str) -> int:
    """How many equals signs stand between pieces of plain arithmetic."""
    lines = plain_arithmetic(text).splitlines()
    return sum(stretch[0].count("=") for line in lines for stretch in _STRETCH.finditer(line))


def _are_equal(left: Fraction, left_text: str, right: Fraction, right_text: str) -> bool:
    """Whether two sides are equal, exactly or rounded. In an equation with a percent sign 0.2 may be 20 as well."""
    return any(
        left * scale == right
        or _is_rounded(left * scale, right, right_text)
        or _is_rounded(right / scale, left, left_text)
        for scale in ((1, 100, Fraction(1, 100)) if "%" in left_text + right_text else (1,))
    )


def _is_rounded(exact: Fraction, written: Fraction, text: str) -> bool:
    """Whether a number with decimals or in percent is the exact value, rounded or cut off at the digits written."""
    result = _RESULT.fullmatch(text)
    if not result or not (result[1] or result[2]):
        return False
    unit = Fraction(1, 10 ** (len(result[1] or "") + 2 * bool(result[2])))
    difference = abs(exact - written)
    return difference <= unit / 2 or (difference < unit and abs(written) < abs(exact))
