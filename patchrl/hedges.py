"""Whether a text commits to the answer read from it: no denial, alternative, comparison or operation hangs at it."""

from __future__ import annotations

import re

from patchrl.quantities import NUMBER, to_fraction
from patchrl.statements import Stated

LOOK = 120  # characters read on either side of an answer, so that time stays linear
_NUMBER = re.compile(r"[-+−]?\s?[$€£]?(?:\d(?:[\d,]*\d)?(?:\.\d+)?|\.\d+)(?:\s?/\s?\d+(?:\.\d+)?)?")
_FORMULA = re.compile(r"[\\^=(){}\[\]!]")
_SENTENCE = re.compile(r"[.!?;]\s|\n")
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|never|hardly|cannot|anything\s+but|rather\s+than|instead\s+of|(?:is|are|was|ca|wo|does)nt)|n['’]t|≠|\\neq?)"
    r"(?:\s+(?:be|equal|equals|to|exactly|really|actually|quite))*\s*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"\W{0,6}\b(?:is|was|are)(?:\s+\w+ly)?"
    r"(?:(?:\s+not|n['’]?t)(?:\s+(?:the|a|my))?(?:\s+\w+)?\s+(?:answer|right|correct|solution)\b"
    r"|(?:\s+not|n['’]?t)\s+(?:right|correct)\b|\s+(?:wrong|incorrect|false)\b)",
    re.IGNORECASE,
)
_RETRACTED = re.compile(
    r"\b(?:that|this|it)(?:['’]s|\s+is|\s+was)(?:\s+\w+ly)?\s+(?:wrong|incorrect|not\s+(?:right|correct))\b"
    r"|\b(?:that|this|it)\s+(?:is|was)n['’]?t\s+(?:right|correct)\b|\bno,\s+wait\b|\bwait,\s+no\b",
    re.IGNORECASE,
)
# What may open a correction. It is one only where another answer follows.
_CORRECTION = re.compile(
    r"\b(?:actually|corrections?|corrected|sorry|oops|wait|hmm+|scratch\s+that|i\s+meant?|on\s+second\s+thoughts?|my\s+mistake"
    r"|let\s+me\s+(?:re|double|check|correct|fix)[\w-]*|re-?check\w*|rather|in\s+fact|edit|update)\b|(?:^|[.!?,;]\s*|\s[–—-]\s*)no[,.:!]\s",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:doubt\w*|unlikely|tempt\w+|(?:do|does|did|would)(?:\s+not|n['’]?t)\s+(?:think|believe|agree|say)"
    r"|(?:wrong|incorrect|mistaken)\s+(?:final\s+)?answer|(?:some|people|one|someone)\s+(?:might|may|would|could)\s+(?:\w+\s+)?(?:say|think|guess|answer)"
    r"|if\b.{0,60}\bwere)\b",
    re.IGNORECASE,
)
_MAYBE = r"(?:(?:maybe|perhaps|possibly|even)\s+)?"
_JOINED_BEFORE = re.compile(
    r"\d\W{0,6}\s(?:or|and|to)(?:\s+(?:maybe|perhaps|possibly|even))?\s*$|\b([a-z])\s*=\s*\S{1,20}\W{0,3}\s(?:or|and)\s+\$?\1\s*=\s*$",
    re.IGNORECASE,
)
_WORKED_OUT = re.compile(r"[+*×/]\s*[$€£]?\d[\d.,]*\s+or\s*$", re.IGNORECASE)  # "$30 + $160 or $190"
_JOINED_AFTER = re.compile(rf"\W{{0,6}}\s(?:or|and|to)\s+{_MAYBE}(?:\\boxed\s*\{{)?\W{{0,3}}\d", re.IGNORECASE)
_COMPARED = re.compile(r"\b(?:less|more|fewer|greater|larger|smaller)\s+than\s*$|(?:^|\s)[<>]\s*$|\\[lg]t\s*$", re.I)
_OPERATION_BEFORE = re.compile(
    r"[\d)%]\s*(?:[-+−*/×÷]|\^\{?|\\(?:times|cdot|div)|\b(?:plus|minus|times))\s*$|\b(?:twice|thrice|double|triple|half(?:\s+of)?)\s*$",
    re.IGNORECASE,
)
_OPERATION_AFTER = re.compile(
    r"\s*(?:[×÷±]|[-+−*/]\s?[\d(]|\^(?!\s*\{?\\circ)|\\(?:pm|times|cdot|div)\b|(?:squared|cubed)\b|(?:plus|minus|times)\s+\d"
    r"|=\s*$)|[abdefijnoqrtuvwxyz](?!\w)"
)
_LIST = re.compile(r"[-−+\d.,;/\s]*")


def hedge(text: str, stated: Stated, *, plain: bool) -> str | None:
    """Why a text does not commit to the answer it states; None when it does.

    `plain` says that one number is expected, so that no list, comparison or unfinished operation can be meant.
    Linear time.
    """
    answer, start, end = stated.text, stated.start, stated.end
    number = None if _FORMULA.search(answer) else _NUMBER.search(answer)
    if number:
        start, end = start + number.start(), min(end, start + number.end())
        if number[0][0] in "-+−" and re.search(r"[\d)%]\s*$", text[max(0, start - LOOK) : start]):
            start += 1  # an operator, not a sign
    quoted = _SENTENCE.split(text[max(0, start - LOOK) : start])[-1]
    before, after = undressed(quoted), text[end : end + LOOK].lstrip("}$*)`\"'”")
    inside = number is not None and bool(_JOINED_AFTER.match(answer[number.end() :]))
    if _DENIED_BEFORE.search(before) or re.match(r"\s*(?:≠|\\neq?\b)", answer) or _DENIED_AFTER.match(after):
        return "says only what the answer is not"
    if _DOUBT.search(before):
        return "does not stand by the answer"
    if _RETRACTED.search(after) or _taken_back(text[end:], answer):
        return "takes the answer back"
    if not plain:
        return None
    joined = _JOINED_BEFORE.search(before) and not _WORKED_OUT.search(before)
    if inside or joined or (_JOINED_AFTER.match(after) and {"or", "to"} & set(after[:10].split())):
        return "names several answers"
    line = text.strip()[-10 * LOOK :].rsplit("\n", 1)[-1] if text.rstrip(" .").endswith(answer) else answer
    if any(_listed(part) for part in (answer, line)):
        return "names several answers"
    if _compared(quoted, before) or re.match(r"\s*(?:[<>](?!=)|\\[lg]t\b)", answer):
        return "compares instead of naming an answer"
    if _OPERATION_BEFORE.search(before) or _OPERATION_AFTER.match(after):
        return "leaves an operation open at"
    return None


def corrected(after: str) -> str | None:
    """What follows the first word that may open a correction, None without one."""
    found = _CORRECTION.search(after)
    return after[found.end() :] if found else None


def _taken_back(after: str, answer: str) -> bool:
    """Whether what follows an answer corrects it: the last number of the correction is another one."""
    correction = corrected(after)
    numbers = NUMBER.findall(correction) if correction is not None else []
    if not numbers:
        return False
    first = NUMBER.search(answer)
    return first is None or to_fraction(numbers[-1]) != to_fraction(first[0])


def undressed(before: str) -> str:
    """What stands before an answer without the box, the markdown and the quotes that open around it."""
    before = re.sub(r"\\f?boxed\s*\{\s*$", "", before).rstrip(" $€£_`(\"'“")
    return before.removesuffix("**").rstrip()


def _listed(part: str) -> bool:
    several = len(re.findall(r"\d[\d,./]*", part)) > 1 and _LIST.fullmatch(part) is not None
    one = re.fullmatch(r"\s*[-−+]?(?:\d+ \d+\s?/\s?\d+|\d+\s?/\s?\d+|\d{1,3}(?: \d{3})+)\W*", part)
    arithmetic = re.search(r"\d\s*[-−+/]", part)
    return several and not one and not arithmetic


def _compared(quoted: str, before: str) -> bool:
    return quoted != "> " and _COMPARED.search(before) is not None  # a quoted line of markdown compares nothing
