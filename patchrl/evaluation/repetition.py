"""How much of a dataset says the same twice: duplicates, near duplicates, and the phrases that make a template."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

MAX_COMPARED_ROWS = 1000  # rows
SHINGLE_WORDS = 5  # words
MIN_SIMILARITY = 0.8  # Jaccard similarity of shingles from which two rows are near duplicates
OPENING_WORDS = 4  # words
MIN_PHRASE_WORDS = 4  # words a phrase has at least
MIN_KEPT_SHARE = 0.9  # a phrase grows by a word while so many of the rows that hold it go along
MAX_PHRASES, MIN_PHRASE_SHARE = 5, 0.1  # phrases listed, and the share of rows that one must be in
_NUMBER = re.compile(r"\d[\d.,]*(?<![.,])")

Words = list[str]


def words_of(text: str, *, masked: bool = True) -> Words:
    """Lower-case words; `masked` makes every number the same, so that two fillings of a template agree."""
    text = text.lower()
    return (_NUMBER.sub("#", text) if masked else text).split()


def repetition(questions: Sequence[str], solutions: Sequence[str]) -> dict[str, Any]:
    """Duplicates and templates among the first MAX_COMPARED_ROWS rows; shares are of `rows`.

    - `repeated_solutions`: rows whose solution, but for case and spacing, is also in another row.
    - `near_duplicates`: rows of which another row has question and solution with Jaccard similarity of at least
      MIN_SIMILARITY in their shingles of SHINGLE_WORDS words, numbers as they are (compare arXiv 2107.06499).
    - `opening`: the commonest first OPENING_WORDS words of a solution, numbers masked, and its share.
    - `phrases`: the commonest phrases, numbers masked, each with the share of solutions that hold it.
    - `templated`: share of solutions that hold at least one of these.
    """
    questions, solutions = questions[:MAX_COMPARED_ROWS], solutions[:MAX_COMPARED_ROWS]
    count = max(len(solutions), 1)
    texts = [words_of(s) for s in solutions]
    repeats = Counter(" ".join(s.lower().split()) for s in solutions)
    openings = Counter(" ".join(words[:OPENING_WORDS]) for words in texts if words)
    opening, most = openings.most_common(1)[0] if openings else ("", 0)
    phrases = common_phrases(texts)
    with_phrase = {row for _, rows in phrases for row in rows}
    texts_with_question = [f"{q}\n{s}" for q, s in zip(questions, solutions, strict=True)]
    return {
        "rows": len(solutions),
        "repeated_solutions": sum(n for n in repeats.values() if n > 1) / count,
        "near_duplicates": len(near_duplicates(texts_with_question)) / count,
        "opening": {"text": opening, "share": most / count},
        "phrases": [{"text": " ".join(phrase), "share": len(rows) / count} for phrase, rows in phrases],
        "templated": len(with_phrase) / count,
    }


def near_duplicates(texts: Sequence[str]) -> set[int]:
    """Indices of texts that have a near duplicate among the others; texts shorter than a shingle have none.

    Exact, without comparing all pairs: two sets with Jaccard similarity of at least MIN_SIMILARITY share one of the first
    few of their elements in any common order, here the rarest first (prefix filter, Bayardo et al. 2007).
    """
    sets = [_shingles(words_of(text, masked=False)) for text in texts]
    frequency = Counter(s for shingles in sets for s in shingles)
    holders: dict[tuple[str, ...], list[int]] = {}
    duplicates: set[int] = set()
    for row, shingles in enumerate(sets):
        rarest = sorted(shingles, key=lambda s: (frequency[s], s))[
            : len(shingles) - math.ceil(MIN_SIMILARITY * len(shingles)) + 1
        ]
        for other in dict.fromkeys(other for s in rarest for other in holders.get(s, ())):
            shared = len(shingles & sets[other])
            if shared >= MIN_SIMILARITY * (len(shingles) + len(sets[other]) - shared):
                duplicates |= {row, other}
                break  # one is enough for this row; later rows meet the other themselves
        for s in rarest:
            holders.setdefault(s, []).append(row)
    return duplicates


def _shingles(words: Words) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}


def common_phrases(texts: Sequence[Words]) -> list[tuple[tuple[str, ...], set[int]]]:
    """The phrases most texts hold, with the texts that hold them: MAX_PHRASES at most, none in another.

    Found by taking the commonest MIN_PHRASE_WORDS words and growing them to both sides while MIN_KEPT_SHARE of their texts agree on
    the next word.
    """
    holders: dict[tuple[str, ...], set[int]] = {}
    for row, words in enumerate(texts):
        for i in range(len(words) - MIN_PHRASE_WORDS + 1):
            holders.setdefault(tuple(words[i : i + MIN_PHRASE_WORDS]), set()).add(row)
    min_rows = max(2, MIN_PHRASE_SHARE * len(texts))
    common = (
        g for g, rows in holders.items() if len(rows) >= min_rows and sum(map(_is_word, g)) >= MIN_PHRASE_WORDS // 2
    )
    seeds = sorted(common, key=lambda g: (-len(holders[g]), g))
    phrases: list[tuple[tuple[str, ...], set[int]]] = []
    for seed in seeds:
        if len(phrases) == MAX_PHRASES:
            break
        if any(_overlaps(seed, phrase) for phrase, _ in phrases):
            continue
        phrases.append(_grown(seed, holders[seed], texts))
    return phrases


def _is_word(text: str) -> bool:
    return any(map(str.isalpha, text))  # a formula alone is not a template


def _overlaps(seed: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether half of the seed's words, in a row, are the phrase's already."""
    half = MIN_PHRASE_WORDS // 2
    parts = {phrase[i : i + half] for i in range(len(phrase) - half + 1)}
    return any(seed[i : i + half] in parts for i in range(len(seed) - half + 1))


def _grown(phrase: tuple[str, ...], rows: set[int], texts: Sequence[Words]) -> tuple[tuple[str, ...], set[int]]:
    starts = [  # every place of the phrase: a text's number and a word's
        (row, i)
        for row in sorted(rows)
        for i in range(len(texts[row]) - len(phrase) + 1)
        if tuple(texts[row][i : i + len(phrase)]) == phrase
    ]
    grown = True
    while grown:
        grown = False
        for after in (True, False):
            beside: dict[str, list[tuple[int, int]]] = {}
            for row, i in starts:
                j = i + len(phrase) if after else i - 1
                if 0 <= j < len(texts[row]):
                    beside.setdefault(texts[row][j], []).append((row, i if after else j))
            holders = {word: {row for row, _ in places} for word, places in beside.items()}
            word = max(holders, key=lambda w: (len(holders[w]), w), default=None)
            if word is not None and len(holders[word]) >= MIN_KEPT_SHARE * len(rows):
                phrase = (*phrase, word) if after else (word, *phrase)
                starts, rows, grown = beside[word], holders[word], True
    return phrase, rows
