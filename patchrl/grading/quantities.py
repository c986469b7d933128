"""Which number a text is: an exact value with its unit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from patchrl.grading.arithmetic import with_decimal_points
from patchrl.grading.notation import UNIT_NAME, without_text_macros
from patchrl.grading.units import SCALE_WORD, SCALES, UNITS

_WRITTEN = r"[-+−]?\s?(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2}){1,6},\d{3}|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3}|\s?/\s?\d+(?:\.\d+)?)?|[-+−]?\s?\.\d+"
NUMBER = re.compile(rf"(?<![A-Za-z0-9_.])(?:{_WRITTEN})(?![A-Za-z0-9_]*\d)")
MAYBE_LIST = re.compile(r"\d,\d{1,2}(?!\d)")  # "2,3" is two numbers, or 2.3 with a decimal comma
_SCALE = re.compile(rf"\d\s{{0,4}}({SCALE_WORD})", re.IGNORECASE)
_MIXED = re.compile(r"([-−]?)(\d+)\s+(\d+)\s?/\s?(\d+)(?:\s+[A-Za-z]+)*")
_DOLLARS = re.compile(r"\W{0,3}\\?\$\s?[-−]?[\d.]")
_SIMPLE_FRACTION = re.compile(r"(?<!\d)([-−]?)(\d{0,12})\s?\\[dt]?frac\s?(?:\{(\d+)\}|(\d))\s?(?:\{(\d+)\}|(\d))")
_SQUARE = re.compile(rf"\b(square|sq\.?|cubic)\s({UNIT_NAME})\b", re.IGNORECASE)
_RATE = re.compile(r"\b(?:per|an?|each|every)\s+[a-z]+")
_DIFFERENCE = re.compile(r"(?<![A-Za-z])[A-Za-z]\s*[-−+]\s?\d")  # x - 3
VARIABLE = re.compile(r"\d[abdefijnoqrtuvwxyz]\b")  # 27x; the other letters are units


@dataclass(frozen=True)
class Quantity:
    """An exact rational; `percent` when it was written with a percent sign, `unit` when with a common one."""

    value: Fraction
    percent: bool = False
    unit: str | None = None


def parse_quantity(text: str) -> Quantity | None:
    r"""A text that holds exactly one plain number with at most a unit or currency around it.

    Understands signs, thousands separators, decimal commas, a/b, mixed numbers, `million`, `\text{ cm}` and a percent
    sign.
    """
    dollars = _DOLLARS.match(text) is not None and text.count("$") == 1
    text = _SIMPLE_FRACTION.sub(
        lambda m: f"{m[1]}{m[2]} {m[3] or m[4]}/{m[5] or m[6]}" if m[2] else f"{m[1]}{m[3] or m[4]}/{m[5] or m[6]}",
        text,
    )
    text = without_text_macros(text).replace("\\$", "$").replace("\\%", "%").replace("\\,", "").strip()
    text = text.strip("$*`'\" ").rstrip(".,;:")
    text = re.sub(
        r"^([-−]?[$€£¥₹]?\d{1,3})((?: \d{3})+)(?!\d)", lambda m: m[0].replace(" ", ""), with_decimal_points(text)
    )
    if re.fullmatch(r"[-+]?\d+(?:\.\d+)?[eE][-+]?\d{1,3}", text):
        return Quantity(Fraction(text))
    if (
        len(text) > 80
        or "\\" in text
        or _DIFFERENCE.search(text)
        or re.search(r"[\[\](){}^=√π]", text)
        or VARIABLE.search(text)
    ):
        return None
    value: Fraction | None
    mixed = _MIXED.fullmatch(text)
    if mixed and int(mixed[4]):
        size = int(mixed[2]) + Fraction(int(mixed[3]), int(mixed[4]))
        value, around = -size if mixed[1] else size, text[mixed.end(4) :]
    else:
        numbers = NUMBER.findall(text)
        if len(numbers) != 1:
            return None
        value, around = to_fraction(numbers[0]), text.replace(numbers[0], " ", 1)
    if re.search(r"[^\s\w$€£¥₹¢%°.,'’/-]|(?<![A-Za-z])/|/(?![A-Za-z])|\d", around) or value is None:
        return None
    if scale := _SCALE.search(text):
        value *= SCALES[scale[1].lower()]
    return Quantity(value, "%" in around or "percent" in around, _unit(around.lower(), dollars))


def quantity_value(text: str) -> Fraction | None:
    """The number that a text holds, with a percent sign as hundredths; None as in `parse_quantity`."""
    quantity = parse_quantity(text)
    return None if quantity is None else quantity.value / (100 if quantity.percent else 1)


def _unit(around: str, dollars: bool) -> str | None:
    """The one common unit around a number; what it is counted by (`per hour`) is none."""
    around = _SQUARE.sub(lambda m: m[2] + ("³" if m[1].lower() == "cubic" else "²"), _RATE.sub(" ", around))
    units = set()
    for word in re.findall(r"°?[a-z]+[²³]?(?:/[a-z]+[²³]?)?|[€£¥₹¢]", around):
        names = [name.rstrip("²³") for name in word.split("/")]
        if all(name in UNITS for name in names):
            units.add("/".join(UNITS[n] + part[len(n) :] for n, part in zip(names, word.split("/"), strict=True)))
    units |= {"dollar"} if dollars else set()
    return units.pop() if len(units) == 1 else None


def to_fraction(text: str) -> Fraction | None:
    """An integer, decimal or a/b as an exact rational, None for anything else."""
    text = text.replace(",", "").replace("−", "-").replace(" ", "")
    top, slash, bottom = text.partition("/")
    try:
        return Fraction(top) / Fraction(bottom) if slash else Fraction(top)
    except (ValueError, ZeroDivisionError):
        return None
