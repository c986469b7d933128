"""The reference answer inside an expert solution."""

from __future__ import annotations

from patchrl.grading.answer_span import find_stated
from patchrl.grading.choices import choice_letter
from patchrl.grading.notation import without_thoughts
from patchrl.grading.quantities import NUMBER
from patchrl.grading.text_answers import last_sentence, without_fences


def extract_reference(task: str, solution: str) -> str | None:
    """The reference answer of an expert solution: `#### 18`, the last box, `the answer is`, the last number.

    Args:
        task: math, choice, exact or open. An open task has no reference.
        solution: the expert's text.

    Returns None where the solution names no answer.
    """
    solution = without_thoughts(solution)
    if task == "choice":
        return choice_letter(solution)
    if task == "open":
        return None
    if "####" in solution:
        return solution.rsplit("####", 1)[1].strip().split("\n", 1)[0].strip() or None
    if stated := find_stated(solution):
        return stated.text.rstrip(".") or None
    if task != "math":
        return last_sentence(without_fences(solution)) or None
    numbers = NUMBER.findall(solution)
    return numbers[-1].strip() if numbers else None
