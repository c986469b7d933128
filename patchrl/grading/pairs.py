"""Pairs of texts from the data itself that say the same or do not, to choose the thresholds of coverage on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from patchrl.grading.claims import Sentence
from patchrl.grading.coverage import MIN_SHARE, Row, find_matches, read_row, reference_of
from patchrl.types import Example

TRIMMED = 4  # every fourth word that carries content is left out of a trimmed sentence
SHORT_WORD = 3  # letters of a word that is always kept
MAX_UNRELATED_SHARE = 0.2  # of a sentence's terms in another one that does not say the same
Embed = Callable[[Sequence[str], Sequence[str]], np.ndarray]  # questions and sentences to vectors of shape (N, D)


def text_shares(examples: Sequence[Example]) -> tuple[list[float], list[float]]:
    """The share of the key sentence that comes back least, for texts that keep every claim and texts that lose one.

    Kept: the expert solution with every fourth longer word of each sentence left out. Lost: the expert solution without one key
    sentence, the solution of the next row before the right answer, and the bare answer.
    """
    kept, lost = list[float](), list[float]()
    for i, (example, following) in enumerate(zip(examples, [*examples[1:], *examples[:1]], strict=True)):
        row = _row(example)
        if not row.is_scorable or example is following:
            continue
        answer = "" if example.task == "open" else f"\nThe answer is {example.reference}."
        left_out = row.key[i % len(row.key)].text
        kept.append(_least_share(" ".join(map(_trimmed, row.expert)) + answer, row))
        lost.append(_least_share(example.solution.replace(left_out, ""), row))
        lost += (_least_share(text + answer, row) for text in (following.solution, ""))
    return kept, lost


def _row(example: Example) -> Row:
    return read_row(example.question, example.solution, reference_of(example))


def _least_share(text: str, row: Row) -> float:
    return min(match.share for match in find_matches(text, row))


def _trimmed(sentence: Sentence) -> str:
    """A sentence without every fourth of its longer words, and with a full stop."""
    words, seen = list[str](), 0
    for word in sentence.text.rstrip(".!?;").split():
        seen += len(word) > SHORT_WORD
        if len(word) <= SHORT_WORD or seen % TRIMMED or any(c.isdigit() for c in word):
            words.append(word)
    return " ".join(words) + "."


def sentence_similarities(
    examples: Sequence[Example], rewrites: Sequence[str], embed: Embed
) -> tuple[list[float], list[float]]:
    """Cosines of sentences that say the same in other words, and of sentences that do not.

    Same: a key sentence and the sentence of the row's rewrite that has enough of its terms. Different: two key sentences of
    one solution that share hardly a term.
    """
    same, different = list[tuple[str, str, str]](), list[tuple[str, str, str]]()
    for example, rewrite in zip(examples, rewrites, strict=True):
        row = _row(example)
        for key, match in zip(row.key, find_matches(rewrite, row), strict=True):
            if match.share >= MIN_SHARE and len(match.sentences) == 1 and match.sentences[0].stems != key.stems:
                same.append((example.question, key.text, match.sentences[0].text))
        different += ((example.question, a.text, b.text) for a, b in _unrelated(row))
    return _cosines(same, embed), _cosines(different, embed)


def _unrelated(row: Row) -> Iterator[tuple[Sentence, Sentence]]:
    for a, b in zip(row.key, row.key[1:], strict=False):
        if len(a.terms & b.terms) <= MAX_UNRELATED_SHARE * len(a.terms):
            yield a, b


def _cosines(pairs: Sequence[tuple[str, str, str]], embed: Embed) -> list[float]:
    if not pairs:
        return []
    questions = [question for question, _, _ in pairs]
    a_ND, b_ND = embed(questions, [a for _, a, _ in pairs]), embed(questions, [b for _, _, b in pairs])
    norms = np.linalg.norm(a_ND, axis=1) * np.linalg.norm(b_ND, axis=1)
    return ((a_ND * b_ND).sum(1) / np.where(norms == 0, 1.0, norms)).tolist()
