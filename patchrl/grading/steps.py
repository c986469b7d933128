"""The steps of a text: statements that give a number from other numbers, as equations or in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from patchrl.grading.arithmetic import arithmetic_value, with_decimal_points
from patchrl.grading.equation_notation import CALCULATOR_MARK, plain_arithmetic
from patchrl.grading.equations import sides_are_equal
from patchrl.grading.ground import LARGE_NUMBERS, MULTIPLES, NUMBER, PARTS, SMALL_NUMBERS, SPELLED, number_of

MAX_WORDS_INSIDE = 4  # between an operator and its number
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
_NAMES = ["step", "case", "part", "equation", "option", "method", "problem", "question", "day", "grade"]
_SPECIAL_WORDS = frozenset(
    [*SMALL_NUMBERS, *MULTIPLES, *_NAMES, "a", "an", "plus", "added", "minus", "times", "multiplied", "divided"]
    + [
        "lb",
        "lbs",
        "oz",
        "hr",
        "hrs",
        "min",
        "mins",
        "ft",
        "sq",
        "mr",
        "mrs",
        "ms",
        "dr",
        "st",
        "vs",
        "mi",
        "yd",
        "yds",
        "sec",
        "secs",
        "tsp",
        "tbsp",
        "gal",
        "approx",
    ]
)
_AROUND = re.compile(r"[\s$%,]")
_SPOKEN = {"plus": "+", "added to": "+", "minus": "-", "times": "*", "multiplied by": "*", "divided by": "/"}
# Words that say that what follows is the result of what precedes.
_LINKS = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "be",
        "equals",
        "equal",
        "gives",
        "give",
        "giving",
        "gets",
        "get",
        "getting",
        "makes",
        "make",
        "making",
        "leaves",
        "leave",
        "leaving",
        "left",
        "totals",
        "total",
        "so",
        "which",
        "comes",
        "come",
        "becomes",
        "yields",
        "results",
        "therefore",
        "means",
        "meaning",
        "has",
        "had",
        "have",
        "thus",
        "hence",
        "that",
        "needs",
        "earns",
        "costs",
        "weighs",
    ]
)
_CUES = {
    "+": frozenset(["and", "more", "total", "altogether", "together", "combined", "another", "add", "adding", "added", "sum", "plus", "additional", "older", "taller", "longer", "extra"]),
    "-": frozenset(["left", "leaves", "leaving", "remain", "remaining", "remains", "less", "fewer", "difference", "subtract", "subtracting", "subtracted", "take", "taking", "away", "gave", "lost", "minus", "out", "spent", "younger", "shorter", "took", "eaten", "ate", "more", "than", "sold", "used", "gone", "change"]),
    "*": frozenset(["each", "per", "times", "every", "groups", "at", "apiece", "bags", "boxes", "rows", "packs", "daily", "for", "product", "multiply", "multiplying"]),
    "/": frozenset(["each", "per", "split", "divided", "divide", "dividing", "share", "shared", "sharing", "between", "among", "equally", "into", "every", "half"]),
}  # fmt: skip


@dataclass(slots=True, eq=False)
class Piece:
    """An expression as written, up to the next number that no operator joins to it."""

    tokens: list[str] = field(default_factory=list)
    operands: list[tuple[Fraction, ...]] = field(default_factory=list)  # each with every value that it can mean
    merged: list[tuple[Fraction, ...]] = field(default_factory=list)  # the same with each `2/3` as one number
    is_fraction: bool = False  # whether its last operand is such a number
    conversions: int = 0  # operations that only write a percentage or a part, as `/ 100` and `2/3`
    operations: int = 0
    is_complete: bool = True  # False where words stand for an operand
    after_equals: bool = False
    gap: list[str] = field(default_factory=list)  # the words before it
    inside: list[str] = field(default_factory=list)  # the words in it and behind it
    start: int = 0
    end: int = 0
    sentence: int = 0
    in_digits: bool = False

    @property
    def text(self) -> str:
        return _balanced("".join(self.tokens))


@dataclass(frozen=True, slots=True)
class Step:
    """A statement that holds: `result` from `operands`, by so many `operations`.

    `operands` has one entry for each form in which the step writes it; `results` are the values of every number that the step
    gives (a chain may round).
    """

    operands: tuple[tuple[tuple[Fraction, ...], ...], ...]
    results: tuple[Fraction, ...]
    operations: int
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text writes: its steps in order, every number in it, and the results of equalities that cannot be read."""

    steps: tuple[Step, ...]
    numbers: tuple[tuple[Fraction, ...], ...]
    stated: tuple[Fraction, ...]


def read_steps(text: str) -> Reading:
    """The steps and numbers of a text. Time is linear in its length."""
    lines = plain_arithmetic("\n".join(map(_with_marks, text.splitlines()))).splitlines()
    pieces = list(_pieces("\n".join(map(with_decimal_points, lines))))
    steps, stated = list[Step](), list[Fraction]()
    numbers = [n for p in pieces for n in p.operands if p.in_digits or n[-1] > 2]
    for chain in _chains(pieces):
        steps += _steps_of_chain(chain)
        stated += [p.operands[0][0] for p in chain if not p.operations and (p.after_equals or p is not chain[0])]
    return Reading(tuple(steps), tuple(numbers), tuple(stated))


def _with_marks(line: str) -> str:
    """A line with the equations of its calculator marks behind it, but for those that it writes itself."""
    if "<<" not in line:
        return line
    written = _AROUND.sub("", CALCULATOR_MARK.sub("", line)).replace("x", "*")
    return "\n".join([line, *(mark for mark in CALCULATOR_MARK.findall(line) if _AROUND.sub("", mark) not in written)])


def _tokens(text: str) -> Iterator[tuple[str, str, re.Match[str]]]:
    """The tokens of a text: their kind, what is written, and the match. A word that means nothing here is quick to read."""
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


def _pieces(text: str) -> Iterator[Piece]:
    """The expressions of a text in order, each with the words around it."""
    piece, gap, sentence = Piece(), list[str](), 0
    words = 0  # since the last token of the expression
    first_word = ""
    is_multiple = is_spoken = False

    def closed() -> Piece:
        while piece.tokens and piece.tokens[-1] in "+-*/^(":
            token = piece.tokens.pop()
            piece.operations -= token in "+-*/^"
            piece.is_complete = piece.is_complete and (token == "(" or is_spoken)
        return piece

    for kind, word, token in _tokens(text):
        if kind == "skip":
            continue
        if kind in ("word", "comma"):
            if not words:
                first_word = word
            words += 1
            gap.append(word)
            continue
        if kind == "end" or kind == "equals":
            if piece.operands:
                piece.inside = gap
                yield closed()
                gap = []
            if kind == "end":
                sentence += 1
                gap = []
            piece, words, is_multiple = Piece(sentence=sentence), 0, False
            if kind == "equals":
                piece.after_equals = True
            continue
        if kind in ("operator", "spoken"):
            sign = word[-1] if kind == "operator" else _SPOKEN[word]
            if piece.tokens and piece.tokens[-1] not in "+-*/^(":
                piece.tokens.append(sign)
                piece.operations += 1
                is_spoken = kind == "spoken"
            elif is_spoken and kind == "operator" and piece.tokens:
                piece.tokens[-1], is_spoken = sign, False
            elif sign == "-" and text[token.end() : token.end() + 1].isdigit() and not words:
                piece.tokens.append(sign)
            elif kind == "operator":
                piece.is_complete = False
            words = 0
            continue
        expects = not piece.tokens or piece.tokens[-1] in "+-*/^("
        if expects and piece.operands and words and (words > MAX_WORDS_INSIDE or not _LINKS.isdisjoint(gap)):
            yield closed()
            piece = Piece(sentence=sentence)
        if kind == "open":
            if not expects and (words or text[token.start() - 1].isspace()):
                piece.inside = gap
                yield closed()
                piece = Piece(sentence=sentence)
            elif not expects:
                piece.operations += 1  # 2(3 + 4)
            piece.tokens.append("(")
            piece.start = piece.start or token.start()
            words = 0
            continue
        if kind == "close":
            if piece.tokens and piece.tokens[-1] not in "+-*/^(":
                piece.tokens.append(")")
                words = 0
            continue
        values, written = _number(token, kind)
        if not expects:
            is_share = (
                is_multiple or piece.tokens[-1].endswith("%") or (len(piece.tokens) >= 2 and piece.tokens[-2] == "/")
            )
            joins = (is_multiple or first_word == "of") and words <= MAX_WORDS_INSIDE and "," not in gap
            if is_share and joins and kind != "multiple":
                piece.tokens.append("*")
                piece.operations += 1
            else:
                piece.inside = gap
                yield closed()
                piece, words = Piece(sentence=sentence), 0
        if not piece.tokens or not piece.operands:
            piece.gap, piece.start = gap, token.start()
            if piece.after_equals and words > 3:
                piece.is_complete = piece.is_complete and words <= MAX_WORDS_INSIDE
        gap = []
        piece.tokens.append(written)
        bottom = values[0] if text[token.start() - 1] == "/" and text[token.start() - 2].isdigit() else None
        piece.is_fraction = bool(bottom and piece.merged)
        piece.merged.append((piece.merged.pop()[0] / bottom,) if bottom and piece.merged else values)
        piece.conversions += piece.tokens[-2:-1] == ["/"] and (
            values[0] == 100 or (piece.is_fraction and piece.merged[-1][0] < 1)
        )
        piece.operands.append(values)
        piece.in_digits |= kind in ("number", "mixed")
        piece.end = token.end()
        words, is_multiple = 0, kind in ("multiple", "fraction")
    if piece.operands:
        piece.inside = gap
        yield closed()


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


def _chains(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Runs of expressions joined by equals signs, or by words that say the same."""
    chain, before = list[Piece](), list[Piece]()
    for piece in pieces:
        if chain and piece.after_equals and piece.sentence == chain[-1].sentence:
            chain.append(piece)
            continue
        if chain:
            yield chain
            before.append(chain[-1] if len(chain) > 1 else chain[0])
        if chain and piece.operations == 0 and piece.sentence == chain[-1].sentence and _says(chain, before, piece):
            yield [*_said(before, piece), piece]
        chain = [piece]
    if chain:
        yield chain


def _says(chain: list[Piece], before: list[Piece], piece: Piece) -> bool:
    return not _LINKS.isdisjoint(piece.gap)


def _said(before: list[Piece], result: Piece) -> list[Piece]:
    """The expression that gives a number by words: the one written before it, or its numbers joined as words say."""
    last = before[-1]
    if last.operations:
        return [last]
    value = result.operands[0][0]
    operands = [p for p in before[-4:] if p.sentence == result.sentence and not p.operations]
    for count in (2, 3, 4):
        members = operands[-count:]
        if len(members) < count:
            break
        words = {w for p in members[1:] for w in p.gap} | {*members[0].gap[-4:], *result.gap, *result.inside[:6]}
        for sign in "+-*/":
            if _CUES[sign].isdisjoint(words) or (count > 2 and sign in "-/"):
                continue
            for order in (members, members[::-1]) if sign in "-/" else (members,):
                joined = Piece(is_complete=True, operations=count - 1, sentence=result.sentence)
                joined.tokens = [t for p in order for t in (sign, p.text)][1:]
                joined.operands = [o for p in order for o in p.operands]
                if arithmetic_value(joined.text) == value and all(value not in o for o in joined.operands):
                    return [joined]
    return []


def _steps_of_chain(chain: list[Piece]) -> Iterator[Step]:
    """The steps of one chain: each run of sides that are equal, with an expression and a number among them."""
    if len(chain) < 2:
        return
    run = chain[:1]
    for left, right in pairwise(chain):
        if left.is_complete and right.is_complete and _are_equal(left, right):
            run.append(right)
            continue
        yield from _step(run)
        run = [right]
    yield from _step(run)


def _are_equal(left: Piece, right: Piece) -> bool:
    if not right.operations and arithmetic_value(left.text) == right.operands[0][0]:
        return True  # the usual case, without the readings of percentages and rounded numbers
    return bool(sides_are_equal(left.text, right.text))


def _step(run: list[Piece]) -> Iterator[Step]:
    results = [p for i, p in enumerate(run) if not p.operations or (i and p.operations == 1 and p.is_fraction)]
    expressions = [p for p in run if p.operations and p not in results]
    if expressions and results:
        text = " = ".join("".join(piece.tokens) for piece in run)
        forms = (form for p in expressions for form in (p.operands, p.merged))
        operands = tuple(dict.fromkeys(tuple(form) for form in forms if form))
        values = tuple(dict.fromkeys(v for p in results for v in (p.merged or p.operands)[0]))
        yield Step(operands, values, max(max(p.operations - p.conversions, 1) for p in expressions), text)
