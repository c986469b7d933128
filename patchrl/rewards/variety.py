"""How many different wordings a set of texts holds: distinct-n and the Vendi score, numbers masked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

DISTINCT_N = 4
LONGEST = 3  # words in an n-gram of the Vendi kernel
_NUMBER = re.compile(r"\d[\d.,]*")


def _words(text: str) -> list[str]:
    """Lower-case words with every number made one, so that two fillings of a template are one wording."""
    return _NUMBER.sub("#", text.lower()).split()


def _ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(n)), strict=False)


def distinct_n(texts: Sequence[str], n: int = DISTINCT_N) -> float:
    """Different n-grams over all n-grams of the texts, in (0, 1] (arXiv 1510.03055); 0 without any."""
    found = Counter(gram for text in texts for gram in _ngrams(_words(text), n))
    return len(found) / found.total() if found else 0.0


def vendi(texts: Sequence[str]) -> float:
    """Effective number of different texts, from 1 (all alike) to their count (arXiv 2210.02410).

    exp of the Shannon entropy of the eigenvalues of K/N, K the cosine similarities of the texts' counts
    of n-grams of one to three words. 0 for no text; texts without a word count as alike.
    """
    if not texts:
        return 0.0
    counts = [Counter(g for n in range(1, LONGEST + 1) for g in _ngrams(_words(text), n)) for text in texts]
    column = {gram: i for i, gram in enumerate(dict.fromkeys(g for c in counts for g in c))}
    table_NG = np.zeros((len(texts), len(column) + 1))
    for row, found in zip(table_NG, counts, strict=True):
        row[[column[g] for g in found]] = list(found.values())
        row[-1] = not found
    table_NG /= np.linalg.norm(table_NG, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(table_NG @ table_NG.T / len(texts))
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))
