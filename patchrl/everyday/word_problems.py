"""Word problems of one and two steps in plain English, with a terse expert: an equation, then `#### answer`. No torch.

A seed fixes the problems. Whether one is held out depends on its template and numbers alone, so that no training text has a
held-out problem, not even with other names.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from patchrl.everyday.templates import NAMES, TEMPLATES, THINGS, Template
from patchrl.nano.world import held_out
from patchrl.types import EvalItem, Example

NAME = "word-problems"
MAX_DRAWS = 200


@dataclass(frozen=True)
class Problem:
    """A question, the equation that solves it with its numbers, and the answer. `key` is template and numbers."""

    key: str
    question: str
    equation: str
    answer: int

    @property
    def solution(self) -> str:
        return f"{self.equation} = {self.answer}\n#### {self.answer}"


def draw(rng: random.Random, template: Template) -> Problem | None:
    """A problem of a template with random names and numbers; None for numbers that do not go with its equation."""
    numbers = {}
    for part in template.ranges.split(", "):
        name, low, high = part.split()
        numbers[name] = rng.randint(int(low), int(high))
    answer = value(template.equation, numbers)
    if answer is None:
        return None
    person, other = rng.sample(NAMES, 2)
    question = template.text.format(name=person, other=other, things=rng.choice(THINGS), **numbers)
    equation = re.sub(r"[a-z]", lambda match: str(numbers[match[0]]), template.equation)
    return Problem(f"{template.text} {numbers}", question, equation, answer)


def value(equation: str, numbers: dict[str, int]) -> int | None:
    """What an equation's left side gives; None where a step is not a whole number above 0."""

    def of(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            a, b = of(node.left), of(node.right)
            sign = type(node.op)
            result = a + b if sign is ast.Add else a - b if sign is ast.Sub else a * b if sign is ast.Mult else a / b
            if result <= 0 or result.denominator != 1:
                raise ArithmeticError
            return result
        return Fraction(numbers[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node))

    try:
        return int(of(ast.parse(equation, mode="eval").body))
    except ArithmeticError:
        return None


def _problems(rng: random.Random, evaluation: bool) -> Iterator[Problem]:
    """Distinct problems, held-out ones for evaluation and the others for training; every template equally often while it has new ones."""
    seen: set[str] = set()
    templates = list(TEMPLATES)
    while True:
        for template in rng.sample(templates, len(templates)):
            for _ in range(MAX_DRAWS):
                problem = draw(rng, template)
                if problem and problem.question not in seen and held_out(problem.key) is evaluation:
                    seen.add(problem.question)
                    yield problem
                    break
            else:  # one without names runs out of problems
                templates.remove(template)


def examples(size: int, seed: int = 0) -> list[Example]:
    """`size` distinct training problems with the expert's solutions."""
    problems = _problems(random.Random(f"{NAME}-{seed}"), evaluation=False)
    return [
        Example(f"{NAME}-{i:05d}", problem.question, problem.solution, str(problem.answer), "math")
        for i, problem in zip(range(size), problems, strict=False)
    ]


def eval_items(size: int, seed: int = 0) -> list[EvalItem]:
    """`size` distinct held-out problems: the target task."""
    problems = _problems(random.Random(f"{NAME}-eval-{seed}"), evaluation=True)
    return [
        EvalItem(f"{NAME}-{i:04d}", problem.question, str(problem.answer), NAME, "math")
        for i, problem in zip(range(size), problems, strict=False)
    ]
