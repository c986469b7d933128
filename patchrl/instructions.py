"""Named rewriting instructions and the prompt that carries them."""

from __future__ import annotations

# The nano lab plants a different own-style share behind each of these (patchrl.nano.world.OWN_SHARE).
INSTRUCTIONS = {
    "polish": "Polish this solution and keep its answer.",
    "clarify": "Restate this solution clearly and keep its answer.",
    "own-words": "Rewrite this solution in your own words and keep its answer.",
    "as-you-would": "Answer the question as you would yourself, following this solution.",
}


def rewrite_prompt(instruction: str, question: str, solution: str) -> str:
    """The user turn that asks for a rewrite; `instruction` is a name in INSTRUCTIONS or free text."""
    text = INSTRUCTIONS.get(instruction, instruction)
    return f"{text}\nQuestion: {question}\nSolution: {solution}"
