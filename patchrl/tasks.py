"""What an answer is, per task type: where it stands in a reference or candidate, and what of it is compared."""

from __future__ import annotations

import re
import unicodedata

from patchrl.choices import choice_letter
from patchrl.quantities import NUMBER, SCALES, UNITS, VARIABLE, parse_quantity, untexted
from patchrl.statements import Stated, boxed, marked

_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?=\s+[A-Z]|\s*$)")
_SPAN = re.compile(r"\$([^$]+)\$|\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}")
_LISTED = r"[-+−]?\d[\d.]*(?:\s?/\s?\d+)?"
_GROUP = re.compile(rf"(?:[(\[]|\\?\{{)\s*{_LISTED}\s*(?:,\s*{_LISTED}\s*)+(?:[)\]]|\\?\}})")
_THOUSANDS = re.compile(r"\W*\d{1,3}(?:,\d{3})+\W*")
_UNIT_BEHIND = re.compile(r"\s?([A-Za-z]+|€)(?![A-Za-z0-9_.]*[A-Za-z0-9_])")
_UNIT_BEHIND_BOX = re.compile(r"\}?[\s$*~]{0,4}(?:\\(?:text|mathrm)\s*\{\s*)?([A-Za-z]+|€)(?![A-Za-z0-9_])\}?")
MAX_CANDIDATE = 100_000  # characters; nothing a model should write for one answer
LOOK = 120  # characters read on either side of a number


def normalize(text: str) -> str:
    """Lower case, single spaces, one way to write each accent, no markdown, quotes or final punctuation."""
    text = re.sub(r"[*_`\"'“”‘’$]", "", unicodedata.normalize("NFKC", text)).lower()
    return re.sub(r"\s*,\s*", ", ", re.sub(r"\s+", " ", text)).strip().strip(".,;:!? ")


def last_sentence(text: str) -> str:
    """The last non-empty sentence of a text."""
    parts = [p for p in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if p.strip(" .!?\n")]
    return parts[-1] if parts else ""


def extract_reference(task: str, solution: str) -> str | None:
    """The reference answer inside an expert solution: `#### 18`, the last box, `the answer is`, the last number."""
    if task == "choice":
        return choice_letter(solution)
    if task == "open":
        return None
    if "####" in solution:
        return solution.rsplit("####", 1)[1].strip().split("\n", 1)[0].strip() or None
    answer = boxed(solution) or marked(solution)
    if answer is not None:
        return answer.text.rstrip(".") or None
    if task != "math":
        return last_sentence(solution) or None
    numbers = NUMBER.findall(solution)
    return numbers[-1].strip() if numbers else None


def text_answer(text: str) -> str | None:
    """The words a candidate commits to, normalised; None when it has none."""
    stated = boxed(text) or marked(text)
    return normalize(untexted(stated.text if stated else last_sentence(text))) or None


def math_answer(text: str) -> Stated | None:
    """The answer a candidate commits to, None when it names none; `text` is plain mathematics already.

    It stands in the last box or behind the last marker, whichever is later; else it is the formula or number at the end.
    """
    statements = [_with_unit(text, box)] if (box := boxed(text)) else []
    if sentence := marked(text):
        stated = _SENTENCE_END.split(sentence.text, maxsplit=1)[0].rstrip(" .,;:!")
        statements.append(Stated(stated, sentence.start, sentence.start + len(stated)))
    statements = [stated for stated in statements if re.search(r"\d|\\", stated.text)]
    return max(statements, key=lambda s: s.start, default=None) or bare_formula(text) or last_quantity(text)


def _with_unit(text: str, box: Stated) -> Stated:
    r"""A box and the unit or the `million` behind it."""
    found = _UNIT_BEHIND_BOX.match(text, box.end)
    known = found is not None and (found[1].lower() in UNITS or found[1].lower() in SCALES)
    if not known or found is None or parse_quantity(box.text) is None:
        return box
    return Stated(f"{box.text} {found[1]}", box.start, found.end())


def last_quantity(text: str) -> Stated | None:
    """The last number written in a text with the unit, the variable or the `million` behind it.

    A part of something larger (a pair, a mixed number, a time, a date, a decimal comma) is read as the whole.
    """
    number = None
    for number in NUMBER.finditer(text):  # noqa: B007
        pass
    if number is None:
        return None
    start = number.end() - len(number[0].lstrip())
    near = max(0, start - LOOK)
    for group in _GROUP.finditer(text[: number.end() + LOOK], near):
        if group.end() >= number.end() and not _THOUSANDS.fullmatch(group[0]):
            return Stated(group[0], group.start(), group.end())
    if run := re.search(r"(?<![\d.,:/])\d[\d.,:/]*[,:/]$", text[near:start]):
        return Stated.between(text, near + run.start(), number.end())
    if "/" in number[0] and (whole := re.search(r"(?<![\d.,/])[-−]?\d+\s?$", text[near:start])):
        start = near + whole.start()  # 1 1/2
    elif text[start - 1 : start] == "$" and not text.startswith("$", number.end()):
        start -= 1  # dollars, no mathematics
    word = _UNIT_BEHIND.match(text[: number.end() + LOOK], number.end())
    known = word is not None and (word[1].lower() in SCALES or word[1].lower() in UNITS)
    known = known or VARIABLE.match(text, number.end() - 1) is not None
    return Stated.between(text, start, word.end() if word and known else number.end())


def bare_formula(text: str) -> Stated | None:
    """A text that is nothing but one answer in mathematics, or the formula it ends with; None without either."""
    whole = text.strip().strip("$").rstrip(" .").strip("$")
    words = re.search(r"[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", "", whole))
    if (
        len(whole) <= 80
        and not words
        and re.search(r"\d", whole)
        and re.search(r"[\\(){}\[\],/:^eE!]|\d[a-z]\b|^\d+(?: \d{3})+$", whole)
    ):
        start = text.find(whole)
        return None if "=" in whole or "\n" in whole else Stated(whole, start, start + len(whole))
    spans = list(_SPAN.finditer(text))
    if not spans or NUMBER.search(text, spans[-1].end()):
        return None
    return Stated.between(text, *spans[-1].span(1 if spans[-1][1] else 0))
