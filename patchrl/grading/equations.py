"""Do the equations a text writes hold? Plain arithmetic, exact, never evaluated by Python itself."""

from __future__ import annotations

import re
from fractions import Fraction

from patchrl.grading.arithmetic import OPERAND, arithmetic_value
from patchrl.grading.units import UNIT_KINDS, UNITS

_CALCULATOR = re.compile(r"<<([^<>]*)>>")
_START = r"(?<![\d.,])"  # within a long number nothing is tried again
# A stretch of arithmetic with at least one equals sign, as people write it inside a sentence.
# It starts where no sign or bracket stands before it, and gives nothing back: time stays linear in the text.
_STRETCH = re.compile(rf"(?<![-(])(?:[-(]++\s*+)?{OPERAND}(?:\s*[-+*/^()=]++\s*+(?:[-(]++\s*+)?(?:{OPERAND})?\)*+)*+")
_CHARACTERS = str.maketrans(
    {
        "×": "*",
        "·": "*",
        "÷": "/",
        "−": "-",
        "–": "-",
        "$": "",
        "€": "",
        "£": "",
        "¢": "",
        "≈": "~",
        "²": "^2",
        "³": "^3",
        "½": " 1/2",
        "¼": " 1/4",
        "¾": " 3/4",
        "°": "",
    }
)
# LaTeX and Markdown around arithmetic, each with what it means there. Every pattern is linear: it stops at a brace.
_MARKUP = [
    (re.compile(r"\\(?:begin|end)\{[a-z*]*\}|\\\\"), "\n"),
    (re.compile(r"\\[()\[\]]|\\(?:left|right)(?=[()])|\\[,;!]|\\q?quad\b|&(?==)"), " "),
    (re.compile(r"\\(?:boxed|text|mathbf|mathrm)\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}"), r" ((\1)/(\2))"),
    (re.compile(r"\\[dt]?frac(\d)(\d)"), r" ((\1)/(\2))"),
    (re.compile(r"\^\{?\\circ\}?"), ""),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\^\{([^{}]*)\}"), r"^(\1)"),
    (re.compile(r"\\(?=%)"), ""),
    (re.compile(r"(?<=[\d)])( ?)\*\*\1(?=[\d(])"), "^"),
    (re.compile(r"\*\*+"), ""),
    (re.compile(r"==+"), "="),
    (re.compile(r"\n[^\S\n]*=|=[^\S\n]*\n[^\S\n]*(?=[\d(])"), " = "),  # a chain goes on in the next line
    (re.compile(r"(\d/\d+|\d%) of (?:the )?(?=\d[\d,.]*\s?=)"), r"\1 * "),
    (
        re.compile(r"(?m)^[^\S\n]*(?:[*•]|(?:Step )?\(?(?:\d{1,3}|[A-Za-z])[.)])[^\S\n]+"),
        "",
    ),  # the number of a list's item
]
# `60 students - 40 students = 20 students`: one unit after every number says nothing about the arithmetic.
_ONE_UNIT = re.compile(
    rf"{_START}{OPERAND} (?P<unit>[A-Za-z]{{1,30}}?)s?\b(?:\s?[-+]\s?{OPERAND} (?P=unit)s?\b)++"
    rf"(?:\s?=\s?{OPERAND} (?P=unit)s?\b(?!\s*[-+*/]))?+"
)
# `300 seeds * 1/3 = 100 seeds`: nor does the unit of what is multiplied by plain numbers.
_SCALED_UNIT = re.compile(
    rf"{_START}{OPERAND} (?P<unit>[A-Za-z]{{1,30}}?)s?\b(?:\s?[*/]\s?{OPERAND})++\s?=\s?{OPERAND} (?P=unit)s?\b(?!\s*[-+*/])"
)
# `3 boxes * 12 eggs = 36 eggs`: nor do the units of two factors.
_FACTOR = rf"({OPERAND})(?:\s?([A-Za-z]{{2,15}})|\s([ghlms]))?"
_FACTORS_WITH_UNITS = re.compile(rf"{_START}{_FACTOR}\s?([*/])\s?{_FACTOR}\s?=\s?{_FACTOR}(?![A-Za-z]|\s?[-+*/(\d.%])")
# What stands directly before a stretch and makes it part of a larger expression: an operator, also with
# words after it ("25 + her original 98"; a minus there is most often a dash) or spelled out, a name (D1) or a
# variable (5x), a time (11:00), a ratio, a root, a mixed number (1 1/2), a part of something.
_AMOUNTS = ("total", "sum", "cost", "price", "profit", "amount", "distance", "speed", "weight", "height", "length",
    "area", "age", "capacity", "count", "salary")  # fmt: skip
_BEGINS_EARLIER = re.compile(
    r"(?:[-+*/^√%]|\d\s|\d\s+:|[-+*/]\s*\d+[.,]|(?<![A-Za-z]{3})[)\]}]|\\[A-Za-z]+"
    + "|"
    + "".join(rf"(?<!\b{name} )" for name in _AMOUNTS)
    + r"\bof|\b(?:plus|minus|times|by|over|than|twice|double|triple|half|mod|log|root)"
    r"|\d\s*[+*/]\s*(?:[A-Za-z’'`]+\s+){1,4})\s*$|[A-Za-z&)\]}_]$|(?<![A-Za-z])[.,:]$|(?:^|\s)[.,]\s*$",
    re.IGNORECASE,
)
# Words that join a stretch to a number before it in the same clause ("2 at 5", "1 and 1/2").
_JOINS = re.compile(r"(?:\b(?:and|at|an?)|(?<!that)(?<!\bit)[’'`]s)\s*$")
_UNFINISHED = re.compile(r"\d\s*[+*/]|[+*/]\s*\(?\d")
_THOUSANDS = re.compile(r"\d,\s+$")
_CLAUSE = re.compile(r"[.;:!?,]\s")
# After a stretch: an operator, a variable or a name but no unit, a number, a remainder.
_GOES_ON = re.compile(
    r"\s*[-+*/^(\[√]|(?!(?:[ckm]m|[km]?g|m[lb]|[kmg]b|mph|lbs?|oz|ft|hrs?|mins?)\b)[A-Za-z_:\\]|\s*\d"
    r"|\s+and\s+\(?\d+/\d|\s+(?:[Rr]|remainder|mod|with\s+(?:a\s+)?(?:remainder|\d))\b"
)
_REMARK_CHANGES = re.compile(r"\s*(?:mod|base|in|rem|round|approx|about|almost|with|or|plus)|\s*~")
_ASKED = re.compile(r"[\s\w]{0,20}\?")
_OF = re.compile(r"\s*of\b")
_TIGHT_FRACTION = re.compile(r"(/\s*)(\d+/\d+)(?![\d/.,])")
_PERCENT_CHANGE = re.compile(rf"\s*({OPERAND})\s*([-+])\s*(\d+(?:\.\d+)?)%\s*")
_BEFORE = 80


def failing_equation(text: str) -> str | None:
    """The first written equality that does not hold, as written; None when all hold.

    Checks chains such as `45 + 28 = 73` and `n := 2 * 3 = 6`; sides that are no plain arithmetic are
    skipped, and so is a side that the prose around it makes part of something larger. A decimal result
    may be rounded or cut off at the digits written. One unit after every number is left out; others end a side.
    """
    # A line break ends whatever was being written; a calculator mark is a line of its own.
    lines = _plain("\n".join([text, *_CALCULATOR.findall(text)])).splitlines()
    return next((wrong for line in lines if (wrong := _failing_in_line(line))), None)


def _failing_in_line(text: str) -> str | None:
    for found in _STRETCH.finditer(text):
        written = found[0].strip()
        if "=" not in written or _ASKED.match(text, found.end()):
            continue
        sides = written.split("=")
        lefts, rights = [_opened(side) for side in sides], [_closed(side) for side in sides]
        if lefts[0] == sides[0] and _is_joined(text[max(0, found.start() - _BEFORE) : found.start()], written):
            lefts[0] = ""
        goes_on = _REMARK_CHANGES if written.endswith("(") else _GOES_ON
        if (rights[-1] == sides[-1] or written.endswith("(")) and goes_on.match(text, found.end()):
            rights[-1] = ""
        if "/" in sides[-1] and _OF.match(text, found.end()):
            rights[-1] = ""
        if "%" in sides[-1] and _OF.match(text, found.end()):
            # "48 = 100% + 20% = 120% of the number": a percentage of something else is no plain number.
            lefts, rights = (["" if "%" in side else side for side in kept] for kept in (lefts, rights))
        for left, right in zip(lefts, rights[1:], strict=False):
            values = _readings(left), _readings(right)
            if all(values) and not any(_equal(a, left, b, right) for a in values[0] for b in values[1]):
                return f"{left.strip()} = {right.strip()}"
    return None


def _is_joined(before: str, written: str) -> bool:
    """Whether what stands before a stretch makes its first side a part of something larger."""
    if _BEGINS_EARLIER.search(before) or (written[0] == "-" and before.strip()):
        return True
    if _THOUSANDS.search(before) and re.match(r"\d{3}(?!\d)", written):
        return True
    clause = _CLAUSE.split(before)[-1]
    if "=" in clause:
        return False
    return bool(_UNFINISHED.search(clause) or (_JOINS.search(clause) and any(c.isdigit() for c in clause)))


def _opened(side: str) -> str:
    """A left side from its last bracket that is not closed in it, as in `5 (3 + 4 = 7)`.

    Empty when a bracket closes that was not opened, or when an operator stands before the open one.
    """
    opened = list[int]()
    for position, character in enumerate(side):
        if character == "(":
            opened.append(position + 1)
        elif character == ")":
            if not opened:
                return ""
            opened.pop()
    if not opened:
        return side
    return "" if side[: opened[-1] - 1].rstrip(" (").endswith(tuple("+-*/^")) else side[opened[-1] :]


def _closed(side: str) -> str:
    """A right side up to its first bracket without a partner."""
    opened = list[int]()
    for position, character in enumerate(side):
        if character == "(":
            opened.append(position)
        elif character == ")":
            if not opened:
                return side[:position]
            opened.pop()
    if not opened:
        return side
    return side[: opened[0]] if side[: opened[0]].endswith(" ") else ""


def _readings(side: str) -> list[Fraction]:
    """What a side can mean: its value, with `25 / 1/3` read as a division by a fraction, and without a dash."""
    written = [side]
    if (divided := _TIGHT_FRACTION.sub(r"\1(\2)", side)) != side:
        written.append(divided)
    if changed := _PERCENT_CHANGE.fullmatch(side):
        written.append(f"({changed[1]}) * (1 {changed[2]} {changed[3]}%)")  # "200 - 20%" is 160
    if side.startswith("- "):
        written.append(side[2:])  # a dash in front of a list's item
    return [value for text in written if (value := arithmetic_value(text)) is not None]


def written_equations(text: str) -> int:
    """How many equals signs stand between pieces of plain arithmetic."""
    return sum(found[0].count("=") for line in _plain(text).splitlines() for found in _STRETCH.finditer(line))


def _plain(text: str) -> str:
    """The text with calculator marks gone and every way to write an operator made one."""
    cents_too = "$" in text and "¢" in text  # "$5 + 50¢" is no sum of plain numbers
    text = _CALCULATOR.sub("", text.replace("¢", "¢ ") if cents_too else text)
    text = text.translate(_CHARACTERS | {ord("¢"): " cents"} if cents_too else _CHARACTERS)
    for pattern, meaning in _MARKUP:
        text = pattern.sub(meaning, text)
    text = re.sub(r"(?<![A-Za-z])[xX][^\S\n]*(?=[\d(.])", "* ", text)
    text = _FACTORS_WITH_UNITS.sub(_without_units, text)
    return _SCALED_UNIT.sub(_without_unit, _ONE_UNIT.sub(_without_unit, text))


def _without_unit(found: re.Match[str]) -> str:
    # Without the unit after the equals sign too, the result may be in another one ("50 cents + 50 cents = 1").
    return re.sub(r" [A-Za-z]+", "", found[0]) if "=" in found[0] else found[0]


def _without_units(found: re.Match[str]) -> str:
    """A product or quotient without its units; as it is where one unit would have to be turned into another, or
    a remainder is left over."""
    first, second = (arithmetic_value(found[group]) for group in (1, 5))
    if found[4] == "/" and (not first or not second or (first / second).denominator > 1):
        return found[0]
    units = {UNITS.get((found[group] or "").lower(), "") for group in (2, 3, 6, 7, 9, 10)}
    kinds = [UNIT_KINDS[unit] for unit in units if unit in UNIT_KINDS]
    return found[0] if len(set(kinds)) < len(kinds) else re.sub(r"\s?[A-Za-z]+(?=\s?[*/=])", "", found[0])


def _equal(left: Fraction, left_text: str, right: Fraction, right_text: str) -> bool:
    if left == right or left * 100 == right or left == right * 100:
        # 25 / 100 = 25 and 0.2 * 100 = 20%: percent signs come and go in everyday arithmetic.
        return left == right or "%" in left_text + right_text
    return any(_is_rounded(a, b, t) for a, b, t in ((left, right, right_text), (right, left, left_text)))


def _is_rounded(exact: Fraction, written: Fraction, text: str) -> bool:
    """Whether a decimal number is the exact value rounded, or cut off, at the digits written."""
    found = re.fullmatch(r"\s*[-+]?[\d,]*\.(\d+)\s*(%?)\s*", text)
    if not found:
        return False
    unit = Fraction(1, 10 ** (len(found[1]) + 2 * bool(found[2])))
    off = abs(exact - written)
    return off <= unit / 2 or (off < unit and abs(written) < abs(exact))
