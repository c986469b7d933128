"""Solutions in prose, lightly paraphrased by rule, or made wrong in one place."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from patchrl.grading.claims import FUNCTION_WORDS, NEGATIONS

_SYNONYMS = {
    "because": "since", "large": "big", "about": "roughly", "usually": "typically", "typically": "normally", "likely": "probable",
    "many": "numerous", "began": "started", "begin": "start", "created": "made", "help": "aid", "helps": "aids",
    "however": "but", "often": "frequently", "contains": "includes", "requires": "needs", "require": "need",
    "used": "employed", "called": "named", "located": "situated", 
    "various": "different", "known": "recognised", "therefore": "so", "also": "as well", "several": "some",
    "founded": "established", "primarily": "mainly", "very": "really", "killed": "slain",
    "released": "published", "lived": "resided", "died": "passed away", "famous": "well-known", "caused": "brought about",
    "place": "spot", "find": "discover", "total": "overall", "means": "implies",
}  # fmt: skip
_OPENERS = ("", "", "First of all, ", "Note that ", "We know that ", "As it happens, ", "In fact, ")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b")
_NUMBER = re.compile(r"(?<![\w.,(])\d[\d,]*(?:\.\d+)?(?![\w.]*\d|[.):](?:\s|$))")  # but for those of lists
_COPULA = re.compile(r"\b(?:is|are|was|were|can|could|will|would|has|have|had|does|do|did)\b(?! not|n't| no\b)")


def sentences_of(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def paraphrased(solution: str, rng: random.Random) -> str:
    """A solution with synonyms, openers, and clauses turned round; its last sentence, the answer, stays."""
    parts = re.split(r"((?<=[.!?])[ \t]+|\n+)", solution.strip())
    inside = set(re.findall(r"(?<=[\w,] )[a-z]+\b", solution)) | set(_SYNONYMS.values())
    return "".join([*(part if i % 2 else _turned(part, inside, rng) for i, part in enumerate(parts[:-1])), parts[-1]])


def _turned(sentence: str, ordinary: set[str], rng: random.Random) -> str:
    text = re.sub(r"[A-Za-z]+(?!['’])", lambda m: _replaced(m[0], rng), sentence)
    if turned := re.fullmatch(r"([A-Z][^,;:]+) (?:because|since) ([^,;:]+)\.", text):
        return f"Because {turned[2]}, {_lowered(turned[1], ordinary)}."
    if turned := re.fullmatch(r"If ([^,;:]+), (?:then )?([^,;:]+)\.", text):
        return f"{turned[2][:1].upper()}{turned[2][1:]} if {turned[1]}."
    opener = rng.choice(_OPENERS) if re.fullmatch(r"[A-Z][a-z]*[ ,].+[.!]", text) else ""
    return opener + _lowered(text, ordinary) if opener else text


def _replaced(word: str, rng: random.Random) -> str:
    synonym = _SYNONYMS.get(word.lower())
    if synonym is None or rng.random() < 0.25:
        return word
    return synonym.capitalize() if word[0].isupper() else synonym


def _lowered(sentence: str, ordinary: set[str]) -> str:
    """A sentence with a small first letter, unless it may open with a name."""
    first = sentence.split(" ", 1)[0].lower()
    is_ordinary = first in ordinary or first in FUNCTION_WORDS or first in _SYNONYMS
    return sentence[:1].lower() + sentence[1:] if is_ordinary and first != "i" else sentence


def with_a_number_changed(solution: str, rng: random.Random) -> str | None:
    """A solution with one number of its body changed; None without any."""
    body = "\n".join(sentences_of(solution)[:-1])
    if not (numbers := list(_NUMBER.finditer(body))):
        return None
    number = rng.choice(numbers)
    value = int(float(number[0].replace(",", ""))) + rng.choice([1, 2, 3, 7, 10])
    return f"{body[: number.start()]}{value}{body[number.end() :]}\n{sentences_of(solution)[-1]}"


def with_a_name_changed(solution: str, names: Sequence[str], rng: random.Random) -> str | None:
    """A solution with one name inside a sentence replaced by one of `names`; None without any."""
    body = "\n".join(sentences_of(solution)[:-1])
    if not (own := list(_NAME.finditer(body))):
        return None
    name = rng.choice(own)
    other = rng.choice([n for n in names if n.lower() not in solution.lower()])
    return f"{body[: name.start()]}{other}{body[name.end() :]}\n{sentences_of(solution)[-1]}"


def names_of(solutions: Sequence[str]) -> list[str]:
    """The capitalised words inside sentences."""
    return sorted({name for text in solutions for name in _NAME.findall(text)})


def negated(solution: str, rng: random.Random) -> str | None:
    """A solution with one sentence turned into its opposite; None where no sentence can be."""
    *body, answer = sentences_of(solution)
    places = [i for i, s in enumerate(body) if _COPULA.search(s) and NEGATIONS.isdisjoint(s.lower().split())]
    if not places:
        return None
    place = rng.choice(places)
    body[place] = _COPULA.sub(lambda m: f"{m[0]} not", body[place], count=1)
    return "\n".join([" ".join(body), answer])


def keywords(solution: str) -> str:
    """The long words, names and numbers of a solution as a list, before its answer."""
    *body, answer = sentences_of(solution)
    words = re.findall(r"[A-Z][a-z]+|\d[\d,.]*\d|\d|\b[a-z]{4,}\b", " ".join(body))
    return ", ".join(dict.fromkeys(words)) + f".\n{answer}"


def shuffled_words(solution: str, rng: random.Random) -> str:
    """A solution with the words of each sentence in any order."""
    *body, answer = sentences_of(solution)
    out = []
    for sentence in body:
        words = sentence.rstrip(".!?").split()
        rng.shuffle(words)
        out.append(" ".join(words) + ".")
    return "\n".join([" ".join(out), answer])
