"""The words with which a text answers, and whether they are the words of a reference."""

from __future__ import annotations

import re
import unicodedata

from patchrl.grading.answer_span import AnswerSpan, find_stated
from patchrl.grading.math_answers import SENTENCE_END
from patchrl.grading.notation import without_text_macros
from patchrl.grading.quantities import MAYBE_LIST, NUMBER, parse_quantity
from patchrl.grading.units import UNITS

_CODE_FENCE = re.compile(r"```\w*")
_PLEASANTRY = re.compile(r"\W*(?:let me know|i hope|hope this|feel free|is there anything|if you)\b", re.IGNORECASE)
_DENIAL_BEFORE = re.compile(
    r"\b(?:not|never|no|nor|neither|cannot|without|unlike|(?:is|are|was|ca|do|does|did|wo)nt)\b"
)
_NEGATION = re.compile(r"\b(?:not|never|isnt)\b")
# Words directly before an answer that turn it into another one.
_CHANGES_MEANING = re.compile(
    r"\b(?:or|and|nor|hardly|rarely|seldom|barely|partial(?:ly)?|partly|nearly|almost|near|quite|far from|opposite of|except|other than|anything but|followed by|than|before|after|until|unlike|like|with|(?:reverse|contemporary|rival|neighbou?r) of"
    r"|rather than|instead of|dark|light|pale|east|west|north|south|(?:cannot|cant|could never) (?:possibly )?be)$"
    r"|\b(?:neither|wrong to|no way|aint|isnt|impossible)\b"
)
_APPOSITION = re.compile(
    r"\s*\([^()]*\)$|, (?:which|where|who|because|since|as|at|from|followed by|an?|the) .*| (?:around|about|in) \d+$"
)
_BRACKETED = re.compile(r"\s\([^()]*\)$")
_NOT_ANOTHER = re.compile(r", (?:not|nicht|pas) [^,.;]{1,40}$")
_YES_NO = {"yes", "no", "true", "false"}


def find_text_answers(text: str) -> list[AnswerSpan]:
    """The places where a text may answer: its box or marker; without either, its last and its first sentence.

    `text` is as `without_fences` writes it.
    """
    if stated := find_stated(text):
        return [stated]
    sentence = last_sentence(text)
    start = len(text) - len(text.lstrip())
    end = start + len(SENTENCE_END.split(text.strip(), maxsplit=1)[0])
    last = text.rfind(sentence)
    return [
        AnswerSpan(sentence, last, last + len(sentence), "last sentence"),
        AnswerSpan.between(text, start, end, "first sentence"),
    ]


def without_fences(text: str) -> str:
    """A text without the marks around blocks of code."""
    return _CODE_FENCE.sub("", text)


def last_sentence(text: str) -> str:
    """The last sentence of a text that is not a pleasantry; "" in an empty text."""
    parts = [part for part in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if part.strip(" .!?\n")]
    statements = [part for part in parts if not _PLEASANTRY.match(part)]
    return (statements or parts or [""])[-1]


def first_sentence(text: str) -> str:
    """The first sentence of a text; "" in an empty text."""
    return SENTENCE_END.split(text.strip().split("\n", 1)[0], maxsplit=1)[0]


def names(reference: str, sentence: str) -> bool:
    """Whether a sentence has the words of a reference, and no denial before them."""
    words = normalize(sentence)
    place = re.search(rf"(?<!\w){re.escape(normalize(reference))}(?!\w)", words)
    return place is not None and not _DENIAL_BEFORE.search(words[: place.start()])


def answer_words(span: AnswerSpan) -> str:
    """The words of an answer, normalised; "" without any."""
    return normalize(span.text if span.kind == "first sentence" else without_text_macros(span.text))


def normalize(text: str) -> str:
    """Lower case, single spaces, one way to write each accent, no markdown, quotes or final punctuation."""
    text = re.sub(r"[*_`\"'“”‘’$]", "", unicodedata.normalize("NFKC", text)).lower()
    return re.sub(r"\s*,\s*", ", ", re.sub(r"\s+", " ", text)).strip().strip(".,;:!?。 ")


def is_same_text(reference: str, words: str) -> bool:
    """Whether normalised words of a candidate name what a reference names."""
    expected, sentences = without_stops(normalize(reference)), words
    words = without_stops(_NOT_ANOTHER.sub("", _BRACKETED.sub("", words)))
    if expected in _YES_NO and re.match(rf"{expected}\s?(?:[,;.–—-]\s|$)", sentences):
        return True
    if _NEGATION.search(words) and not _NEGATION.search(expected):
        return False
    if (number := parse_quantity(reference)) is not None and not MAYBE_LIST.search(reference):
        value = parse_quantity(words) or parse_quantity((NUMBER.findall(words) or [""])[-1])
        names = _words(expected) - UNITS.keys()  # "Room 12" differs from "Building 12"
        if value is not None and value.value == number.value and (names <= _words(words) or not _words(words)):
            return True
        if "\\" not in reference:
            return False
    # A sentence may carry its answer at its end ("The opposite of hot is cold."); the tail of a longer
    # list is not that list.
    for ending in (words, _APPOSITION.sub("", words)):  # "Paris (France)", "Paris, which lies on the Seine"
        if ending == expected:
            return True
        before = ending.removesuffix(expected)
        if before != ending and re.search(r"[^,\s] $|[是为:=→]\s?$", before):
            return not _CHANGES_MEANING.search(before.rstrip())
    rest = words.removeprefix(expected)
    if rest == words or re.search(r"\b(?:wrong|incorrect|false|but|not)\b", rest.replace(", not ", " ")):
        return False
    if sentences.startswith((f"{expected}. ", f"{expected}! ")):
        return True
    return re.match(r" is the |,? (?:which|because|since|as|so) |, not ", rest) is not None and not re.search(
        r"[,;] (?!not)", rest[1:] if rest.startswith(" is the ") else ""
    )


def without_stops(text: str) -> str:
    """A text without full stops, but with decimal points: "St. Louis" as "St Louis", 3.5 as 3.5."""
    return re.sub(r"(?<!\d)\.|\.(?!\d)", "", text)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text))
