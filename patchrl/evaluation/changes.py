"""What fine-tuning changed, question by question: from the prediction rows of the backbone and of a tuned model. No torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from patchrl.config import StudyConfig
from patchrl.errors import RunError
from patchrl.runs.folder import RunFolder
from patchrl.runs.jsonl import read_rows

Prediction = Mapping[str, Any]
REPORTED_KINDS = ("general", "target")  # validation items choose the learning rate and are reported nowhere


class ChangedQuestion(TypedDict):
    """A question that the backbone and a tuned model did not both answer right, or both wrong.

    `change` is right_to_wrong or wrong_to_right; `passed` is the tuned model's verdict, a fraction for tasks with partial
    credit; `no_answer` says that nothing in its text can be read as an answer, or that the text was cut off.
    """

    arm: str
    seed: int
    rate: float
    task: str
    id: str
    change: str
    question: str
    reference: str
    backbone_answer: str
    answer: str
    passed: bool | float
    no_answer: bool


@dataclass(frozen=True)
class ChangeCounts:
    """Of the questions that were scored before and after fine-tuning: all, right before, right → wrong, wrong → right."""

    scored: int = 0
    right: int = 0
    right_to_wrong: int = 0
    wrong_to_right: int = 0

    def __add__(self, other: ChangeCounts) -> ChangeCounts:
        return ChangeCounts(
            self.scored + other.scored,
            self.right + other.right,
            self.right_to_wrong + other.right_to_wrong,
            self.wrong_to_right + other.wrong_to_right,
        )


@dataclass(frozen=True)
class ArmChanges:
    """What one fine-tuning of an arm changed; `counts` are by kind of question, general and target."""

    arm: str
    seed: int
    rate: float
    questions: list[ChangedQuestion]
    counts: dict[str, ChangeCounts]


def correct(row: Prediction) -> float:
    """1 for a right answer, 0 for a wrong one, between them for partial credit, NaN where it cannot be decided."""
    return float("nan") if row["passed"] is None else float(row["passed"])


def scored_items(was_I: np.ndarray, is_I: np.ndarray) -> np.ndarray:
    """Which items were scored both before and after fine-tuning, shape (I,)."""
    return ~(np.isnan(was_I) | np.isnan(is_I))


def turned(was_I: np.ndarray, is_I: np.ndarray, before: bool) -> np.ndarray:
    """Which scored items were right (or wrong) before fine-tuning and are not so after it, shape (I,)."""
    return scored_items(was_I, is_I) & (was_I == before) & (is_I != before)


def read_changes(
    config: StudyConfig, folder: RunFolder, rates: Mapping[str, float], seeds: Sequence[int]
) -> list[ArmChanges]:
    """What every evaluated fine-tuning of a run changed.

    Args:
        config, folder: The run.
        rates: The arms to read, each with its learning rate.
        seeds: The seeds to read.

    Raises RunError for answers that are damaged.
    """
    base, changes = folder.base() / "predictions.jsonl", []
    before = read_rows(base, "prediction") if base.is_file() else []
    for arm, rate in rates.items():
        for seed in seeds:
            path = folder.arm(arm, seed, rate if config.finetune.sweeps else None) / "predictions.jsonl"
            if before and path.is_file():
                changes.append(arm_changes(before, read_rows(path, "prediction"), arm=arm, seed=seed, rate=rate))
    return changes


def arm_changes(
    base: Sequence[Prediction], tuned: Sequence[Prediction], *, arm: str, seed: int, rate: float
) -> ArmChanges:
    """Compare a tuned model's answers with the backbone's.

    Args:
        base: The backbone's prediction rows.
        tuned: Those of the tuned model, in the same order within each task.
        arm, seed, rate: Which fine-tuning it is.

    Raises RunError where the two did not answer the same questions.
    """
    questions: list[ChangedQuestion] = []
    counts = {}
    for kind in REPORTED_KINDS:
        pairs = list(_pairs(base, tuned, kind))
        was_I, is_I = (np.array([correct(pair[side]) for pair in pairs], dtype=float) for side in (0, 1))
        masks = {"right_to_wrong": turned(was_I, is_I, True), "wrong_to_right": turned(was_I, is_I, False)}
        scored_I = scored_items(was_I, is_I)
        right = int((scored_I & (was_I == 1)).sum())
        counts[kind] = ChangeCounts(int(scored_I.sum()), right, **{name: int(m.sum()) for name, m in masks.items()})
        for change, turned_I in masks.items():
            for index in np.flatnonzero(turned_I):
                before, after = pairs[index]
                questions.append(
                    {
                        "arm": arm, "seed": seed, "rate": rate, "task": after["task"], "id": str(after["id"]),
                        "change": change, "question": after["question"], "reference": after["reference"],
                        "backbone_answer": before["answer"], "answer": after["answer"], "passed": after["passed"],
                        "no_answer": after["no_answer"],
                    }
                )  # fmt: skip
    return ArmChanges(arm, seed, rate, questions, counts)


def _pairs(
    base: Sequence[Prediction], tuned: Sequence[Prediction], kind: str
) -> Iterator[tuple[Prediction, Prediction]]:
    """Rows of a kind's questions, before and after; a task that only one of the two has is left out."""
    before, after = (_by_task(rows, kind) for rows in (base, tuned))
    for task in after:
        if task not in before:
            continue
        if [row["id"] for row in before[task]] != [row["id"] for row in after[task]]:
            raise RunError(f"{task}: the tuned model and the backbone answered other questions; evaluate both again.")
        yield from zip(before[task], after[task], strict=True)


def _by_task(rows: Sequence[Prediction], kind: str) -> dict[str, list[Prediction]]:
    tasks: dict[str, list[Prediction]] = defaultdict(list)
    for row in rows:
        if row["task"].startswith(f"{kind}/"):
            tasks[row["task"]].append(row)
    return tasks
