"""How varied a set of texts is (distinct-n, Vendi score) and how far two sets are apart. Numbers are masked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

DISTINCT_N = 4
MAX_NGRAM = 3  # words in an n-gram of the Vendi kernel
_NUMBER = re.compile(r"\d[\d.,]*")


def _words(text: str) -> list[str]:
    """Lower-case words with every number made one, so that two fillings of a template are one wording."""
    return _NUMBER.sub("#", text.lower()).split()


def _ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(n)), strict=False)


def distinct_n(texts: Sequence[str], n: int = DISTINCT_N) -> float:
    """Different n-grams over all n-grams of the texts, in (0, 1] (arXiv 1510.03055); 0 without any."""
    counts = Counter(gram for text in texts for gram in _ngrams(_words(text), n))
    return len(counts) / counts.total() if counts else 0.0


def vendi(texts: Sequence[str]) -> float:
    """Effective number of different texts, from 1 (all alike) to their count (arXiv 2210.02410).

    exp of the Shannon entropy of the eigenvalues of K/N, K the cosine similarities of the texts' counts
    of n-grams of one to three words. 0 for no text; texts without a word count as alike.
    """
    if not texts:
        return 0.0
    table_NG = _directions(texts)
    shares = np.linalg.eigvalsh(table_NG @ table_NG.T / len(texts))
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


@dataclass(frozen=True)
class Variety:
    """Vendi score and distinct-4 of a set of texts; both depend on the number of texts."""

    vendi: float
    distinct: float

    @classmethod
    def of(cls, texts: Sequence[str]) -> Variety:
        return cls(vendi(texts), distinct_n(texts))


def energy_distance(texts: Sequence[str], others: Sequence[str]) -> float:
    """How far apart the wordings of two sets of texts are, from 0 (drawn alike) to 1.

    Székely and Rizzo's energy distance 2E|X − Y| − E|X − X'| − E|Y − Y'| over 2E|X − Y|. X and Y are the unit vectors of
    the texts' counts of n-grams as in `vendi`, each pair of different texts once. It is 0 where a set has fewer than two
    texts, and where few texts share no word with any other: so few texts give no estimate.
    """
    if min(len(texts), len(others)) < 2:
        return 0.0
    table_NG = _directions([*texts, *others])
    apart_NN = np.sqrt(np.clip(2 - 2 * table_NG @ table_NG.T, 0, None))
    np.fill_diagonal(apart_NN, 0.0)
    n, m = len(texts), len(others)
    between = float(apart_NN[:n, n:].mean())
    within = float(apart_NN[:n, :n].sum() / (n * (n - 1)) + apart_NN[n:, n:].sum() / (m * (m - 1)))
    return max(0.0, 1 - within / (2 * between)) if between > 0 else 0.0


def _directions(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors of each text's counts of n-grams, shape (N, G); texts without a word are alike."""
    counts = [Counter(g for n in range(1, MAX_NGRAM + 1) for g in _ngrams(_words(text), n)) for text in texts]
    column = {gram: i for i, gram in enumerate(dict.fromkeys(g for c in counts for g in c))}
    table_NG = np.zeros((len(texts), len(column) + 1))
    for row, count in zip(table_NG, counts, strict=True):
        row[[column[g] for g in count]] = list(count.values())
        row[-1] = not count
    return table_NG / np.linalg.norm(table_NG, axis=1, keepdims=True)
