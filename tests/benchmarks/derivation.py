"""`python -m tests.benchmarks.derivation`: what the derivation gate accepts and refuses on real data, and its speed."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.corruptions import altered, shuffled, with_a_step_removed, with_steps_of, without_marks

from patchrl.grading.derivation import lack_of_derivation, read_row
from patchrl.grading.references import extract_reference
from patchrl.grading.verify import Verifier

DATA = Path(__file__).parents[3] / "shared" / "data"
Row = dict[str, Any]


def rows_of(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


class Measure:
    """Counts verdicts by kind, and keeps the texts of one kind that came out as `shown` says."""

    def __init__(self, verifier: Verifier, shown: str | None) -> None:
        self.verifier, self.shown = verifier, shown
        self.passed, self.total, self.unscorable = Counter[str](), Counter[str](), Counter[str]()

    def __call__(self, kind: str, question: str, solution: str, reference: str, text: str | None) -> None:
        if text is None:
            return
        verdict = self.verifier.verify("math", reference, text, question=question, solution=solution)
        self.total[kind] += 1
        self.passed[kind] += verdict.passed is True
        self.unscorable[kind] += verdict.passed is None
        if self.shown in (f"{kind} passed" if verdict.passed else f"{kind} refused", kind):
            print(f"--- {kind}: {verdict.reason}\nQ: {question}\nE: {solution}\nT: {text}")

    def report(self) -> None:
        for kind, total in self.total.items():
            passed, unscorable = self.passed[kind], self.unscorable[kind]
            print(f"{kind:<32} {passed:6,} of {total:6,}  {passed / total:7.2%}  unscorable {unscorable}", flush=True)
        for counter in (self.passed, self.total, self.unscorable):
            counter.clear()


def gsm8k(measure: Measure, rows: list[Row], form: Callable[[str], str]) -> None:
    rng = random.Random(0)
    for row in rows:
        question, expert, reference = row["question"], row["answer"], extract_reference("math", row["answer"])
        assert reference is not None
        shown, other = form(expert), rng.choice(rows)
        corrupted = {
            "own": expert,
            "altered": altered(expert, rng) if form is without_marks else None,
            "step removed": with_a_step_removed(question, expert, rng),
            "shuffled": shuffled(question, expert, rng),
            "another row's steps": with_steps_of(other["answer"], expert) if other is not row else None,
            "question and answer": f"{question}\n#### {reference}",
        }
        for kind, text in corrupted.items():
            measure(kind, question, shown, reference, text and form(text))
    measure.report()


def svamp(measure: Measure) -> None:
    for row in json.loads((DATA / "svamp.json").read_text(encoding="utf-8")):
        answer = f"{row['Answer']:.10g}"
        equation = row["Equation"].replace(".0 ", " ")
        for form in (equation, equation.strip("( )")):
            solution = f"{form} = {answer}\n#### {answer}"
            measure("svamp equation", f"{row['Body']} {row['Question']}", solution, answer, solution)
    measure.report()


def rewrites(measure: Measure) -> None:
    for i, row in enumerate(rows_of("hollow_rewrites.jsonl")):
        half = "tuned on" if i % 2 == 0 else "held out"
        measure(f"{row['kind']}, {half}", row["question"], row["expert"], row["reference"], row["rewrite"])
    measure.report()


def speed(verifier: Verifier, rows: list[Row]) -> None:
    """Each expert solution four times over, the row read once, as in a group of rewrites."""
    items = [(r["question"], r["answer"], extract_reference("math", r["answer"]) or "") for r in rows]

    def derivation(question: str, expert: str, reference: str) -> None:
        lack_of_derivation(expert, read_row(question, expert, reference))

    def verdict(question: str, expert: str, reference: str) -> None:
        verifier.verify("math", reference, expert, question=question, solution=expert)

    for name, work in {"derivations": derivation, "whole verdicts": verdict}.items():
        started = time.process_time()
        for item in items:
            for _ in range(4):
                work(*item)
        print(f"{4 * len(items) / (time.process_time() - started):,.0f} {name} a second on one thread")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", help="print the texts of a kind, such as 'derived, held out refused'")
    parser.add_argument("--only", choices=["gsm8k", "svamp", "rewrites", "speed"])
    arguments = parser.parse_args()
    with Verifier(reasoning="derivation") as verifier:
        measure = Measure(verifier, arguments.show)
        train = rows_of("gsm8k_train.jsonl")
        if arguments.only in (None, "rewrites"):
            rewrites(measure)
        if arguments.only in (None, "svamp"):
            svamp(measure)
        if arguments.only in (None, "gsm8k"):
            parts = {
                "train, tuned on": train[:2000],
                "train, the rest": train[2000:],
                "test": rows_of("gsm8k_test.jsonl"),
            }
            for name, rows in parts.items():
                for form in (without_marks, str):
                    print(f"GSM8K {name}, {'with' if form is str else 'without'} calculator marks")
                    gsm8k(measure, rows, form)
        if arguments.only in (None, "speed"):
            speed(verifier, train[:500])


if __name__ == "__main__":
    main()
