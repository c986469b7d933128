"""What number a text is: exact values with their unit, read in every common way of writing one."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

_WRITTEN = r"[-+−]?\s?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3}|\s?/\s?\d+(?:\.\d+)?)?|[-+−]?\s?\.\d+"
NUMBER = re.compile(rf"(?<![A-Za-z0-9_.])(?:{_WRITTEN})(?![A-Za-z0-9_]*\d)")
_UNIT_WORDS = {
    "km": "kilometer kilometers kilometre kilometres", "m": "meter meters metre metres", "cm": "centimeter centimeters",
    "mm": "millimeter millimeters", "mile": "miles mi", "foot": "feet ft", "inch": "inches", "kg": "kilogram kilograms",
    "g": "gram grams", "pound": "pounds lb lbs", "ounce": "ounces oz", "hour": "hours h hr hrs", "minute": "minutes min",
    "second": "seconds s sec", "day": "days", "week": "weeks", "month": "months", "year": "years",
    "dollar": "dollars usd", "cent": "cents ¢", "euro": "euros eur €", "£": "gbp", "¥": "yen yuan", "₹": "rupee rupees",
    "liter": "liters litre litres l", "ml": "milliliters", "mg": "milligram milligrams", "ton": "tons tonne tonnes",
    "gallon": "gallons gal", "yard": "yards yd", "°c": "celsius", "°f": "fahrenheit", "mph": "", "kph": "",
}  # fmt: skip
_KINDS = ("km m cm mm mile foot inch yard", "kg g mg pound ounce ton", "hour minute second day week month year", "dollar cent",
    "liter ml gallon")  # fmt: skip
KIND = {
    unit: kind for kind, units in enumerate(_KINDS) for unit in units.split()
}  # units of one kind make one quantity
UNITS = {word: unit for unit, words in _UNIT_WORDS.items() for word in (unit, *words.split())}
SCALES = {"k": 10**3, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "millionen": 10**6, "millones": 10**6, "milliarden": 10**9, "tausend": 10**3, "lakh": 10**5, "crore": 10**7, "万": 10**4, "亿": 10**8}  # fmt: skip
SCALE_WORD = rf"(?:(?:{'|'.join(word for word in SCALES if word.isascii())})\b|[万亿])"
_SCALE = re.compile(rf"\d\s{{0,4}}({SCALE_WORD})", re.IGNORECASE)
_MIXED = re.compile(r"([-−]?)(\d+)\s+(\d+)\s?/\s?(\d+)(?:\s+[A-Za-z]+)*")
_DOLLARS = re.compile(r"\W{0,3}\\?\$\s?[-−]?[\d.]")
_SIMPLE_FRACTION = re.compile(r"(?<!\d)([-−]?)(\d{0,12})\s?\\[dt]?frac\s?(?:\{(\d+)\}|(\d))\s?(?:\{(\d+)\}|(\d))")
_UNIT_NAME = r"(?:km|cm|mm|m|kg|g|mg|in|ft|yd|s|sec|h|hr|inch(?:es)?|feet|met(?:er|re)s?|kilomet(?:er|re)s?|centimet(?:er|re)s?|miles?|yards?|units?)"
_UNIT_POWER = re.compile(rf"\b({_UNIT_NAME})(\$?\s?\}}?\s?)\^\s?\{{?([23])\}}?\$?(?!\d)")
_SQUARE = re.compile(rf"\b(square|sq\.?|cubic)\s({_UNIT_NAME})\b", re.IGNORECASE)
_SCIENTIFIC = re.compile(
    r"(\d)\s?(?:×|x|\*|·|\\times|\\cdot)\s?10\s?\^\s?(?:\{\s?([-−+]?\d{1,3})\s?\}|\(([-−+]?\d{1,3})\)|([-−+]?\d{1,3})(?!\d))"
)
_TAG = re.compile(r"</?(?:b|i|strong|em|u|sup|sub|span|p|br)\s?/?>|\\(?:blacksquare|square|qed)\b", re.IGNORECASE)
_LARGE = re.compile(r"(?<=\d)(?:(M|mn)|(B|bn))\b")
_RATE = re.compile(r"\b(?:per|an?|each|every)\s+[a-z]+")
_NEGATIVE = re.compile(r"(?:\bnegative|^minus|(?<=\bis )minus|(?<=[=:] )minus)\s+(?=\d)", re.IGNORECASE)
_CONTRAST = re.compile(
    r"(\d[^.!?\n\d]{0,30}?)(?:,?\s+(?:rather\s+than|instead\s+of|et\s+non)|,\s*(?:and\s+)?(?:not|nicht|no|而不是|不是))\s*[$€£]?\d[\d.,]*\D{0,30}$",
    re.IGNORECASE,
)
VARIABLE = re.compile(r"\d[abdefijnoqrtuvwxyz]\b")  # 27x; the other letters are units
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_FULL_WIDTH = str.maketrans({chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {"。": "."})
_VALUE = r"[-−+]?(?:\d[\d.]*(?:/\d+)?|\\infty|∞)"
_BELOW, _ABOVE = "([<≤])", "([>≥])"
_BETWEEN = re.compile(rf"({_VALUE}){_BELOW}[a-zA-Z]{_BELOW}({_VALUE})")
_UP_TO = re.compile(rf"[a-zA-Z]{_BELOW}({_VALUE})")
_FROM = re.compile(rf"[a-zA-Z]{_ABOVE}({_VALUE})")


@dataclass(frozen=True)
class Quantity:
    """An exact rational; `percent` when it was written with a percent sign, `unit` when with a common one."""

    value: Fraction
    percent: bool = False
    unit: str | None = None


def plain_mathematics(text: str, *, bullets: bool = True) -> str:
    r"""A text with `\[27\]`, `- 27` in a list, `½`, `3³`, `27`, `negative 5` and `27, not 28` in the one way that is read here.

    Without `bullets`, a dash that opens a line is a minus.
    """
    text = re.sub(r"(?<=\d)(?:\{,\}|,\\!)(?=\d)", ",", _TAG.sub("", text.translate(_FULL_WIDTH)))
    text = re.sub(r"(?<!\\)\\[\[(]([^\[\]()]*)\\[\])]", r"$\1$", text)
    if bullets:
        text = re.sub(r"(?m)^[ \t]*-[ \t]+(?=[$€£]?\d)", "", text)
    text = re.sub(r"[¼-¾⅐-⅞]", lambda m: " " + unicodedata.normalize("NFKC", m[0]).replace("⁄", "/"), text)
    text = re.sub(
        r"(?:(?<=\d)|(?<=(?<![A-Za-z])[a-ln-zA-Z]))[⁰¹²³⁴-⁹⁻]+", lambda m: f"^{{{m[0].translate(_SUPERSCRIPT)}}}", text
    )
    text = re.sub(r"√\s?(?:\(([^()]*)\)|(\d+(?:\.\d+)?|[A-Za-z]))", lambda m: rf"\sqrt{{{m[1] or m[2]}}}", text)
    text = re.sub(r"(?<!\\)\bsqrt\s?\(([^()]{1,40})\)", r"\\sqrt{\1}", untexted(re.sub(r"(?<!\\)\\[ ~]", " ", text)))
    text = re.sub(r"(?<=\d)\s?π", r"\\pi ", text)
    text = _SCIENTIFIC.sub(lambda m: f"{m[1]}e{(m[2] or m[3] or m[4]).replace('−', '-')}", text)
    text = _UNIT_POWER.sub(lambda m: m[1] + "²³"[int(m[3]) - 2] + m[2].replace("$", ""), text)
    text = _LARGE.sub(lambda m: " million" if m[1] else " billion", text)
    text = _NEGATIVE.sub("-", text)
    return text[:-200] + _CONTRAST.sub(r"\1", text[-200:])


def untexted(text: str) -> str:
    r"""A text with `\text{Paris}` as `Paris`."""
    return re.sub(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", text)


def parse_quantity(text: str) -> Quantity | None:
    r"""A text that holds exactly one plain number with at most a unit or currency around it.

    Understands signs, thousands separators, decimals, a/b, mixed numbers, `million`, `\text{ cm}` and a percent sign.
    """
    dollars = _DOLLARS.match(text) is not None and text.count("$") == 1
    text = _SIMPLE_FRACTION.sub(
        lambda m: f"{m[1]}{m[2]} {m[3] or m[4]}/{m[5] or m[6]}" if m[2] else f"{m[1]}{m[3] or m[4]}/{m[5] or m[6]}",
        text,
    )
    text = untexted(text).replace("\\$", "$").replace("\\%", "%").replace("\\,", "").strip()
    text = text.strip("$*`'\" ").rstrip(".,;:")
    text = re.sub(r"^([-−]?\d{1,3})((?:[ \u00a0\u202f]\d{3})+)(?!\S)", lambda m: re.sub(r"\s", "", m[0]), text)
    if re.fullmatch(r"[-+]?\d+(?:\.\d+)?[eE][-+]?\d{1,3}", text):
        return Quantity(Fraction(text))
    if len(text) > 80 or "\\" in text or re.search(r"[\[\](){}^=√π]", text) or VARIABLE.search(text):
        return None
    mixed = _MIXED.fullmatch(text)
    if mixed and int(mixed[4]):
        value: Fraction | None = int(mixed[2]) + Fraction(int(mixed[3]), int(mixed[4]))
        assert value is not None
        value, around = -value if mixed[1] else value, text[mixed.end(4) :]
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


def as_interval(text: str) -> str | None:
    r"""`0<x\le 1` as `(0,1]`, `x\le 2` as `(-\infty,2]`; None for anything else."""
    text = re.sub(r"\\leq?(?:slant)?(?![A-Za-z])", "≤", re.sub(r"\\geq?(?:slant)?(?![A-Za-z])", "≥", text))
    text = re.sub(r"[\s$]", "", text)
    if found := _BETWEEN.fullmatch(text):
        return f"{_bracket(found[2], '([')}{found[1]},{found[4]}{_bracket(found[3], ')]')}"
    if found := _UP_TO.fullmatch(text):
        return rf"(-\infty,{found[2]}{_bracket(found[1], ')]')}"
    if found := _FROM.fullmatch(text):
        return rf"{_bracket(found[1], '([')}{found[2]},\infty)"
    return None


def _bracket(relation: str, open_or_closed: str) -> str:
    return open_or_closed[relation not in "<>"]
