"""How much of a dataset says the same twice: duplicates, near duplicates, and the phrases that make a template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

COMPARED = 2000  # rows: the comparison of all pairs is quadratic
SHINGLE = 5  # words
NEAR = 0.8  # Jaccard similarity of shingles from which two rows are near duplicates
OPENING = 4  # words
PHRASE = 4  # words a phrase has at least
KEPT = 0.9  # a phrase grows by a word while so many of the rows that hold it go along
PHRASES, PHRASE_SHARE = 5, 0.1  # phrases told at most, and the share of rows from which one is told
_NUMBER = re.compile(r"\d[\d.,]*(?<![.,])")

Words = list[str]


def words_of(text: str, *, masked: bool = True) -> Words:
    """Lower-case words; `masked` makes every number the same, so that two fillings of a template agree."""
    text = text.lower()
    return (_NUMBER.sub("#", text) if masked else text).split()


def repetition(questions: Sequence[str], solutions: Sequence[str]) -> dict[str, Any]:
    """Duplicates and templates among the first COMPARED rows; shares are of `rows`.

    - `repeated_solutions`: rows whose solution, but for case and spacing, also stands in another row.
    - `near_duplicates`: rows of which another row has question and solution with Jaccard similarity of at least NEAR
      in their shingles of SHINGLE words, numbers as they are (compare arXiv 2107.06499).
    - `opening`: the commonest first OPENING words of a solution, numbers masked, and its share.
    - `phrases`: the commonest phrases, numbers masked, each with the share of solutions that hold it.
    - `templated`: share of solutions that hold at least one of these.
    """
    questions, solutions = questions[:COMPARED], solutions[:COMPARED]
    count = max(len(solutions), 1)
    texts = [words_of(s) for s in solutions]
    same = Counter(" ".join(s.lower().split()) for s in solutions)
    openings = Counter(" ".join(words[:OPENING]) for words in texts if words)
    opening, most = openings.most_common(1)[0] if openings else ("", 0)
    phrases = common_phrases(texts)
    holds = {row for _, rows in phrases for row in rows}
    whole = [f"{q}\n{s}" for q, s in zip(questions, solutions, strict=True)]
    return {
        "rows": len(solutions),
        "repeated_solutions": sum(n for n in same.values() if n > 1) / count,
        "near_duplicates": len(near_duplicates(whole)) / count,
        "opening": {"text": opening, "share": most / count},
        "phrases": [{"text": " ".join(phrase), "share": len(rows) / count} for phrase, rows in phrases],
        "templated": len(holds) / count,
    }


def near_duplicates(texts: Sequence[str]) -> set[int]:
    """Indices of texts that have a near duplicate among the others; texts shorter than a shingle have none."""
    columns: dict[tuple[str, ...], int] = {}
    indices: list[int] = []
    starts = [0]
    for text in texts:
        words = words_of(text, masked=False)
        shingles = {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}
        indices += [columns.setdefault(s, len(columns)) for s in shingles]
        starts.append(len(indices))
    table_NS = sparse.csr_matrix((np.ones(len(indices)), indices, starts), shape=(len(texts), max(len(columns), 1)))
    sizes_N = np.diff(starts)
    shared = (table_NS @ table_NS.T).tocoo()
    similar = shared.data >= NEAR * (sizes_N[shared.row] + sizes_N[shared.col] - shared.data)
    return set(shared.row[similar & (shared.row != shared.col)].tolist())


def common_phrases(texts: Sequence[Words]) -> list[tuple[tuple[str, ...], set[int]]]:
    """The phrases most texts hold, with the texts that hold them: PHRASES at most, none in another.

    Found by taking the commonest PHRASE words and growing them to both sides while KEPT of their texts agree on
    the next word.
    """
    holders: dict[tuple[str, ...], set[int]] = {}
    for row, words in enumerate(texts):
        for i in range(len(words) - PHRASE + 1):
            holders.setdefault(tuple(words[i : i + PHRASE]), set()).add(row)
    least = max(2, PHRASE_SHARE * len(texts))
    told = (g for g, rows in holders.items() if len(rows) >= least and sum(map(_is_word, g)) >= PHRASE // 2)
    seeds = sorted(told, key=lambda g: (-len(holders[g]), g))
    found: list[tuple[tuple[str, ...], set[int]]] = []
    for seed in seeds:
        if len(found) == PHRASES:
            break
        if any(_overlaps(seed, phrase) for phrase, _ in found):
            continue
        found.append(_grown(seed, holders[seed], texts))
    return found


def _is_word(text: str) -> bool:
    return any(map(str.isalpha, text))  # a formula alone is no template


def _overlaps(seed: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether half of the seed's words, in a row, are the phrase's already."""
    half = PHRASE // 2
    parts = {phrase[i : i + half] for i in range(len(phrase) - half + 1)}
    return any(seed[i : i + half] in parts for i in range(len(seed) - half + 1))


def _grown(phrase: tuple[str, ...], rows: set[int], texts: Sequence[Words]) -> tuple[tuple[str, ...], set[int]]:
    grown = True
    while grown:
        grown = False
        for after in (True, False):
            beside: dict[str, set[int]] = {}
            for row in rows:
                words, size = texts[row], len(phrase)
                for i in range(len(words) - size + 1):
                    j = i + size if after else i - 1
                    if 0 <= j < len(words) and tuple(words[i : i + size]) == phrase:
                        beside.setdefault(words[j], set()).add(row)
            word = max(beside, key=lambda w: (len(beside[w]), w), default=None)
            if word is not None and len(beside[word]) >= KEPT * len(rows):
                phrase, rows, grown = ((*phrase, word) if after else (word, *phrase)), beside[word], True
    return phrase, rows
