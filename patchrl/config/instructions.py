"""Named rewriting instructions and the prompt that carries them."""

from __future__ import annotations

# The nano lab plants a different own-style share behind each of these (patchrl.nano.world.OWN_SHARE).
INSTRUCTIONS = {
    "polish": "Polish this solution and keep its answer.",
    "clarify": "Restate this solution clearly and keep its answer.",
    "own-words": "Rewrite this solution in your own words and keep its answer.",
    "as-you-would": "Answer the question as you would yourself, following this solution.",
}


def check_instruction(instruction: str) -> None:
    """Raises ValueError where `instruction` is no name and no more than one Latin word: a name misspelled."""
    if instruction not in INSTRUCTIONS and len(instruction.split()) < 2 and instruction.strip().isascii():
        raise ValueError(
            f"{instruction!r} is no named instruction ({', '.join(INSTRUCTIONS)}); use one of them or write a sentence"
        )


def rewrite_prompt(instruction: str, question: str, solution: str) -> str:
    """The user turn that asks for a rewrite; `instruction` is a name in INSTRUCTIONS or free text."""
    text = INSTRUCTIONS.get(instruction, instruction)
    return f"{text}\nQuestion: {question}\nSolution: {solution}"
