"""Functions of the task files beside this one: rows are read as training data is, answers judged by the gate's verifier."""

from __future__ import annotations

import atexit
from dataclasses import asdict
from functools import cache
from typing import Any

from datasets import Dataset, DatasetDict

from patchrl.config import DataSection
from patchrl.data.examples import read_examples
from patchrl.grading.verify import Verifier
from patchrl.nano import world
from patchrl.types import EvalItem


def examples(rows: Dataset) -> Dataset:
    """Questions with their reference answers; rows without one are left out."""
    read = read_examples(rows, DataSection(task="math"))
    return Dataset.from_list([{"question": e.question, "reference": e.reference, "task": e.task} for e in read])


def nano(skill: str, size: int = 600, **_: Any) -> DatasetDict:
    """Held-out items of one skill of the nano lab, the same as `nano` in `evaluate.general` gives with that size."""
    items = [asdict(item) for item in _skills(size) if item.skill == skill]
    return DatasetDict({"test": Dataset.from_list(items)})


def judge(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Right or not (NaN where the verifier cannot decide), and whether no answer was found in the text."""
    verdict = _verifier().verify(doc["task"], doc["reference"], results[0])
    passed = float("nan") if verdict.passed is None else float(verdict.passed)
    return {"passed": passed, "no_answer": float(not verdict.passed and verdict.extracted is None)}


@cache
def _skills(size: int) -> list[EvalItem]:
    return world.general_eval(size)


@cache
def _verifier() -> Verifier:
    verifier = Verifier(reasoning="none")
    atexit.register(verifier.close)
    return verifier
