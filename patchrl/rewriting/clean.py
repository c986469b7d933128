"""Expert texts without marks that only their data set uses: what costs nothing and should be tried first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from patchrl.grading.equation_notation import CALCULATOR_MARK

MIN_SHARED = 0.5  # of the solutions: an opening that so many share is a format, not content
MAX_OPENING = 8  # words
MIN_ROWS = 4  # fewer share an opening by chance
_ANSWER_MARK = re.compile(r"[ \t]*\n?[ \t]*####[ \t]*(\S[^\n]*?)\s*\Z")
_OPENING_END = (".", ":", ",", "!")


def clean_texts(solutions: Sequence[str]) -> list[str]:
    """Each solution after all RULES; nothing else is changed.

    Example:
        >>> clean_texts(["40 / 2 = <<40/2=20>>20\\n#### 20"])
        ['40 / 2 = 20\\nThe answer is 20.']
    """
    texts = list(solutions)
    for rule in RULES.values():
        texts = rule(texts)
    return texts


def without_calculator_marks(texts: Sequence[str]) -> list[str]:
    """Each text without GSM8K's `<<40/2=20>>`."""
    return [CALCULATOR_MARK.sub("", text) for text in texts]


def with_answer_sentences(texts: Sequence[str]) -> list[str]:
    """Each text with a closing `#### 20` as a sentence."""
    return [_ANSWER_MARK.sub(r"\nThe answer is \1.", text).strip() for text in texts]


def without_shared_opening(texts: Sequence[str]) -> list[str]:
    """Each text without the longest opening, up to a punctuation mark, that half of the texts have."""
    opening = shared_opening(texts)
    return [_without_opening(text, opening) for text in texts]


RULES = {
    "calculator marks": without_calculator_marks,
    "the #### mark": with_answer_sentences,
    "the shared opening": without_shared_opening,
}


def shared_opening(texts: Sequence[str]) -> str:
    """The longest opening that MIN_SHARED of the texts have, empty without one."""
    counts = Counter(opening for text in texts for opening in _openings(text))
    enough = max(MIN_ROWS, MIN_SHARED * len(texts))
    return max((opening for opening, count in counts.items() if count >= enough), key=len, default="")


def _openings(text: str) -> list[str]:
    words = text.split(" ")[:MAX_OPENING]
    ends = [i for i, word in enumerate(words, 1) if word.endswith(_OPENING_END) and not any(c.isdigit() for c in word)]
    return [" ".join(words[:end]) + " " for end in ends if len(text.split(" ")) > end]


def _without_opening(text: str, opening: str) -> str:
    if not opening or not text.startswith(opening):
        return text
    rest = text[len(opening) :].lstrip()
    return rest[:1].upper() + rest[1:]
