"""How the coverage check judges a data set's own experts, and texts made from them that leave out, add or turn round.

python -m tests.benchmarks.coverage FILE [--task choice] [--rows 500]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from patchrl.config import resolve
from patchrl.data.examples import read_examples
from patchrl.data.readers import read_file
from patchrl.grading.calibration import calibrate
from patchrl.grading.coverage import claim_kinds, read_row, reference_of
from patchrl.grading.pairs import text_shares
from patchrl.grading.verify import Verifier
from patchrl.types import Example

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers import prose

CALIBRATED_ON = 128  # rows, as in a scan


def answer(example: Example) -> str:
    return "" if example.task == "open" else f"\nThe answer is {example.reference}."


def without_a_sentence(example: Example, rng: random.Random) -> str | None:
    key = read_row(example.question, example.solution, reference_of(example)).key
    return example.solution.replace(rng.choice(key).text, "") if len(key) > 1 else None


def texts_of(examples: list[Example], rng: random.Random) -> dict[str, Callable[[int, Example], str | None]]:
    """How each kind of text is made from the row at a place."""
    names = prose.names_of([e.solution for e in examples])
    return {
        "expert": lambda _, e: e.solution,
        "paraphrased by rule": lambda _, e: prose.paraphrased(e.solution, rng),
        "bare answer": lambda _, e: answer(e) or "Sure.",
        "question and answer": lambda _, e: e.question + answer(e),
        "another row's text": lambda i, e: "\n".join(prose.sentences_of(examples[i - 1].solution)[:-1]) + answer(e),
        "a sentence removed": lambda _, e: without_a_sentence(e, rng),
        "a number changed": lambda _, e: prose.with_a_number_changed(e.solution, rng),
        "a name changed": lambda _, e: prose.with_a_name_changed(e.solution, names, rng),
        "a sentence negated": lambda _, e: prose.negated(e.solution, rng),
        "key words as a list": lambda _, e: prose.keywords(e.solution),
        "words shuffled": lambda _, e: prose.shuffled_words(e.solution, rng),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--task", choices=["choice", "exact", "open"])
    parser.add_argument("--rows", type=int, default=500)
    arguments = parser.parse_args()
    section = resolve({"data": {"dataset": str(arguments.file), "task": arguments.task}}).data
    examples = read_examples((row for _, row in read_file(arguments.file)), section)[: arguments.rows]
    print(f"{len(examples)} rows, {claim_kinds(examples)}")
    calibration = calibrate(*text_shares(examples[:CALIBRATED_ON]))
    print(f"threshold {calibration.threshold:.2f}, balanced accuracy {calibration.balanced_accuracy:.3f}")
    scorable = [(i, e) for i, e in enumerate(examples) if read_row(e.question, e.solution, reference_of(e)).is_scorable]
    count, started = 0, time.process_time()
    with Verifier(reasoning="coverage") as verifier:
        for kind, make in texts_of(examples, random.Random(1)).items():
            texts = [(e, text) for i, e in scorable if (text := make(i, e)) is not None]
            passed = sum(
                verifier.verify(e.task, e.reference, t, question=e.question, solution=e.solution).passed is True
                for e, t in texts
            )
            count += len(texts)
            print(f"{kind:20} {passed:4} of {len(texts):4} pass, {passed / max(1, len(texts)):.1%}")
    print(f"{count / (time.process_time() - started):,.0f} verdicts a second on one thread")


if __name__ == "__main__":
    main()
