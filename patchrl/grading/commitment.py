"""Whether a text commits to the answer read from it: no denial, alternative, comparison or operation hangs at it."""

from __future__ import annotations

import re

from patchrl.grading.answer_span import Stated
from patchrl.grading.quantities import KIND, NUMBER, UNITS, parse_quantity, to_fraction, untexted

LOOK = 120  # characters read on either side of an answer, so that time stays linear
_NUMBER = re.compile(r"[-+−]?\s?[$€£]?(?:\d(?:[\d,]*\d)?(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}|\s?/\s?\d+(?:\.\d+)?)?")
_FORMULA = re.compile(r"[\\^=(){}\[\]!]")
_SENTENCE = re.compile(r"[.!?;]\s|\n")
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|never|hardly|cannot|anything\s+but|rather\s+than|instead\s+of|(?:is|are|was|ca|wo|does)nt|nicht|keine?|pas|no\s+es|,\s*no)"
    r"|n['’]t|≠|\\neq?|不是|impossible\s+for\b.{0,40}\bto)"
    r"(?:\s+(?:be|equal|equals|to|exactly|really|actually|quite))*\s*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"\W{0,4}\?\W{0,3}no\b|"
    r"\W{0,6}\b(?:is|was|are)(?:\s+\w+ly)?"
    r"(?:(?:\s+not|n['’]?t)(?:\s+(?:the|a|my))?(?:\s+\w+)?\s+(?:answer|right|correct|solution)\b"
    r"|(?:\s+not|n['’]?t)\s+(?:right|correct)\b|\s+(?:wrong|incorrect|false)\b)",
    re.IGNORECASE,
)
_RETRACTED = re.compile(
    r"\b(?:that|this|it)(?:['’]s|\s+is|\s+was)(?:\s+\w+ly)?\s+(?:wrong|incorrect|not\s+(?:right|correct))\b"
    r"|\b(?:that|this|it)\s+(?:is|was)n['’]?t\s+(?:right|correct)\b|\bno,\s+wait\b|\bwait,\s+no\b|\bcan['’]?(?:no)?t\s+be\s+right\b",
    re.IGNORECASE,
)
# What may open a correction. It is one only where another answer follows.
_CORRECTION = re.compile(
    r"\b(?:actually|corrections?|corrected|sorry|oops|oh|wait|hmm+|scratch\s+that|i\s+meant?|on\s+second\s+thoughts?|(?<!common\s)mistaken?|apologi[sz]e|apologies"
    r"|let\s+me\s+(?:re|correct|fix)[\w-]*|re-?check\w*|recalculat\w+|re-?examin\w+|closer\s+(?:inspection|look)|hold\s+on|misread\w*"
    r"|miscalculat\w+|i\s+forgot|however|but\s+(?:that|this|then|wait|with|it['’]s)|in\s+fact|edit|update|incorrect|(?:does|did)n['’]?t\s+make\s+sense"
    r"|can['’]?(?:no)?t\s+be\s+right|check\s+fails|nein|moment|korrektur|attendez|perd[oó]n)\b|不对|等等|抱歉|更正|应该是|(?:^|[.!?,;]\s*|\s[–—-]\s*)no[,.:!]\s",
    re.IGNORECASE,
)
# The answer named once more, in other words than the first time.
_RESTATED = re.compile(
    r"\b(?:so|thus|therefore|hence),?\s+the\s+(?:final\s+)?(?:answer|result|total|sum)\s+is\s*\D{0,20}?(?=[-−+]?\d)|\b(?:correct|right|true|actual)\s+(?:final\s+)?(?:answer|result|total|value|number|amount|sum|cost|price)\s+(?:is|was|would\s+be|should\s+be|=|:)\s*\D{0,20}?(?=[-−+]?\d)",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:doubt\w*|unlikely|tempt\w+|(?:do|does|did|would)(?:\s+not|n['’]?t)\s+(?:think|believe|agree|say)"
    r"|(?:wrong|incorrect|mistaken)\s+(?:final\s+)?answer|(?:some|people|one|someone)\s+(?:might|may|would|could)\s+(?:\w+\s+)?(?:say|think|guess|answer)"
    r"|common\s+mistake|(?:if|without|had)\b.{0,80}\b(?:were|would)|\bis\s+the\s+answer|impossible)\b",
    re.IGNORECASE,
)
_MAYBE = r"(?:(?:maybe|perhaps|possibly|even)\s+)?"
_JOINED_BEFORE = re.compile(
    r"\d\W{0,6}(?:\s(?:or|and|to|oder|ou|o|bis)|,\s*or)(?:\s+(?:maybe|perhaps|possibly|even))?\s*$|\d或$"
    r"|\b([a-z])(?:_\{?\d\}?)?\s*=\s*[^\s,]{1,20}\W{0,3}(?:\s(?:or|and)|,)\s+\$?\1(?:_\{?\d\}?)?\s*=\s*$",
    re.IGNORECASE,
)
_WORKED_OUT = re.compile(r"[+*×/]\s*[$€£]?\d[\d.,]*\s+or\s*$", re.IGNORECASE)  # "$30 + $160 or $190"
_JOINED_AFTER = re.compile(
    rf"(?:\W{{0,6}}\s(?:or|and|to|oder|ou|o|bis)\s+{_MAYBE}(?:\\boxed\s*\{{)?\W{{0,3}}|或|\s{{1,2}}[A-Za-z]+\s{{1,2}}(?:or|and)\s+{_MAYBE})([$€£]?\d[\d.,]*(?:/\d+)?%?)",
    re.IGNORECASE,
)
_ROOT = r"(?:√|∛|\\sqrt\s*(?:\[\d\])?\{?|\b(?:sqrt|cbrt|ln|log|exp|sin|cos|tan|f|g)\b\s*\(?|±|\\pm|\^\(?\{?)"
_COMPARED = re.compile(r"\b(?:less|more|fewer|greater|larger|smaller)\s+than\s*$|(?:^|\s)[<>]\s*$|\\[lg]t\s*$", re.I)
_OPERATION_BEFORE = re.compile(
    rf"(?:[\d)%}}²³]|(?<![A-Za-z])[a-zA-Z]|\d\s?[A-Za-z]{{1,12}})\s*(?:[+−*/×÷]|\^\{{?|\\(?:times|cdot|div))\s*$|(?:[\d)%}}²³]|(?<![A-Za-z])[a-zA-Z])\s*-\s*$"
    rf"|[\d)%]\s*\b(?:plus|minus|times|by|x|remainder|r)\s*$|\d\s?[A-Za-z]{{1,12}}\s+(?:x|by)\s*$|\b1\s+in\s*$|\d\s+(?:out\s+)?of\s*$|{_ROOT}\s*$|(?<![A-Za-z0-9])[a-z]\($"
    r"|\b(?:twice|thrice|double|triple|half(?:\s+of)?)\s*$",
    re.IGNORECASE,
)
_OPERATION_AFTER = re.compile(
    r"\s*(?:[×÷±√π]|\\(?:sqrt|pi)\b|(?:sqrt|pi|square\s+roots?)\b|(?:remainder|out\s+of|in)\s+\d|[-+−*/]\s?[\d(]|\^(?!\s*\{?\\circ)|\\(?:pm|times|cdot|div)\b|(?:squared|cubed)\b|(?:plus|minus|times)\s+\d"
    r"|=\s*$)|[abdefijnoqrtuvwxyz](?!\w)"
)
_WITH_UNIT = re.compile(r"\s*([-−]?[$€£]?\d[\d.,]*)\s?([A-Za-z]+)")
_UNIT_AT_END = re.compile(r"\d\s?([A-Za-z]+)(?:,|\s+and|,\s+and)?\s*$")
_AND = re.compile(r",?\s+and\b")
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
        if number[0][0] in "-+−" and re.search(
            r"(?:[\d)%}²³]|(?<![A-Za-z0-9])\d*[a-zA-Z])\s*$", text[max(0, start - LOOK) : start]
        ):
            start += 1  # an operator, not a sign
    quoted = untexted(_SENTENCE.split(text[max(0, start - LOOK) : start])[-1])
    before, after = undressed(quoted), untexted(text[end : end + LOOK]).lstrip("}$*)`\"'”")
    if _DENIED_BEFORE.search(before) or re.match(r"\s*(?:≠|\\neq?\b)", answer) or _DENIED_AFTER.match(after):
        return "says only what the answer is not"
    if _DOUBT.search(before):
        return "does not stand by the answer"
    if _RETRACTED.search(after) or _taken_back(text[end:], answer):
        return "takes the answer back"
    if not plain:
        return None
    joined = _JOINED_BEFORE.search(before) and not _WORKED_OUT.search(before)
    if joined or _tied(answer, number, after):
        return "names several answers"
    if _part_of_compound(untexted(text[start : start + LOOK]), before):
        return "is a part of a larger quantity"
    if re.match(r"\W{0,3}\s(?:if|unless)\b", after):
        return "depends on a condition"
    line = text.strip()[-10 * LOOK :].rsplit("\n", 1)[-1] if text.rstrip(" .").endswith(answer) else answer
    if any(_listed(part) for part in (answer, line)):
        return "names several answers"
    if _compared(quoted, before) or re.match(r"\s*(?:[<>](?!=)|\\[lg]t\b)", answer):
        return "compares instead of naming an answer"
    if _OPERATION_BEFORE.search(before) or _OPERATION_AFTER.match(after):
        return "leaves an operation open at"
    return None


def _tied(answer: str, number: re.Match[str] | None, after: str) -> bool:
    """Whether `or`, `to` or, inside the answer, `and` ties a number to another value."""
    inside = _JOINED_AFTER.match(answer[number.end() :]) if number else None
    found = inside or _JOINED_AFTER.match(after)
    if not found or not (
        inside or {"or", "to", "oder", "ou", "o", "bis"} & set(after[: found.start(1)].split()) or "或" in found[0]
    ):
        return False
    own, other = parse_quantity(number[0]) if number else None, parse_quantity(found[1].rstrip(".,"))
    if own is None or other is None:
        return True
    return own.value != other.value / (100 if other.percent else 1)


def _part_of_compound(text: str, before: str) -> bool:
    """Whether a number and its unit are a part of `2 hours and 30 minutes`."""
    earlier = _UNIT_AT_END.search(before)
    own = _WITH_UNIT.match(text)
    if not own:
        return False
    later = (
        _WITH_UNIT.match(text, own.end())
        if (join := _AND.match(text, own.end())) is None
        else _WITH_UNIT.match(text, join.end())
    )
    return _one_quantity(own[2], later and later[2]) or _one_quantity(own[2], earlier and earlier[1])


def _one_quantity(unit: str, other: str | None) -> bool:
    first, second = UNITS.get(unit.lower(), ""), UNITS.get((other or "").lower(), "")
    return first != second and first in KIND and KIND[first] == KIND.get(second)


def doubted(before: str) -> bool:
    """Whether the sentence that leads to an answer does not stand by it."""
    return _DOUBT.search(_SENTENCE.split(before[-LOOK:])[-1]) is not None


def corrected(after: str) -> str | None:
    """What follows the first word that may open a correction, None without one."""
    found = _CORRECTION.search(after)
    return after[found.end() :] if found else None


def _taken_back(after: str, answer: str) -> bool:
    """Whether what follows an answer corrects it: the last number of the correction is another one."""
    correction, restated = corrected(after), _RESTATED.search(after)
    numbers = NUMBER.findall(correction)[-1:] if correction is not None else []
    if restated:
        numbers += NUMBER.findall(after[restated.end() :])[:1]
    first = NUMBER.search(answer)
    return any(first is None or to_fraction(number) != to_fraction(first[0]) for number in numbers)


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
    # A quoted line of markdown compares nothing.
    return re.fullmatch(r">\s[\s*_$]*", quoted) is None and _COMPARED.search(before) is not None
