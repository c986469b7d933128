"""GSM8K solutions made wrong in one place: an altered number, steps in an impossible order, a step left out."""

from __future__ import annotations

import random
import re
from fractions import Fraction

MARK = re.compile(r"<<([^<>]*)=([^<>=]*)>>")
_EQUATION = re.compile(
    r"(?<![\w.,/%])\$?\d[\d.,]*(?:\s*[-+*/x]\s*\$?\d[\d.,]*)+\s*=\s*\$?(?:<<[^<>]*>>)?\d[\d,]*(?:\.\d+)?"
)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")


def without_marks(solution: str) -> str:
    return re.sub(r"<<[^<>]*>>", "", solution)


def lines_of(solution: str) -> tuple[list[str], str]:
    """The lines of a solution, and its answer line."""
    body, _, answer = solution.rpartition("####")
    return [line for line in body.splitlines() if line.strip()], f"####{answer}"


def altered(solution: str, rng: random.Random) -> str | None:
    """A solution without marks with one number of one equation changed; None where it writes no equation."""
    solution = without_marks(solution)
    if not (equations := list(_EQUATION.finditer(solution))):
        return None
    equation = rng.choice(equations)
    number = rng.choice(list(_NUMBER.finditer(equation[0])))
    value = Fraction(number[0].replace(",", "")) + rng.choice([1, 2, 3, 5, 10])
    start = equation.start() + number.start()
    new = str(value.numerator) if value.denominator == 1 else str(float(value))
    return solution[:start] + new + solution[start + len(number[0]) :]


def dependencies(question: str, solution: str) -> dict[int, set[int]]:
    """Which later lines use the number that a line's calculator mark gives; the last such line feeds the answer, -1.

    Numbers that the question or two marks give are left out, as any of these may be meant.
    """
    lines, answer = lines_of(solution)
    asked = set(map(_value, _NUMBER.findall(question)))
    given = [(i, _value(mark[2])) for i, line in enumerate(lines) for mark in MARK.finditer(line)]
    values = [value for _, value in given]
    used = [
        (i, _value(n)) for i, line in enumerate(lines) for mark in MARK.finditer(line) for n in _NUMBER.findall(mark[1])
    ]
    used += [(-1, _value(answer.strip("# \n")))]
    return {
        i: later
        for i, value in given
        if value and value not in asked and values.count(value) == 1
        and (later := {j for j, operand in used if operand == value and (j > i or j == -1)})
    }  # fmt: skip


def _value(text: str) -> Fraction | None:
    number = _NUMBER.search(text)
    return Fraction(number[0].replace(",", "")) if number else None


def with_a_step_removed(question: str, solution: str, rng: random.Random) -> str | None:
    """A solution without one line that another line, or the answer, needs; None where no line is sure to be needed."""
    needed = dependencies(question, solution)
    if not needed:
        return None
    lines, answer = lines_of(solution)
    removed = rng.choice(sorted(needed))
    return "\n".join([*lines[:removed], *lines[removed + 1 :], answer])


def shuffled(question: str, solution: str, rng: random.Random) -> str | None:
    """A solution with a line behind one that needs it; None where no two lines are sure to depend on each other."""
    needed = dependencies(question, solution)
    pairs = [(i, j) for i, users in needed.items() for j in users if j != -1]
    if not pairs:
        return None
    lines, answer = lines_of(solution)
    order = list(range(len(lines)))
    while not any(order.index(i) > order.index(j) for i, j in pairs):
        rng.shuffle(order)
    return "\n".join([*(lines[i] for i in order), answer])


def with_steps_of(other: str, solution: str) -> str:
    """The lines of another solution before the answer of this one."""
    return "\n".join([*lines_of(other)[0], lines_of(solution)[1]])
