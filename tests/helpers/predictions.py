"""Made-up prediction rows of an evaluation."""

import json
from typing import Any

from patchrl.runs.folder import RunFolder


def prediction(number: int, passed: bool | float | None, answer: str = "It is 4.", **changes: Any) -> dict[str, Any]:
    """One row of predictions.jsonl, of a general skill unless changed."""
    row = {
        "id": f"add-{number}",
        "task": "general/add",
        "question": f"What is {number} + 1?",
        "reference": str(number + 1),
    }
    return row | {"answer": answer, "passed": passed, "no_answer": False} | changes


def add_answers(folder: RunFolder, count: int, text: str) -> None:
    """Answers of the backbone, all right, and of two arms, all wrong, to `count` questions that begin with a text."""
    for home, passed in ((folder.base(), True), (folder.arm("expert", 0), False), (folder.arm("rl", 0), False)):
        home.mkdir(parents=True, exist_ok=True)
        answer = f"It is {'right' if passed else home.parent.name} <b>here</b>."
        rows = (prediction(n, passed, answer, question=f"{text} {n} seeds?") for n in range(count))
        (home / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
