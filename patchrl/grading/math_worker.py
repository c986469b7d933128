"""The process in which math-verify runs: JSON lines [reference, candidate] in, one JSON answer a line out.

Run as a script by `patchrl.grading.verify`, which kills it at the deadline. It imports nothing of PatchRL.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Answer true, false, null (one of the two is no mathematics), or an error's name, until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer

    from math_verify import parse, verify

    def read(text: str):
        return parse(text, parsing_timeout=None) or parse(f"${text}$", parsing_timeout=None)

    def say(answer: bool | str | None) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    verify(read("$1$"), read("$2$"), timeout_seconds=None)  # what loads on first use must not eat a deadline
    say("ready")
    for line in sys.stdin:
        reference, candidate = json.loads(line)
        try:
            gold, answer = read(f"${reference}$"), read(f"${candidate}$")
            say(bool(verify(gold, answer, timeout_seconds=None)) if gold and answer else None)
        except Exception as error:  # the library's parser may raise anything; the parent must hear of it
            say(type(error).__name__)


if __name__ == "__main__":
    main()
