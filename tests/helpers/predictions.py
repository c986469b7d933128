"""Made-up prediction rows of an evaluation."""

from typing import Any


def prediction(number: int, passed: bool | float | None, answer: str = "It is 4.", **changes: Any) -> dict[str, Any]:
    """One row of predictions.jsonl, of a general skill unless changed."""
    row = {
        "id": f"add-{number}",
        "task": "general/add",
        "question": f"What is {number} + 1?",
        "reference": str(number + 1),
    }
    return row | {"answer": answer, "passed": passed, "no_answer": False} | changes
