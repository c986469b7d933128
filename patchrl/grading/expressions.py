"""The expressions that a text writes, in digits or in words, and the words between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from patchrl.grading.ground import LARGE_NUMBERS, MULTIPLES, NUMBER, PARTS, SMALL_NUMBERS, SPELLED, number_of

Values = tuple[Fraction, ...]  # every value that a written number can mean: 20% is 0.2 or 20
MAX_WORDS_INSIDE = 4  # between an operator and its number
# Words that say that what follows is the result of what precedes.
LINKS = frozenset(
    ["is", "are", "was", "were", "be", "equals", "equal", "gives", "give", "giving", "gets", "get", "getting", "makes",
     "make", "making", "leaves", "leave", "leaving", "left", "totals", "total", "so", "which", "comes", "come", "becomes",
     "yields", "results", "therefore", "means", "meaning", "has", "had", "have", "thus", "hence", "that", "needs", "earns",
     "costs", "weighs"]
)  # fmt: skip
_PART = "|".join(sorted(PARTS, key=len, reverse=True))
_TOKEN = re.compile(
    r"[^\S\n]*(?:(?P<end>[.!?;](?=\s|$)|\n)"
    r"|(?P<skip>(?:\b(?:step|case|part|equation|option|method|problem|question|day|grade)|#)\s?\d{1,2}\b(?!\s?[-+*/=%])"
    r"|(?<![=+*/-] )\b\d+(?:st|nd|rd|th)\b|(?<=\n)[ \t]*-\s|####"
    r"|\b(?:lbs?|oz|hrs?|mins?|ft|sq|mr|mrs|ms|dr|st|vs|mi|yds?|secs?|tsp|tbsp|gal|approx)\.)"
    rf"|(?P<fraction>\b(?:an?|{SPELLED}|\d+)[\s-](?:{_PART})\b)"
    rf"|(?P<mixed>(?<![\w.]){NUMBER} (?:and )?\d+/\d+(?![\d/]))"
    rf"|(?P<number>(?<![A-Za-z_\d.]){NUMBER}(?P<percent>\s?%|\s?per\s?cent\b)?(?:[\s-](?P<scale>{'|'.join(LARGE_NUMBERS)})\b)?)"
    rf"|\b(?P<spelled>{SPELLED}|an?(?=\s(?:dozen|hundred|thousand)\b))\b(?P<per_cent>\s?per\s?cent\b)?"
    rf"(?:[\s-](?P<large>{'|'.join(LARGE_NUMBERS)})\b)?"
    rf"|\b(?P<multiple>{'|'.join(MULTIPLES)})\b"
    r"|(?P<operator>/?[-+*/^](?![A-Za-z])|[-+*](?=\s))"
    r"|(?P<spoken>\b(?:plus|added to|minus|times|multiplied by|divided by)\b)"
    r"|(?P<equals>=)|(?P<open>\()|(?P<close>\))|(?P<comma>,)"
    r"|(?P<word>[A-Za-z][A-Za-z'’]*))",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\S\n]*([A-Za-z][A-Za-z'’]*)")
# The words that begin a token of another kind than a word.
_SPECIAL_WORDS = frozenset(
    [*SMALL_NUMBERS, *MULTIPLES, "a", "an", "plus", "added", "minus", "times", "multiplied", "divided", "step", "case", "part",
     "equation", "option", "method", "problem", "question", "day", "grade", "lb", "lbs", "oz", "hr", "hrs", "min", "mins",
     "ft", "sq", "mr", "mrs", "ms", "dr", "st", "vs", "mi", "yd", "yds", "sec", "secs", "tsp", "tbsp", "gal", "approx"]
)  # fmt: skip
_SPOKEN = {"plus": "+", "added to": "+", "minus": "-", "times": "*", "multiplied by": "*", "divided by": "/"}
_OPEN_ENDS = frozenset("+-*/^(")


@dataclass(slots=True, eq=False)
class Expression:
    """A number, or numbers with operators between them, as a text writes it.

    `operands` has the values of each number. `merged` has them with each fraction such as `2/3` as one number.
    `operations` counts the operators; `conversions` counts those of them that only write a percentage (`/ 100`) or a
    fraction. An expression is not complete where words stand for an operand. `gap` are the words before it, `behind`
    those after it.
    """

    sentence: int
    after_equals: bool = False
    tokens: list[str] = field(default_factory=list)
    operands: list[Values] = field(default_factory=list)
    merged: list[Values] = field(default_factory=list)
    operations: int = 0
    conversions: int = 0
    is_complete: bool = True
    is_fraction: bool = False  # whether it ends with a number such as 2/3
    in_digits: bool = False
    gap: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The expression in plain arithmetic, its brackets balanced."""
        return _balanced("".join(self.tokens))

    @property
    def expects_number(self) -> bool:
        """Whether it is empty or ends with an operator or an open bracket."""
        return not self.tokens or self.tokens[-1] in _OPEN_ENDS


def read_expressions(text: str) -> list[Expression]:
    """The expressions of a text in plain arithmetic, in order."""
    reader = _Reader(text)
    for kind, written, token in _tokens(text):
        reader.read(kind, written, token)
    reader.close()
    return reader.expressions


class _Reader:
    """Joins tokens to expressions. An expression ends where a number follows without an operator."""

    def __init__(self, text: str) -> None:
        self.text, self.expressions = text, list[Expression]()
        self.current = Expression(sentence=0)
        self.gap = list[str]()  # words since the last number
        self.words, self.first_word = 0, ""  # words since the last token of the expression
        self.is_multiple = False  # whether the last number multiplies what follows, as `half`
        self.is_spoken = False  # whether the last operator is a word, which may be a noun

    def read(self, kind: str, written: str, token: re.Match[str]) -> None:
        if kind in ("word", "comma"):
            self.first_word = self.first_word if self.words else written
            self.words += 1
            self.gap.append(written)
        elif kind in ("operator", "spoken"):
            self._read_operator(written[-1] if kind == "operator" else _SPOKEN[written], kind, token)
        elif kind in ("end", "equals"):
            self._end_side(ends_sentence=kind == "end")
        elif kind == "close":
            if not self.current.expects_number:
                self.current.tokens.append(")")
                self.words = 0
        elif kind == "open":
            self._read_bracket(token)
        elif kind != "skip":
            self._read_number(kind, token)

    def close(self) -> None:
        """End the current expression and begin another one in the same sentence."""
        current = self.current
        self.current = Expression(sentence=current.sentence)
        if not current.operands:
            return
        while current.tokens[-1] in _OPEN_ENDS:
            sign = current.tokens.pop()
            current.operations -= sign != "("
            current.is_complete = current.is_complete and (sign == "(" or self.is_spoken)
        current.behind = self.gap
        self.expressions.append(current)

    def _end_side(self, *, ends_sentence: bool) -> None:
        had_number = bool(self.current.operands)
        self.close()
        if ends_sentence or had_number:
            self.gap = []
        self.current.sentence += ends_sentence
        self.current.after_equals = not ends_sentence
        self.words, self.is_multiple = 0, False

    def _read_operator(self, sign: str, kind: str, token: re.Match[str]) -> None:
        current = self.current
        if not current.expects_number:
            current.tokens.append(sign)
            current.operations += 1
            self.is_spoken = kind == "spoken"
        elif self.is_spoken and kind == "operator" and current.tokens:
            current.tokens[-1], self.is_spoken = sign, False  # "4 times / minute * 10"
        elif sign == "-" and self.text[token.end() : token.end() + 1].isdigit() and not self.words:
            current.tokens.append(sign)
        elif kind == "operator":
            current.is_complete = False
        self.words = 0

    def _give_up_operator(self) -> None:
        """End an expression whose operator no number follows, as in "twice the number that he had is 5"."""
        is_far = self.words > MAX_WORDS_INSIDE or not LINKS.isdisjoint(self.gap)
        if self.words and is_far and self.current.expects_number and self.current.operands:
            self.close()

    def _read_bracket(self, token: re.Match[str]) -> None:
        self._give_up_operator()
        if not self.current.expects_number:
            if self.words or token[0][0].isspace():
                self.close()
            else:
                self.current.operations += 1  # 2(3 + 4)
        self.current.tokens.append("(")
        self.words = 0

    def _read_number(self, kind: str, token: re.Match[str]) -> None:
        self._give_up_operator()
        values, written = _number(token, kind)
        if not self.current.expects_number:
            if self._multiplies(kind):
                self.current.tokens.append("*")
                self.current.operations += 1
            else:
                self.close()
                self.words = 0
        current = self.current
        if not current.operands:
            current.gap = self.gap
            current.is_complete = current.is_complete and not (current.after_equals and self.words > MAX_WORDS_INSIDE)
        current.tokens.append(written)
        start = token.start(kind)
        is_bottom = (
            self.text[start - 1] == "/" and self.text[start - 2].isdigit() and bool(current.merged and values[0])
        )
        current.is_fraction = is_bottom
        current.merged.append((current.merged.pop()[0] / values[0],) if is_bottom else values)
        if current.tokens[-2:-1] == ["/"]:
            current.conversions += values[0] == 100 or (is_bottom and current.merged[-1][0] < 1)
        current.operands.append(values)
        current.in_digits |= kind in ("number", "mixed")
        self.gap, self.words, self.is_multiple = [], 0, kind in ("multiple", "fraction")

    def _multiplies(self, kind: str) -> bool:
        """Whether what was read is a part of the number that follows, as in "half the 12", "2/3 of 12" and "20% of 50"."""
        tokens = self.current.tokens
        is_part = self.is_multiple or tokens[-1].endswith("%") or tokens[-2:-1] == ["/"]
        joins = (self.is_multiple or self.first_word == "of") and self.words <= MAX_WORDS_INSIDE and "," not in self.gap
        return is_part and joins and kind != "multiple"


def _tokens(text: str) -> Iterator[tuple[str, str, re.Match[str]]]:
    """The tokens of a text: their kind, what is written, and the match. Most words mean nothing here; they are quick."""
    position, size = 0, len(text)
    while position < size:
        if (word := _WORD.match(text, position)) and (lower := word[1].lower()) not in _SPECIAL_WORDS:
            yield "word", lower, word
            position = word.end()
        elif token := _TOKEN.match(text, position):
            kind = token.lastgroup or ""
            if kind in ("percent", "scale", "per_cent", "large"):
                kind = "number" if token["number"] else "spelled"
            yield kind, token[kind].lower(), token
            position = token.end()
        else:
            position += 1


def _number(token: re.Match[str], kind: str) -> tuple[tuple[Fraction, ...], str]:
    """The values that a number token can mean, and how arithmetic writes the first."""
    written = token[kind].lower()
    if kind == "multiple":
        value = MULTIPLES[written]
        return (value,), f"({value})"
    if kind == "fraction":
        top, part = re.split(r"[\s-](?=[a-z]+$)", written)
        value = _plain(top) / PARTS[part]
        return (value,), f"({value})"
    if kind == "mixed":
        whole, fraction = re.split(r"\s(?:and\s)?(?=\d+/)", written)
        top, bottom = map(int, fraction.split("/"))
        value = _plain(whole) + (Fraction(top, bottom) if bottom else 0)
        return (value,), f"({value})"
    number, scale = (token["number"], token["scale"]) if kind == "number" else (token["spelled"], token["large"])
    digits = re.match(NUMBER, number)
    value = _plain(digits[0] if digits else re.split(r"\s(?=hundred|thousand|dozen|million|per)", number)[0])
    written = digits[0].replace(",", "") if digits else str(value)
    if scale:
        scaled = value * LARGE_NUMBERS[scale.lower()]
        return ((value, scaled), written) if digits and scaled > 10**5 else ((scaled,), f"({scaled})")
    if token["percent"] or token["per_cent"]:
        return (value / 100, value), f"{written}%"
    return (value,), written


def _plain(text: str) -> Fraction:
    if text.isdigit():
        return Fraction(int(text))
    return Fraction(text.replace(",", "")) if re.match(r"[\d.]", text) else Fraction(number_of(text))


def _balanced(expression: str) -> str:
    """An expression with the brackets that are missing at its ends."""
    depth = lowest = 0
    for character in expression:
        depth += (character == "(") - (character == ")")
        lowest = min(lowest, depth)
    return "(" * -lowest + expression + ")" * (depth - lowest)
