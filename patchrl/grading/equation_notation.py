"""Arithmetic in prose, LaTeX or Markdown turned into plain arithmetic."""

from __future__ import annotations

import re
from unicodedata import normalize

from patchrl.grading.arithmetic import OPERAND, arithmetic_value
from patchrl.grading.notation import DASHES, unify_signs
from patchrl.grading.units import UNIT_KINDS, UNITS

CALCULATOR_MARK = re.compile(r"<<([^<>]*)>>")
NUMBER_START = r"(?<![\d.,])"  # a long number is tried once
MAX_NESTING = 4  # fractions and powers inside each other
_CHARACTERS = str.maketrans(
    dict.fromkeys("×", "*") | dict.fromkeys("÷∶", "/") | dict.fromkeys("−" + DASHES, "-") | dict.fromkeys("$€£°", "")
    | {"¢": "", "≈": "~", "²": "^2", "³": "^3"}
)  # fmt: skip
_LONG_DASH = re.compile(r"(?<=[\d)])(?:[—―](?=[\d(])| [—―] (?=\d[\d.,]*\s?=))")  # also in "8 — 3 = 5"
_SUPERSCRIPTS = re.compile(r"(?<=[\d)])[⁰¹²³⁴-⁹⁻]+")
_VULGAR_FRACTION = re.compile("[¼-¾⅐-⅞]")
_POWER = re.compile(r"\^\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
# LaTeX and Markdown around arithmetic, each with what it means there. Every pattern is linear: it stops at a brace.
_MARKUP = [
    (re.compile(r"\\(?:begin|end)\{[a-z*]*\}|\\\\"), "\n"),
    (re.compile(r"\\[()\[\]]|\\(?:left|right)(?=[()])|\\[,;!]|\\q?quad\b|&(?==)"), " "),
    (re.compile(r"\\(?:boxed|text|mathbf|mathrm)\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\[dt]?frac(\d)(\d)"), r" ((\1)/(\2))"),
    (re.compile(r"\^\{?\\circ\}?"), ""),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
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
# What is taken once stays taken: `(?=(?P<x>…))(?P=x)` says it, as `(…)++` fails in Python 3.11.2 (cpython#106052).
# `60 students - 40 students = 20 students`: one unit after every number says nothing about the arithmetic.
_ONE_UNIT = re.compile(
    rf"{NUMBER_START}{OPERAND} (?P<unit>[A-Za-z]{{1,30}}?)s?\b"
    rf"(?=(?P<terms>(?:\s?[-+]\s?{OPERAND} (?P=unit)s?\b)+))(?P=terms)"
    rf"(?=(?P<result>(?:\s?=\s?{OPERAND} (?P=unit)s?\b(?!\s*[-+*/]))?))(?P=result)"
)
# `300 seeds * 1/3 = 100 seeds`: nor does the unit of what is multiplied by plain numbers.
_SCALED_UNIT = re.compile(
    rf"{NUMBER_START}{OPERAND} (?P<unit>[A-Za-z]{{1,30}}?)s?\b(?=(?P<factors>(?:\s?[*/]\s?{OPERAND})+))(?P=factors)"
    rf"\s?=\s?{OPERAND} (?P=unit)s?\b(?!\s*[-+*/])"
)
# `3 boxes * 12 eggs = 36 eggs`: nor do the units of two factors.
_FACTOR = rf"({OPERAND})(?:\s?([A-Za-z]{{2,15}})|\s([ghlms]))?"
_FACTORS_WITH_UNITS = re.compile(
    rf"{NUMBER_START}{_FACTOR}\s?([*/])\s?{_FACTOR}\s?=\s?{_FACTOR}(?![A-Za-z]|\s?[-+*/(\d.%])"
)


def plain_arithmetic(text: str) -> str:
    """A text with one sign for each operator, without calculator marks, markup and units that say nothing."""
    has_cents = "$" in text and "¢" in text  # "$5 + 50¢" adds numbers of two units
    text = CALCULATOR_MARK.sub("", text.replace("¢", "¢ ") if has_cents else text)
    text = _LONG_DASH.sub("-", unify_signs(text))
    text = _SUPERSCRIPTS.sub(lambda digits: f"^({normalize('NFKC', digits[0])})", text)
    text = _VULGAR_FRACTION.sub(lambda sign: f" {normalize('NFKC', sign[0])}".replace("⁄", "/"), text)
    text = text.translate(_CHARACTERS | {ord("¢"): " cents"} if has_cents else _CHARACTERS)
    for pattern, meaning in _MARKUP:
        text = pattern.sub(meaning, text)
    for _ in range(MAX_NESTING):
        flat = _FRACTION.sub(r" ((\1)/(\2))", _POWER.sub(r"^(\1)", text))
        if flat == text:
            break
        text = flat
    text = re.sub(r"(?<![A-Za-z])[xXхХ][^\S\n]*(?=[\d(.])", "* ", text)
    text = _FACTORS_WITH_UNITS.sub(_without_units, text)
    return _SCALED_UNIT.sub(_without_unit, _ONE_UNIT.sub(_without_unit, text))


def _without_unit(match: re.Match[str]) -> str:
    # Without the unit after the equals sign too, the result may be in another one ("50 cents + 50 cents = 1").
    return re.sub(r" [A-Za-z]+", "", match[0]) if "=" in match[0] else match[0]


def _without_units(match: re.Match[str]) -> str:
    """A product or quotient without its units; as it is where one unit would have to be turned into another, or
    a remainder is left over."""
    first, second = (arithmetic_value(match[group]) for group in (1, 5))
    if match[4] == "/" and (not first or not second or (first / second).denominator > 1):
        return match[0]
    units = {UNITS.get((match[group] or "").lower(), "") for group in (2, 3, 6, 7, 9, 10)}
    kinds = [UNIT_KINDS[unit] for unit in units if unit in UNIT_KINDS]
    return match[0] if len(set(kinds)) < len(kinds) else re.sub(r"\s?[A-Za-z]+(?=\s?[*/=])", "", match[0])
