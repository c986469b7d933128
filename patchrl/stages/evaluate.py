"""Answer evaluation items greedily and judge each answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from patchrl.backbone import Backbone
from patchrl.config import StudyConfig
from patchrl.gate import Gate
from patchrl.stages.rewrite import write_rows
from patchrl.types import EvalItem, Example, Recorder


def evaluate(
    config: StudyConfig,
    backbone: Backbone,
    gate: Gate,
    items: Sequence[tuple[str, EvalItem]],
    predictions: Path,
    recorder: Recorder,
) -> dict[str, Any]:
    """Score the backbone on items with their kind: target, general or validation; writes one prediction per item.

    `gate` stands on the frozen backbone, whichever one answers.

    Returns `{"target", "general", "validation", "by_task", "no_answer"}` with scores as fractions; `general`
    is the mean over general tasks (None without any), so that a large task does not outweigh a small one.
    """
    generations = backbone.generate(
        [item.question for _, item in items],
        max_new_tokens=config.evaluate.max_new_tokens,
        on_progress=lambda done: recorder.progress(done, len(items)),
    )
    # An item's reference is all there is to compare with; an open one's is its expert solution.
    examples = [Example(item.id, item.question, item.reference, item.reference, item.task) for _, item in items]
    verdicts = gate.check(examples, [group[0].text for group in generations])
    rows = [
        {
            "id": item.id,
            "task": f"{kind}/{item.skill}",
            "question": item.question,
            "reference": item.reference,
            "answer": group[0].text,
            "passed": verdict.passed,
            # A clipped answer, or one in which no answer is found, is a lost format and not lost knowledge.
            "no_answer": not verdict.passed and (group[0].clipped or verdict.extracted is None),
        }
        for (kind, item), group, verdict in zip(items, generations, verdicts, strict=True)
    ]
    write_rows(predictions, rows)
    return summarize(rows)


def summarize(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Scores per task and in all from prediction rows; unscorable items are left out."""
    by_task: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["passed"] is not None:
            by_task[row["task"]].append(row)
    tasks = {
        task: {
            "score": sum(r["passed"] for r in members) / len(members),
            "items": len(members),
            "no_answer": sum(r["no_answer"] for r in members) / len(members),
        }
        for task, members in by_task.items()
    }

    def mean(kind: str) -> float | None:
        scores = [v["score"] for task, v in tasks.items() if task.startswith(kind)]
        return sum(scores) / len(scores) if scores else None

    return {
        "target": mean("target/"),
        "general": mean("general/"),
        "validation": mean("validation/"),
        "by_task": tasks,
        "no_answer": sum(r["no_answer"] for r in rows) / max(len(rows), 1),
    }
