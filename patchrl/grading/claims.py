"""What a text claims: its sentences, and the words, numbers, names and quoted terms of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import zip_longest

from patchrl.grading.ground import LARGE_NUMBERS, NUMBER, SMALL_NUMBERS, SPELLED, number_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that carry no claim of their own.
FUNCTION_WORDS = _words(
    "a about above after again against all almost along already also although always am among an and another any "
    "anyone anything are as at away back be became because become becomes been before behind being below between "
    "both but by can come comes could did do does doing done down due during each either else enough even ever every "
    "everyone everything few first for from further get gets give given gives go goes going got had has have having "
    "he hence her here hers him his how however i if in indeed instead into is it its itself just kind last least "
    "less let like likely made make makes making many may maybe me means might mine more most much must my near need "
    "needs next now of off often on once one only onto or other others our out over own per perhaps probably quite "
    "rather really right said same say says second see seen shall she should show shows since so some someone "
    "something sometimes soon still such take taken takes than that the their them themselves then there therefore "
    "these they thing things this those though through thus to together too toward towards two under until up upon "
    "us use used usually very via was way we well were what when where whether which while who whole whom whose why "
    "will with within would yes yet you your"
)
NEGATIONS = _words(
    "no not never none nobody nothing neither nor cannot without hardly barely scarcely isnt arent wasnt werent dont "
    "doesnt didnt cant couldnt wont wouldnt shouldnt hasnt havent hadnt aint false untrue wrong incorrect "
    "incorrectly unlikely impossible fails fail failed lacks lack unable"
)
# Words of the frame around a solution. A rewrite may leave them out, or add them.
FRAME_WORDS = _words(
    "answer answers option options choice choices solution question final correct conclusion step steps explanation "
    "reason reasoning rewrite rewritten rationale statement follows following best logical appropriate ans"
)
# After an article none of these can stand, nor the end of a sentence.
_NEVER_AFTER_ARTICLE = _words(
    "a an the of to in on at by for with from and or but is are was were be been has have had that it they he she we "
    "you i which who whose while when where because than as into if so will would can could should may might does "
    "did do"
)
MIN_SPELLED = 3  # a smaller number in words is hardly ever a quantity: "one of them"
MAX_UNIT = 30  # characters behind a number in which its unit is looked for
MIN_CONTENT = 3  # letters of a word that carries content
_SENTENCE_END = re.compile(r"(?<=[.!?;])[\"'”’)]*\s+(?=[^a-z\s])|\n+")
_LIST_MARK = re.compile(
    r"(?m)(?:^\W*|(?<=[.!?:;]\s)\s*)(?:[Ss]tep\s+)?\(?\d{1,2}(?:[.)]|:(?!\d))\s+(?=\D)|^\s*[-*•]\s+"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SUFFIXES = ("ations", "ation", "ingly", "ings", "edly", "ies", "ing", "ely", "ed", "es", "ly", "s", "e", "y")
_SCALES = "|".join(LARGE_NUMBERS)
_NUMBER = re.compile(
    rf"(?<!\w)(?P<digits>{NUMBER})(?:\s?[/⁄]\s?(?P<below>\d+)|[\s-](?P<scale>{_SCALES})\b)?|(?P<joined>{NUMBER})"
    rf"|\b(?P<spelled>{SPELLED})\b(?:[\s-](?P<large>{_SCALES})\b)?",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{2,60})[\"”]")
_LETTER = re.compile(r"(?<![A-Za-z0-9])(?:\(([A-J])\)|([A-J])\)|(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s\(?([A-J])\b)")
_NAME_GAP = re.compile(r"[\s.'’-]+|\s(?:of|the|de|von|van)\s")
_STARTS_SENTENCE = re.compile(r"(?:^|[:.!?*\n\"“(=]|[-–—]\s)\W*$")
Options = tuple[tuple[str, frozenset[str]], ...]  # each letter, and the stems of its option's text


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a text.

    `stems` are all its words in order, `content` those that carry a claim, with the texts of the options that it names by
    letter. `names` are runs of capitalised words, as stems; `quoted` its terms in quotes, in lower case. `units` are numbers with the stem of the word behind
    them, `capitals` the stems of all words with a capital. `misplaced` counts
    articles before a word that no article can have behind it.
    """

    text: str
    stems: tuple[str, ...]
    content: frozenset[str]
    numbers: tuple[Fraction, ...]
    names: tuple[tuple[str, ...], ...]
    quoted: tuple[str, ...]
    units: frozenset[tuple[Fraction, str]]
    capitals: frozenset[str]
    negations: int
    misplaced: int

    @property
    def terms(self) -> frozenset[str]:
        """Content and numbers, as text."""
        return self.content | {str(value) for value in self.numbers}


def stem(word: str) -> str:
    """A word in lower case without the ending that grammar gives it: `lowers`, `lowered` and `lowering` are one."""
    word = _plain(re.sub(r"['’]s?$", "", word))
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word.removesuffix(suffix)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _plain(word: str) -> str:
    return word.lower().replace("'", "").replace("’", "")


_EMPTY_STEMS = frozenset(map(stem, FUNCTION_WORDS | NEGATIONS | FRAME_WORDS)) | FUNCTION_WORDS | NEGATIONS


@lru_cache(maxsize=8192)
def read_sentences(text: str, options: Options = ()) -> tuple[Sentence, ...]:
    """The sentences of a text that have words or numbers. Time is linear in the text."""
    letters = dict(options)
    parts = (part.strip() for part in _SENTENCE_END.split(_LIST_MARK.sub(" ", text)) if part)
    return tuple(sentence for part in parts if part and (sentence := _read(part, letters)).stems + sentence.numbers)


def _read(text: str, letters: dict[str, frozenset[str]]) -> Sentence:
    words = list(_WORD.finditer(text))
    stems = tuple(stem(word[0]) for word in words)
    content = {part for part, word in zip(stems, words, strict=True) if _is_content(word[0], part)}
    for named in _LETTER.finditer(text):
        content |= letters.get(named[1] or named[2] or named[3], frozenset())
    numbers = list(_numbers(text))
    return Sentence(
        text,
        stems,
        frozenset(content),
        tuple(dict.fromkeys(value for value, _ in numbers)),
        tuple(_names(text, words)),
        tuple(" ".join(map(str.lower, _WORD.findall(term))) for term in _QUOTED.findall(text)),
        frozenset((value, unit) for value, end in numbers if (unit := _unit(text[end : end + MAX_UNIT]))),
        frozenset(
            part for part, word in zip(stems, words, strict=True) if _is_capitalised(word[0]) and part in content
        ),
        sum(_plain(word[0]) in NEGATIONS for word in words),
        _misplaced_articles(text, words),
    )


def _misplaced_articles(text: str, words: list[re.Match[str]]) -> int:
    count = 0
    for word, behind in zip_longest(words, words[1:]):
        if word[0] in ("a", "an", "the", "An", "The"):
            gap = text[word.end() : behind.start() if behind else len(text)]
            count += bool(re.fullmatch(r"\W*", gap)) and (behind is None or behind[0] in _NEVER_AFTER_ARTICLE)
    return count


def _is_content(word: str, word_stem: str) -> bool:
    plain = _plain(word)
    return (
        len(word) >= MIN_CONTENT
        and plain not in _EMPTY_STEMS
        and word_stem not in _EMPTY_STEMS
        and plain not in SMALL_NUMBERS
    )


def _unit(behind: str) -> str:
    """The stem of the word directly behind a number; "" without one that carries content."""
    word = re.match(r"\s*-?([^\W\d_]+)", behind)
    return stem(word[1]) if word and _is_content(word[1], stem(word[1])) else ""


def _numbers(text: str) -> Iterator[tuple[Fraction, int]]:
    """Each number of a text, and where it ends."""
    for number in _NUMBER.finditer(text):
        scale = LARGE_NUMBERS.get((number["scale"] or number["large"] or "").lower(), 1)
        if digits := number["digits"] or number["joined"]:
            yield Fraction(digits.replace(",", "")) * scale / (int(number["below"] or 1) or 1), number.end()
        elif (value := number_of(number["spelled"])) >= MIN_SPELLED or scale > 1:
            yield Fraction(value) * scale, number.end()


def _names(text: str, words: list[re.Match[str]]) -> Iterator[tuple[str, ...]]:
    """Runs of capitalised words; a single one that opens a sentence may be any word and is left out."""
    if text.rstrip("* ").endswith(":") or text.startswith(("#", "**")):
        return  # a heading
    run, opens, end = list[str](), False, 0
    for word in [*words, None]:
        is_name = word is not None and _is_capitalised(word[0])
        if run and not (is_name and word and _NAME_GAP.fullmatch(text[end : word.start()])):
            if word is not None and not is_name and _plain(word[0]) in ("of", "the"):
                continue
            if len(run) > 1 or not opens:
                yield tuple(run)
            run = []
        if is_name and word:
            if not run:
                opens = not word[0].isupper() and _STARTS_SENTENCE.search(text[: word.start()][-6:]) is not None
            run.append(stem(word[0]))
            end = word.end()


def _is_capitalised(word: str) -> bool:
    plain = _plain(word)
    return word[0].isupper() and len(word) > 1 and plain not in FUNCTION_WORDS | NEGATIONS | FRAME_WORDS
