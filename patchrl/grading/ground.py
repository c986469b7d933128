"""Which numbers a question gives: its digits, its number words, and the constants of its units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

_TO_NINETEEN = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SMALL_NUMBERS = dict(zip(_TO_NINETEEN, range(20), strict=True)) | dict(zip(_TENS, range(20, 100, 10), strict=True))
LARGE_NUMBERS = {"dozen": 12, "score": 20, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9,
    "dozens": 12, "hundreds": 100, "thousands": 1000, "millions": 10**6}  # fmt: skip
# Words that multiply what follows them.
MULTIPLES = {"half": Fraction(1, 2), "twice": Fraction(2), "double": Fraction(2), "doubled": Fraction(2),
    "doubles": Fraction(2), "doubling": Fraction(2), "triple": Fraction(3), "tripled": Fraction(3), "triples": Fraction(3),
    "thrice": Fraction(3), "quadruple": Fraction(4), "halves": Fraction(1, 2), "halved": Fraction(1, 2)}  # fmt: skip
PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10, "twelfth": 12, "sixteenth": 16, "twentieth": 20, "hundredth": 100}  # fmt: skip
PARTS |= {f"{word}s": value for word, value in PARTS.items() if word != "halves"}
# Words that say a number without being one.
IMPLIED = {"once": 1, "penny": 1, "another": 2, "average": 2, "bicycle": 2, "bicycles": 2, "biweekly": 2, "both": 2,
    "couple": 2, "couples": 2, "either": 2, "equally": 2, "half": 2, "other": 2, "pair": 2, "paired": 2, "pairs": 2,
    "perimeter": 2, "rectangle": 2, "rectangular": 2, "twins": 2, "weekend": 2, "weekends": 2, "tricycle": 3,
    "tricycles": 3, "trio": 3, "triplets": 3, "square": 4, "nickel": 5, "nickels": 5, "weekday": 5, "weekdays": 5,
    "decade": 10, "decades": 10, "dime": 10, "dimes": 10, "fortnight": 14, "quarters": 25, "century": 100}  # fmt: skip
# How many of one unit make another one. A constant is ground where one of its units is named.
_CONSTANTS = {
    60: "second minute hour", 3600: "second hour", 24: "hour day", 7: "day week", 5: "weekday workday school work working",
    12: "month year annual yearly dozen foot feet inch noon am pm", 52: "week year annual weekly", 365: "day year daily",
    30: "day month daily", 31: "day month january march may july august october december", 28: "february", 29: "february",
    4: "week month weekly monthly quarter gallon quart", 16: "pound ounce cup", 3: "foot feet yard", 36: "yard inch",
    100: "percent cent dollar meter centimeter cm m century", 1000: "kilometer kilogram kilo km kg gram g meter m liter l ml ton",
    10: "decade dime", 5280: "mile foot feet", 2000: "ton pound", 8: "gallon pint cup", 2: "pint cup quart",
    1440: "day minute", 90: "right angle", 180: "triangle angle", 360: "circle rotation",
}  # fmt: skip
CONSTANTS: dict[str, list[int]] = {}
for _constant, _units in _CONSTANTS.items():
    for _unit in _units.split():
        CONSTANTS.setdefault(_unit, []).append(_constant)
NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_SMALL = "|".join(sorted(SMALL_NUMBERS, key=len, reverse=True))
_PART = "|".join(sorted(PARTS, key=len, reverse=True))
SPELLED = rf"(?:{_SMALL})(?:[ -](?:{_SMALL}))?"
_MENTION = re.compile(
    rf"(?P<top>{NUMBER}|an?|{SPELLED})(?:\s?/\s?(?P<bottom>{NUMBER})(?:ths?|rds?)?|[\s-](?P<part>{_PART})\b)"
    rf"|(?P<number>(?<![\w.]){NUMBER})(?P<percent>\s?%|[\s-]per\s?cent)?(?:[\s-](?P<scale>{'|'.join(LARGE_NUMBERS)})\b)?"
    rf"|\b(?P<spelled>{SPELLED}|an?(?=\s(?:dozen|hundred|thousand|million|score)\b))\b"
    rf"(?P<per_cent>[\s-]per\s?cent)?(?:[\s-](?P<large>{'|'.join(LARGE_NUMBERS)})\b)?"
    r"|(?P<word>[a-z]+)",
    re.IGNORECASE,
)
Ground = dict[Fraction, frozenset[str]]


def number_of(words: str) -> int:
    """The value of `forty-five`, `two` or `a`."""
    return sum(SMALL_NUMBERS.get(word, 1) for word in re.split(r"[ -]", words.lower()))


def ground(question: str, *, units_in: str = "") -> Ground:
    """The numbers that a question gives, each with the mentions it comes from; a constant comes from none.

    A percentage, a part and a price in cents also give the values that follow from them: 20% gives 0.2, 80 and 1.2.

    Args:
        question: the question in plain arithmetic.
        units_in: another text whose units count too, such as the expert solution.
    """
    values: dict[Fraction, set[str]] = {}
    for constant in (0, 1):
        values[Fraction(constant)] = set()
    for key, variants in _mentions(question):
        for value in variants:
            values.setdefault(value, set()).add(key)
    for word in re.findall(r"[a-z]+|%", f"{question} {units_in}".lower()):
        for constant in _constants(word):
            values.setdefault(Fraction(constant), set())
    return {value: frozenset(keys) for value, keys in values.items()}


def _constants(word: str) -> list[int]:
    if word == "%":
        return [100]
    return CONSTANTS.get(word) or CONSTANTS.get(word.removesuffix("s")) or CONSTANTS.get(word.removesuffix("es")) or []


def _mentions(text: str) -> Iterator[tuple[str, list[Fraction]]]:
    """Each number of a text: a key for the mention, and the values it can mean."""
    has_cents = re.search(r"\bcents?\b", text, re.IGNORECASE) is not None
    for mention in _MENTION.finditer(text):
        key = mention[0].lower()
        if mention["word"]:
            if key in MULTIPLES:
                units = re.findall(r"[a-z]+", text[mention.end() : mention.end() + 20].lower())[:2]
                of_units = [MULTIPLES[key] * constant for unit in units for constant in _constants(unit)]
                yield key, [MULTIPLES[key], 1 / MULTIPLES[key], 1 + MULTIPLES[key], *of_units]
            if key in IMPLIED:
                yield key, [Fraction(IMPLIED[key])]
            if key in PARTS:
                yield key, [Fraction(PARTS[key])]
            continue
        if mention["top"]:
            top, bottom = (_value(mention[g]) if mention[g] else None for g in ("top", "bottom"))
            bottom = Fraction(PARTS[mention["part"].lower()]) if mention["part"] else bottom
            assert top is not None
            if not bottom:
                continue
            part = top / bottom
            yield (
                key,
                [part, top, bottom, 1 - part, 1 + part, bottom - top, bottom + top, *([1 / part] if part else [])],
            )
            continue
        number, scale = (
            (mention["number"], mention["scale"]) if mention["number"] else (mention["spelled"], mention["large"])
        )
        value = _value(number)
        if mention["percent"] or mention["per_cent"]:
            share = value / 100
            yield key, [value, share, 1 - share, 1 + share, 100 - value, 100 + value]
            continue
        variants = [value]
        if scale:
            variants += [value * LARGE_NUMBERS[scale.lower()], Fraction(LARGE_NUMBERS[scale.lower()])]
        if has_cents:
            variants.append(value / 100)
        yield key, variants


def _value(text: str) -> Fraction:
    return Fraction(text.replace(",", "")) if re.match(r"[\d.]", text) else Fraction(number_of(text))
