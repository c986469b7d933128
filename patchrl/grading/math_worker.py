"""The process in which math-verify runs: JSON lines [reference, candidate] in, one JSON answer a line out.

Run as a script by `patchrl.grading.verify`, which kills it at the deadline. It imports nothing of PatchRL.
"""

from __future__ import annotations

import json
import os
import sys

MAX_DIGITS = 400  # of the numbers that a difference is computed from
SMALLEST_DIFFERENCE = 1e-300  # relative; the rest is noise of those digits


def main() -> None:
    """Answer true, false, null (one of the two is no mathematics), or an error's name, until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer

    from math_verify import parse, verify
    from sympy import Expr, Float

    def read(text: str):
        return parse(text, parsing_timeout=None) or parse(f"${text}$", parsing_timeout=None)

    def are_distinct(gold: list, answer: list) -> bool:
        """Whether two exact constants differ by less than the floats can tell by which math-verify compares."""
        first, second = gold[0], answer[0]
        if not all(isinstance(side, Expr) and side.is_number and not side.has(Float) for side in (first, second)):
            return False
        size = abs(first.evalf(15)) + abs(second.evalf(15))
        is_apart = abs((first - second).evalf(15, maxn=MAX_DIGITS)) > size * SMALLEST_DIFFERENCE
        return str(is_apart) == "True"  # sympy leaves what it cannot compare unevaluated

    def say(answer: bool | str | None) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    verify(read("$1$"), read("$2$"), timeout_seconds=None)  # what loads on first use must not eat a deadline
    say("ready")
    for line in sys.stdin:
        reference, candidate = json.loads(line)
        try:
            gold, answer = read(f"${reference}$"), read(f"${candidate}$")
            is_equal = bool(gold and answer and verify(gold, answer, timeout_seconds=None))
            say(is_equal and not are_distinct(gold, answer) if gold and answer else None)
        except Exception as error:  # the library's parser may raise anything; the parent must hear of it
            say(type(error).__name__)


if __name__ == "__main__":
    main()
