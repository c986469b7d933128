"""Answer evaluation items greedily and judge each answer; nothing is asked twice of the same weights."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchrl.errors import RunError, StopRequested
from patchrl.runs.context import StageContext
from patchrl.runs.evaluations import Evaluations, Key
from patchrl.runs.jsonl import write_rows
from patchrl.types import EvalItem, Example

if TYPE_CHECKING:
    from patchrl.evaluation.harness.benchmark import Benchmark

Items = Sequence[tuple[str, EvalItem]]


def evaluate(
    context: StageContext,
    items: Items,
    benchmarks: Sequence[tuple[str, Benchmark]],
    home: Path,
    evaluations: Evaluations,
) -> dict[str, Any]:
    """Score the context's backbone on items and harness tasks, each with its kind: target, general or validation.

    The context's gate judges the items; it uses the frozen backbone whichever model answers. The harness scores its own
    tasks. Writes one prediction an item to `home`/predictions.jsonl. Raises StopRequested between tasks (what was answered
    is kept) and RunError where not one answer of the target or of the general tasks can be judged.

    Returns:
        `{"target", "general", "validation", "by_task", "no_answer"}` with scores as fractions; `general` is the mean over
        general tasks (None without any), so that a large task does not outweigh a small one.
    """
    weights, recorder = context.backbone.fingerprint(), context.recorder
    rows = _judged(context, items, weights, evaluations)
    if benchmarks:  # only then is the harness needed
        from patchrl.evaluation.harness.measure import measure
    for kind, benchmark in benchmarks:
        if recorder.stop_requested():
            raise StopRequested(f"Stopped before {benchmark.name}; resume continues there.")
        limit = context.config.evaluate.max_new_tokens
        scored = measure(benchmark, context.backbone, weights, limit, evaluations, recorder)
        rows += [{"id": row["id"], "task": f"{kind}/{benchmark.name}", **row} for row in scored]
    for kind in ("target", "general"):
        passed = [row["passed"] for row in rows if row["task"].startswith(f"{kind}/")]
        if passed and all(p is None for p in passed):
            raise RunError(f"evaluate.{kind}: no answer could be judged; raise gate.timeout, or mend the references.")
    write_rows(home / "predictions.jsonl", rows)
    return summarize(rows)


def _judged(context: StageContext, items: Items, weights: str, evaluations: Evaluations) -> list[dict[str, Any]]:
    """Prediction rows of items that the gate judges."""
    answers = _answers(context, items, weights, evaluations)
    # An item is compared with its reference alone; the reference of an open item is its expert solution.
    examples = [Example(item.id, item.question, item.reference, item.reference, item.task) for _, item in items]
    verdicts = context.gate.check(examples, [answer["text"] for answer in answers])
    return [
        {
            "id": item.id,
            "task": f"{kind}/{item.skill}",
            "question": item.question,
            "reference": item.reference,
            "answer": answer["text"],
            "passed": verdict.passed,
            # A clipped answer, or one in which no answer is found, is a lost format and not lost knowledge.
            "no_answer": not verdict.passed and (answer["clipped"] or verdict.extracted is None),
        }
        for (kind, item), answer, verdict in zip(items, answers, verdicts, strict=True)
    ]


def _answers(context: StageContext, items: Items, weights: str, evaluations: Evaluations) -> list[dict[str, Any]]:
    """`text` and `clipped` of each item's answer. Kept are answers and not verdicts: judging costs no forward."""
    limit = context.config.evaluate.max_new_tokens
    tasks: dict[str, list[int]] = defaultdict(list)
    for i, (kind, item) in enumerate(items):
        tasks[f"{kind}/{item.skill}"].append(i)
    keys: dict[str, Key] = {
        task: {
            "weights": weights,
            "task": items[rows[0]][1].skill,
            "questions": hashlib.sha256(json.dumps([items[i][1].question for i in rows]).encode()).hexdigest(),
            "max_new_tokens": limit,
        }
        for task, rows in tasks.items()
    }
    stored = {task: evaluations.get(key) for task, key in keys.items()}
    # As it was when this evaluation began: what is asked together decides the batches.
    missing = context.keep(
        ["missing answers", list(keys.values())],
        lambda: [i for task, rows in tasks.items() if stored[task] is None for i in rows],
    )
    generations = context.backbone.generate(
        [items[i][1].question for i in missing],
        max_new_tokens=limit,
        on_progress=lambda done: context.recorder.progress(done, len(missing)),
    )
    answered = {i: {"text": g.text, "clipped": g.clipped} for i, (g,) in zip(missing, generations, strict=True)}
    for task, rows in tasks.items():
        answers = stored[task]
        if answers is None:
            evaluations.put(keys[task], [answered[i] for i in rows])
        else:
            answered |= zip(rows, answers, strict=True)
    return [answered[i] for i in range(len(items))]


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
