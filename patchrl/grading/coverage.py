"""Whether a text claims what the expert's text claims, and nothing new."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from patchrl.grading.choices import LETTERED_OPTION
from patchrl.grading.claims import Options, Sentence, read_sentences, stem
from patchrl.text import listed
from patchrl.types import Example

MIN_SHARE = 0.5  # of a key sentence's terms that must come back, where the data has not been measured
MIN_SIMILAR_SHARE = 0.2  # from which a sentence of the same meaning can make up for the rest
SHARED_WEIGHT = 0.34  # of a term that the question or another sentence of the expert has too; others have 1
PAIR_GAIN = 0.15  # of the share, that makes two neighbouring sentences a better match than one
MIN_FUNCTION_SHARE = 0.5  # of the expert's share of function words, below which a sentence is a list
MIN_OWN_SHARE = 0.34  # of the terms that only this sentence of the expert has
MIN_RELATION_SHARE = 0.75  # of a key sentence that relates terms of others and has none of its own
MAX_CHUNK = 1.5  # words between commas, on average, below which a text is a list
SAME_SENTENCE = 0.8  # of the words of two sentences, from which they are one sentence in two forms
MIN_LIST = 5  # words of a sentence from which on it is compared with a list
COPIED_SHARE = 0.8  # of three words in a row that the question has too
_OPPOSITES = (
    "more less", "more fewer", "before after", "increase decrease", "increases decreases", "raise lower", "higher lower",
    "high low", "larger smaller", "large small", "bigger smaller", "longer shorter", "older younger", "always never", "first last",
    "long short", "tall short", "wide narrow", "big small", "old young", "near far", "win lose", "buy sell", "open closed",
    "full empty", "strong weak", "up down", "above below", "over under", "north south", "east west", "left right", "inside outside", "with without", "all none",
    "most few", "early late", "earlier later", "hot cold", "true false", "possible impossible", "likely unlikely", "male female",
    "alive dead", "legal illegal", "safe dangerous", "easy hard", "begin end", "began ended", "faster slower", "good bad",
    "best worst", "better worse", "maximum minimum", "positive negative", "true untrue", "same different", "rich poor",
)  # fmt: skip
OPPOSITES: dict[str, set[str]] = {}
for _pair in _OPPOSITES:
    for _one, _other in (_pair.split(), _pair.split()[::-1]):
        OPPOSITES.setdefault(stem(_one), set()).add(stem(_other))
_CHUNK_END = re.compile(r"[,;|/•·]| [-–—] |\n")
_HEDGES = re.compile(
    r"\b(?:suppose|imagine|pretend|let us say|what if|allegedly|supposedly|rumou?rs?|some (?:people )?(?:say|think|claim|believe)"
    r"|(?:people|they|he|she|i) (?:also )?(?:say|think|claim|believe|heard|was told|were told))\b",
    re.IGNORECASE,
)
MIN_SIMILAR_CONTENT = 0.75  # of the overlap with its closest sentence, from which another one counts as close too
_DISOWNS = re.compile(
    r"\b(?:none|nothing|neither|not a word) of (?:this|that|these|those|it|the (?:above|following))\b"
    r"|\b(?:this|that|these|those|all|everything|each|it|above|following|below|statements?|claims?|what follows)\b[^.:]{0,40}"
    r"\b(?:not (?:true|right|correct|the case|so)|isn['’]t true|false|wrong|untrue|incorrect|nonsense|lies?|made up)\b"
    r"|\bthe opposite\b|\b(?:ignore|disregard|forget) (?:this|that|all|everything|what)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Row:
    """What a row asks of a rewrite.

    `key` are the expert's sentences that say something beyond the question and the answer, `weights` how much each of
    their terms counts. `question` are the question's own sentences, `known_numbers` their
    numbers without those of options.
    """

    question: tuple[Sentence, ...]
    expert: tuple[Sentence, ...]
    options: Options
    known_numbers: frozenset[Fraction]
    key: tuple[Sentence, ...]
    weights: tuple[dict[str, float], ...]

    @property
    def is_scorable(self) -> bool:
        """Whether the expert claims anything that a rewrite could keep."""
        return bool(self.key)


@dataclass(frozen=True)
class Match:
    """Where a text has a key sentence of the expert: the share of its terms, and the sentences that have them."""

    share: float
    sentences: tuple[Sentence, ...] = ()


@lru_cache(maxsize=4096)
def read_row(question: str, solution: str, reference: str | None) -> Row:
    """What a question, its expert solution and its answer ask of a rewrite."""
    options, stem_text = _options(question)
    asked, expert = read_sentences(question), read_sentences(solution, options)
    given = read_sentences(stem_text)
    known = frozenset(term for sentence in given for term in sentence.terms)
    numbers = frozenset(value for sentence in given for value in sentence.numbers)
    words = (term for sentence in read_sentences(reference or "") for term in sentence.terms)
    answer = frozenset(words) | dict(options).get(reference or "", frozenset())
    key = [s for s in expert if s.terms - known - answer and not _is_copied(s, asked)]
    return Row(asked, expert, options, numbers, tuple(key), tuple(_weights(s, key, known, answer) for s in key))


def _weights(
    sentence: Sentence, key: Sequence[Sentence], known: frozenset[str], answer: frozenset[str]
) -> dict[str, float]:
    """How much each term of a key sentence counts."""
    others = frozenset[str]().union(*(s.terms for s in key if s is not sentence))
    return {term: SHARED_WEIGHT if term in others | known else 1.0 for term in sentence.terms - answer}


def _options(question: str) -> tuple[Options, str]:
    """The options that a question lists, and the question without them."""
    marks = list(LETTERED_OPTION.finditer(question))
    if len(marks) < 2:
        return (), question
    ends = [*(mark.start() for mark in marks[1:]), len(question)]
    texts = (question[mark.end() : end].split("\n", 1)[0] for mark, end in zip(marks, ends, strict=True))
    stems = (frozenset(term for s in read_sentences(text) for term in s.terms) for text in texts)
    return tuple(zip((mark[1] for mark in marks), stems, strict=True)), question[: marks[0].start()]


def claim_kinds(examples: Sequence[Example]) -> dict[str, int]:
    """How many rows the gate judges by what their expert `claims`, and how many are `unscorable`, as it claims nothing.

    Rows that need a reference and have none count in neither.
    """
    counts = dict.fromkeys(("claims", "unscorable"), 0)
    for example in examples:
        if example.task == "open" or example.reference is not None:
            row = read_row(example.question, example.solution, reference_of(example))
            counts["claims" if row.is_scorable else "unscorable"] += 1
    return counts


def reference_of(example: Example) -> str | None:
    """The reference of a row as `read_row` reads it; None for open rows."""
    return None if example.task == "open" or example.reference is None else example.reference.strip()


def find_matches(text: str, row: Row) -> list[Match]:
    """The best match of each key sentence: one sentence of the text, or two neighbours."""
    sentences = [s for s in read_sentences(text, row.options) if not _is_copied(s, row.question)]
    windows: list[tuple[Sentence, ...]] = [*((s,) for s in sentences), *pairwise(sentences)]
    terms = [frozenset[str]().union(*(s.terms for s in window)) for window in windows]
    return [_best_match(key, weights, windows, terms) for key, weights in zip(row.key, row.weights, strict=True)]


def sentence_pairs(text: str, row: Row, min_share: float) -> Iterator[tuple[int, str, str]]:
    """Key sentences whose words come back in part only: the place, the sentence, and a sentence of the text."""
    for place, (key, weights, match) in enumerate(zip(row.key, row.weights, find_matches(text, row), strict=True)):
        if match.share >= MIN_SIMILAR_SHARE and _lack_of_terms(key, weights, match, min_share):
            yield from ((place, key.text, sentence.text) for sentence in match.sentences)


def _best_match(
    key: Sentence, weights: dict[str, float], windows: list[tuple[Sentence, ...]], terms: list[frozenset[str]]
) -> Match:
    total, best, highest = sum(weights.values()), Match(0.0), 0.0
    for window, present in zip(windows, terms, strict=True):
        if len(window) == 1 and window[0].stems == key.stems and window[0].numbers == key.numbers:
            return Match(1.0, window)
        share = sum(weight for term, weight in weights.items() if term in present) / total
        if (score := share - PAIR_GAIN * (len(window) - 1)) > highest:
            best, highest = Match(share, window), score
    return best


def _is_copied(sentence: Sentence, question: Sequence[Sentence]) -> bool:
    """Whether a sentence is taken from the question."""
    runs = _runs(sentence)
    if not runs:
        return (
            any(f" {' '.join(sentence.stems)} " in f" {' '.join(asked.stems)} " for asked in question)
            and not sentence.numbers
        )
    return len(runs & frozenset().union(*map(_runs, question))) >= COPIED_SHARE * len(runs)


def _runs(sentence: Sentence) -> frozenset[tuple[str, ...]]:
    return frozenset(sentence.stems[i : i + 3] for i in range(len(sentence.stems) - 2))


def lack_of_coverage(text: str, row: Row, min_share: float = MIN_SHARE, similar: Collection[int] = ()) -> str | None:
    """Why a text does not claim what the expert claims, or what it adds; None where it does and adds nothing.

    Args:
        text: the candidate.
        row: of its example; scorable.
        min_share: the weighted share of each key sentence's terms that must come back, in [0, 1].
        similar: places of the key sentences that come back by meaning.
    """
    sentences = read_sentences(text, row.options)
    if addition := _addition(sentences, row):
        return addition
    stems = frozenset(part for s in sentences for part in s.stems)
    plain = " ".join(re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.lower()))
    asked = " ".join(s.text.lower() for s in row.question)
    asked_stems = {part for s in row.question for part in s.stems}
    matches = find_matches(text, row)
    for key in row.key:
        for name in key.names:
            if not any(part in stems for part in name) and not asked_stems.issuperset(name):
                return f"the name in {_quoted(key)} is missing: {' '.join(name)}"
        for term in key.quoted:
            if term not in asked and term not in plain:
                return f"the expert's term “{term}” is missing"
    for place, (key, weights, match) in enumerate(zip(row.key, row.weights, matches, strict=True)):
        present = {value for s in match.sentences for value in s.numbers}
        missing = next((v for v in key.numbers if v not in present | row.known_numbers), None)
        if missing is not None:
            return f"the expert's number {_shown(missing)} is missing, or stands elsewhere than in {_quoted(key)}"
        if moved := next((v for v in key.numbers if _is_moved(v, sentences, row)), None):
            return f"the expert's number {_shown(moved)} stands with something else than in {_quoted(key)}"
        if place not in similar and (missing_terms := _lack_of_terms(key, weights, match, min_share)):
            return missing_terms
    for key, match in zip(row.key, matches, strict=True):
        if problem := _distortion(key, match, row, matches):
            return f"{problem} {_quoted(key)}"
    if turned := _turned_round(sentences, row):
        return f"it states the opposite of {_quoted(turned)}"
    used = {s for match in matches for s in match.sentences}
    expert_text = " ".join(s.text for s in row.expert)
    for sentence in sentences:
        if sentence not in used and _DISOWNS.search(sentence.text) and sentence.text not in expert_text:
            return f"it takes back what it says: {_quoted(sentence)}"
    return None


def _is_moved(value: Fraction, sentences: Sequence[Sentence], row: Row) -> bool:
    """Whether a number of the expert only stands beside what the expert says of another number."""
    bearers = [s for s in sentences if value in s.numbers]
    if not bearers or any((s.stems, s.numbers) in {(e.stems, e.numbers) for e in row.expert} for s in bearers):
        return False
    units = {unit for key in row.expert for number, unit in key.units if number == value}
    found = {unit for s in bearers for number, unit in s.units if number == value}
    foreign = {unit for key in row.expert for number, unit in key.units if number != value} - units
    if units and found and found <= foreign:
        return True
    for bearer in bearers:
        shares = [len(bearer.content & e.content) / max(1, len(e.content)) for e in row.expert]
        close = MIN_SIMILAR_CONTENT * max(shares)
        if any(value in e.numbers for e, share in zip(row.expert, shares, strict=True) if share >= close):
            return False
    return True


def _lack_of_terms(key: Sentence, weights: dict[str, float], match: Match, min_share: float) -> str | None:
    """Why too little of a key sentence comes back in its match; None where enough does."""
    own = [term for term, weight in weights.items() if weight == 1]
    least = min_share if own else max(min_share, MIN_RELATION_SHARE)
    if match.share < least:
        return f"{match.share:.0%} of {_quoted(key)} comes back, at least {least:.0%} is needed"
    terms = frozenset[str]().union(*(s.terms for s in match.sentences))
    others = [term for term in weights if term not in own]
    # One word of its own may be said by another word, where all the rest comes back.
    is_near = len(own) == 1 and sum(term in terms for term in others) >= MIN_RELATION_SHARE * len(others) > 1
    if not is_near and sum(term in terms for term in own) < MIN_OWN_SHARE * len(own):
        return f"{_quoted(key)} comes back without {listed(sorted(own)[:3])}"
    return None


def _turned_round(sentences: Sequence[Sentence], row: Row) -> Sentence | None:
    """A sentence of the expert that a text repeats with one negation more or less."""
    own_words = [frozenset(own.stems) for own in row.expert]
    for sentence in sentences:
        words = frozenset(sentence.stems)
        if words in own_words:
            continue
        for own, expected in zip(row.expert, own_words, strict=True):
            is_repeated = len(words & expected) >= SAME_SENTENCE * max(len(words), len(expected))
            if is_repeated and sentence.negations != own.negations:
                return own
    return None


def _addition(sentences: Sequence[Sentence], row: Row) -> str | None:
    """The first number or name that neither the question nor the expert has."""
    numbers = {value for s in (*row.question, *row.expert) for value in s.numbers}
    stems = {part for s in (*row.question, *row.expert) for part in s.stems}
    for sentence in sentences:
        for value in sentence.numbers:
            if value not in numbers:
                return f"new number {_shown(value)}"
        for name in sentence.names:
            if (part := next((p for p in name if p not in stems), None)) is not None:
                return f"new name in {_quoted(sentence)}: {part}"
    return None


def _distortion(key: Sentence, match: Match, row: Row, matches: Sequence[Match]) -> str | None:
    """How the sentences that have a key sentence's terms claim something else; None where they do not."""
    if any(_HEDGES.search(s.text) for s in match.sentences) and not any(_HEDGES.search(s.text) for s in row.expert):
        return "it does not claim but suppose"
    together = [k for k, m in zip(row.key, matches, strict=True) if set(m.sentences) & set(match.sentences)]
    expected = sum(k.negations for k in together) if len(match.sentences) == 1 else None
    found = sum(s.negations for s in match.sentences)
    parities = {key.negations % 2, (expected if expected is not None else found) % 2}
    if found % 2 not in parities:
        return "it states the opposite of"
    stems = {part for s in match.sentences for part in s.stems}
    others = {part for k in together for part in k.stems}
    for part in stems - others:
        if any(opposite in key.stems and opposite not in stems for opposite in OPPOSITES.get(part, ())):
            return f"with “{part}” it states the opposite of"
    if all(s.text.endswith("?") for s in match.sentences) and not key.text.endswith("?"):
        return "it only asks"
    if len(key.stems) >= MIN_LIST and _function_share(match.sentences) < MIN_FUNCTION_SHARE * _function_share([key]):
        return "it only lists words of"
    if _chunk(match.sentences) < MAX_CHUNK <= _chunk([key]) / 2:
        return "it only lists words of"
    capitals = frozenset[str]().union(*(s.capitals for s in (*row.question, *row.expert)))
    lost, foreign = key.capitals - stems, (stems & capitals) - others
    if lost and foreign:
        return f"it names {_first(foreign)} and not {_first(lost)} in"
    if sum(s.misplaced for s in match.sentences) > sum(k.misplaced for k in together):
        return "the words have lost their order in"
    return None


def _first(stems: Collection[str]) -> str:
    return min(stems).capitalize()


def _chunk(sentences: Sequence[Sentence]) -> float:
    """Words between commas, on average."""
    text = " ".join(s.text for s in sentences)
    return sum(len(s.stems) for s in sentences) / len(_CHUNK_END.split(text))


def _function_share(sentences: Sequence[Sentence]) -> float:
    stems = [part for s in sentences for part in s.stems]
    content = {part for s in sentences for part in s.content}
    return sum(part not in content for part in stems) / max(1, len(stems))


def _quoted(sentence: Sentence) -> str:
    text = sentence.text
    return f"“{text if len(text) <= 60 else text[:57].rstrip() + '…'}”"


def _shown(value: Fraction) -> str:
    return f"{value.numerator:,}" if value.denominator == 1 else f"{float(value):g}"
