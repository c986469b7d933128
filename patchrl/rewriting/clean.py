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
    """Each solution without calculator marks, with its `#### answer` as a sentence, and without a shared opening.

    An opening is the longest run of words, up to a punctuation mark, with which half of the solutions begin. Nothing
    else is changed.

    Example:
        >>> clean_texts(["40 / 2 = <<40/2=20>>20\\n#### 20"])
        ['40 / 2 = 20\\nThe answer is 20.']
    """
    texts = [CALCULATOR_MARK.sub("", solution) for solution in solutions]
    opening = shared_opening(texts)
    return [_without_opening(_ANSWER_MARK.sub(r"\nThe answer is \1.", text).strip(), opening) for text in texts]


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
