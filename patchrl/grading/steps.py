"""The steps of a text: statements that give a number from other numbers, as equations or in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from patchrl.grading.arithmetic import arithmetic_value, with_decimal_points
from patchrl.grading.equation_notation import CALCULATOR_MARK, plain_arithmetic
from patchrl.grading.equations import sides_are_equal
from patchrl.grading.expressions import LINKS, Expression, Values, read_expressions

MAX_NUMBERS_IN_WORDS = 4  # that words join to one step: "the sum of 4, 5 and 6 is 15"
MAX_WORDS_AROUND = 5  # before the first number and after the result that may say how the numbers are joined
# Words that say which operator joins the numbers of a sentence.
_CUES = {
    "+": frozenset(["and", "more", "total", "altogether", "together", "combined", "another", "add", "adding", "added", "sum",
        "plus", "additional", "older", "taller", "longer", "extra"]),
    "-": frozenset(["left", "leaves", "leaving", "remain", "remaining", "remains", "less", "fewer", "difference", "subtract",
        "subtracting", "subtracted", "take", "taking", "away", "gave", "lost", "minus", "out", "spent", "younger", "shorter",
        "took", "eaten", "ate", "more", "than", "sold", "used", "gone", "change"]),
    "*": frozenset(["each", "per", "times", "every", "groups", "at", "apiece", "bags", "boxes", "rows", "packs", "daily", "for",
        "product", "multiply", "multiplying"]),
    "/": frozenset(["each", "per", "split", "divided", "divide", "dividing", "share", "shared", "sharing", "between", "among",
        "equally", "into", "every", "half"]),
}  # fmt: skip
_AROUND = re.compile(r"[\s$%,]")


@dataclass(frozen=True, slots=True)
class Step:
    """A statement that holds: it gives `results` from operands.

    `forms` are the ways in which the step writes its operands, `results` the values of every number that it gives (a
    chain may round), and `operations` how much it computes.
    """

    forms: tuple[tuple[Values, ...], ...]
    results: Values
    operations: int
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text writes: its steps in order, every number, and the numbers behind an equals sign or its words."""

    steps: tuple[Step, ...]
    numbers: tuple[Values, ...]
    stated: Values


def read_steps(text: str) -> Reading:
    """The steps and numbers of a text. Time is linear in its length."""
    lines = plain_arithmetic("\n".join(map(_with_marks, text.splitlines()))).splitlines()
    expressions = read_expressions("\n".join(map(with_decimal_points, lines)))
    # "Two of them" in words is hardly ever a quantity of its own.
    numbers = (n for e in expressions for n in e.operands if e.in_digits or n[-1] > 2)
    steps, stated = list[Step](), list[Fraction]()
    for chain in _chains(expressions):
        steps += _steps_of(chain)
        stated += [e.operands[0][0] for e in chain if not e.operations and (e.after_equals or e is not chain[0])]
    return Reading(tuple(steps), tuple(numbers), tuple(stated))


def _with_marks(line: str) -> str:
    """A line with the equations of its calculator marks behind it, but for those that it writes itself."""
    if "<<" not in line:
        return line
    written = _AROUND.sub("", CALCULATOR_MARK.sub("", line)).replace("x", "*")
    return "\n".join([line, *(mark for mark in CALCULATOR_MARK.findall(line) if _AROUND.sub("", mark) not in written)])


def _chains(expressions: list[Expression]) -> Iterator[list[Expression]]:
    """Runs of expressions joined by equals signs, or by words that say the same."""
    chain, before = list[Expression](), list[Expression]()
    for expression in expressions:
        same_sentence = bool(chain) and expression.sentence == chain[-1].sentence
        if same_sentence and expression.after_equals:
            chain.append(expression)
            continue
        if chain:
            yield chain
            before = [*before[1 - MAX_NUMBERS_IN_WORDS :], chain[-1]]
        if same_sentence and not expression.operations and not LINKS.isdisjoint(expression.gap):
            yield [*_said(before, expression), expression]
        chain = [expression]
    if chain:
        yield chain


def _said(before: list[Expression], result: Expression) -> list[Expression]:
    """What gives a number in words: the expression written before it, or its numbers joined as words say; or nothing."""
    if before[-1].operations:
        return [before[-1]]
    numbers = [e for e in before if e.sentence == result.sentence and not e.operations]
    for count in range(2, len(numbers) + 1):
        members = numbers[-count:]
        words = {word for member in members[1:] for word in member.gap}
        words |= {*members[0].gap[-MAX_WORDS_AROUND:], *result.gap, *result.behind[:MAX_WORDS_AROUND]}
        for sign in "+*" if count > 2 else "+-*/":
            if not _CUES[sign].isdisjoint(words):
                for order in (members, members[::-1]) if sign in "-/" else (members,):
                    joined = _joined(order, sign)
                    # A number that is given already says nothing: "12 and 0 make 12".
                    if arithmetic_value(joined.text) == result.operands[0][0] not in [o[0] for o in joined.operands]:
                        return [joined]
    return []


def _joined(numbers: list[Expression], sign: str) -> Expression:
    joined = Expression(sentence=numbers[0].sentence, operations=len(numbers) - 1)
    joined.tokens = [token for number in numbers for token in (sign, number.text)][1:]
    joined.operands = [values for number in numbers for values in number.operands]
    return joined


def _steps_of(chain: list[Expression]) -> Iterator[Step]:
    """The steps of one chain: each run of sides that are equal, with an expression and a number among them."""
    run = chain[:1]
    for left, right in pairwise(chain):
        if not (left.is_complete and right.is_complete and _are_equal(left, right)):
            yield from _step(run)
            run = []
        run.append(right)
    yield from _step(run)


def _are_equal(left: Expression, right: Expression) -> bool:
    if not right.operations and arithmetic_value(left.text) == right.operands[0][0]:
        return True  # the usual case, without the readings of percentages and rounded numbers
    return bool(sides_are_equal(left.text, right.text))


def _step(run: list[Expression]) -> Iterator[Step]:
    results = [e for i, e in enumerate(run) if not e.operations or (i and e.operations == 1 and e.is_fraction)]
    computed = [e for e in run if e.operations and e not in results]
    if computed and results:
        text = " = ".join("".join(e.tokens) for e in run)
        forms = dict.fromkeys(tuple(form) for e in computed for form in (e.operands, e.merged) if form)
        values = dict.fromkeys(value for e in results for value in (e.merged or e.operands)[0])
        yield Step(tuple(forms), tuple(values), max(max(e.operations - e.conversions, 1) for e in computed), text)
