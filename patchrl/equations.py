"""Do the equations a text writes hold? Plain arithmetic, exact, never evaluated by Python itself."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_OPERAND = r"(?:\d+(?:,\d+)*(?:\.\d+)?|\.\d+)%?"
_TOKEN = re.compile(rf"\s*({_OPERAND}|[-+*/()=])")
# A stretch of arithmetic with at least one equals sign, as people write it inside a sentence.
# It starts where no sign or bracket stands before it, and gives nothing back: time stays linear in the text.
_STRETCH = re.compile(rf"(?<![-(])(?:[-(]++\s*+)?{_OPERAND}(?:\s*[-+*/()=]++\s*+(?:[-(]++\s*+)?(?:{_OPERAND})?\)*+)*+")
_CHARACTERS = str.maketrans(
    {"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "$": "", "€": "", "£": "", "¢": "", "≈": "~"}
)
# What stands directly before or after a stretch that makes it part of a larger expression: an operator,
# also with words after it ("25 + her original 98"; a minus there is most often a dash), a name (D1) or a
# variable (5x), a time (11:00), a root, a mixed number (1 1/2), "1 and 1/2".
_BEGINS_EARLIER = re.compile(
    r"(?:[-+*/^√:.,)\]}]|\d\s|\b(?:and|of|at|an?)|[’'`]s|\d\s*[+*/]\s*(?:[A-Za-z’'`]+\s+){1,4})\s*$|[A-Za-z%&]$"
)
_GOES_ON = re.compile(r"\s*[-+*/^(\[√]|[A-Za-z_:\\]|\s*\d|\s+and\s+\(?\d")
_TIGHT_FRACTION = re.compile(r"(/\s*)(\d+/\d+)(?![\d/.,])")
MAX_TERMS = 200


def failing_equation(text: str) -> str | None:
    """The first written equality that does not hold, as written; None when all hold.

    Checks chains such as `45 + 28 = 73` and `n := 2 * 3 = 6`; sides that are no plain arithmetic are
    skipped. A decimal result may be rounded to the digits written. Units between numbers end a side.
    """
    # A line break ends whatever was being written.
    return next((wrong for line in _plain(text).splitlines() if (wrong := _failing_in_line(line))), None)


def _failing_in_line(text: str) -> str | None:
    for found in _STRETCH.finditer(text):
        written = found[0].strip()
        if "=" not in written:
            continue
        sides = written.split("=")
        values = [_readings(side) for side in sides]
        start = found.end() - len(found[0].lstrip())
        before = text[max(0, start - 40) : start]
        if _BEGINS_EARLIER.search(before) or (written[0] == "-" and before[-2:].strip()):
            values[0] = []
        if _GOES_ON.match(text, found.end()):
            values[-1] = []
        for (left, lefts), (right, rights) in pairwise(zip(sides, values, strict=True)):
            if lefts and rights and not any(_equal(a, left, b, right) for a in lefts for b in rights):
                return f"{left.strip()} = {right.strip()}"
    return None


def _readings(side: str) -> list[Fraction]:
    """What a side can mean: its value, and with `25 / 1/3` read as a division by a fraction."""
    written = [side]
    if (divided := _TIGHT_FRACTION.sub(r"\1(\2)", side)) != side:
        written.append(divided)
    return [value for text in written if (value := _value(text)) is not None]


def written_equations(text: str) -> int:
    """How many equals signs stand between pieces of plain arithmetic."""
    return sum(found[0].count("=") for line in _plain(text).splitlines() for found in _STRETCH.finditer(line))


def _plain(text: str) -> str:
    """The text with calculator marks gone and every way to write an operator made one."""
    text = _CALCULATOR.sub("", text).translate(_CHARACTERS)
    return re.sub(r"(?<![A-Za-z])[xX][^\S\n]*(?=[\d(.])", "* ", text)


def _value(side: str) -> Fraction | None:
    """The exact value of a side, None when it is no complete arithmetic expression."""
    tokens, position, side = [], 0, side.strip().rstrip(",")
    while position < len(side):
        found = _TOKEN.match(side, position)
        if not found:
            return None
        tokens.append(found[1])
        position = found.end()
    if not tokens or len(tokens) > MAX_TERMS:
        return None
    try:
        value, rest = _sum(tokens)
    except (ValueError, ZeroDivisionError, IndexError, RecursionError):
        return None
    return value if not rest else None


def _sum(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, tokens = _product(tokens)
    while tokens and tokens[0] in "+-":
        operator = tokens[0]
        term, tokens = _product(tokens[1:])
        value = value + term if operator == "+" else value - term
    return value, tokens


def _product(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, tokens = _atom(tokens)
    while tokens and tokens[0] in "*/":
        operator = tokens[0]
        factor, tokens = _atom(tokens[1:])
        value = value * factor if operator == "*" else value / factor
    return value, tokens


def _atom(tokens: list[str]) -> tuple[Fraction, list[str]]:
    head, rest = tokens[0], tokens[1:]
    if head in "+-":
        value, rest = _atom(rest)
        return (-value if head == "-" else value), rest
    if head == "(":
        value, rest = _sum(rest)
        if rest[0] != ")":
            raise ValueError("unbalanced")
        return value, rest[1:]
    percent = head.endswith("%")
    return Fraction(head.rstrip("%").replace(",", "")) / (100 if percent else 1), rest


def _equal(left: Fraction, left_text: str, right: Fraction, right_text: str) -> bool:
    if left == right or left * 100 == right or left == right * 100:
        # 25 / 100 = 25 and 0.2 * 100 = 20%: percent signs come and go in everyday arithmetic.
        return left == right or "%" in left_text + right_text
    digits = [
        len(t.split(".")[1].strip(" )%"))
        for t in (left_text, right_text)
        if re.fullmatch(r"\s*[-+]?[\d,]*\.\d+\s*%?\s*", t)
    ]
    return bool(digits) and abs(left - right) <= Fraction(1, 10 ** min(digits))
