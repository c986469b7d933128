"""Whether a text commits to an answer: it neither denies nor corrects it, and names no alternative."""

from __future__ import annotations

import re
from typing import Literal

from patchrl.grading.answer_span import AnswerSpan
from patchrl.grading.notation import without_text_macros
from patchrl.grading.quantities import NUMBER, quantity_value, to_fraction
from patchrl.grading.units import UNIT_KINDS, UNITS

Expected = Literal["number", "alternatives", "formula"]
MAX_CONTEXT = 120  # characters read on either side of an answer, so that time stays linear
_NUMBER = re.compile(r"[-+−]?\s?[$€£]?(?:\d(?:[\d,]*\d)?(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}|\s?/\s?\d+(?:\.\d+)?)?")
_FORMULA = re.compile(r"[\\^=(){}\[\]!]")
_SENTENCE = re.compile(r"[.!?;]\s|\n")
_DENIAL = re.compile(r"\W*(?:not|never)\b|\s*(?:≠|\\neq?\b)", re.IGNORECASE)
_SEVERAL = re.compile(r"\d\W{0,6}\s{1,6}or\s{1,6}\W{0,6}\d")
_DENIAL_BEFORE = re.compile(
    r"(?:\b(?:not|never|hardly|cannot|anything\s+but|rather\s+than|instead\s+of|(?:is|are|was|ca|wo|does)nt|nicht|keine?|pas|no\s+es|,\s*no)"
    r"|n['’]t|≠|\\neq?|不是|impossible\s+for\b.{0,40}\bto)"
    r"(?:\s+(?:be|equal|equals|to|exactly|really|actually|quite))*\s*$",
    re.IGNORECASE,
)
_DENIAL_AFTER = re.compile(
    r"\W{0,4}\?\W{0,3}no\b|"
    r"\W{0,6}\b(?:is|was|are)(?:\s+\w+ly)?"
    r"(?:(?:\s+not|n['’]?t)(?:\s+(?:the|a|my))?(?:\s+\w+)?\s+(?:answer|right|correct|solution)\b"
    r"|(?:\s+not|n['’]?t)\s+(?:right|correct)\b|\s+(?:wrong|incorrect|false)\b)",
    re.IGNORECASE,
)
_RETRACTION = re.compile(
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
_RESTATEMENT = re.compile(
    r"\b(?:so|thus|therefore|hence),?\s+the\s+(?:final\s+)?(?:answer|result|total|sum)\s+is\s*\D{0,20}?(?=[-−+]?\d)|\b(?:correct|right|true|actual)\s+(?:final\s+)?(?:answer|result|total|value|number|amount|sum|cost|price)\s+(?:is|was|would\s+be|should\s+be|=|:)\s*\D{0,20}?(?=[-−+]?\d)",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:doubt\w*|unlikely|tempt\w+|(?:do|does|did|would)(?:\s+not|n['’]?t)\s+(?:think|believe|agree|say)"
    r"|(?:wrong|incorrect|mistaken)\s+(?:final\s+)?answer|(?:some|people|one|someone)\s+(?:might|may|would|could)\s+(?:\w+\s+)?(?:say|think|guess|answer)"
    r"|common\s+mistake|(?:if|without|had)\b.{0,80}\b(?:were|would)|\bis\s+the\s+answer|impossible)\b",
    re.IGNORECASE,
)
# Words behind an answer that doubt it.
_DOUBT_BEHIND = re.compile(
    r"\bI(?:['’]m|\s+am)\s+(?:\w+\s+)?(?:not|un)\s?(?:\w+\s+|100\s?%\s+)?(?:sure|certain|confident|positive)\b"
    r"|\bI\s+(?:can['’]?t|cannot|can\s+not)\s+be\s+(?:\w+\s+)?(?:sure|certain)\b|\bI(?:['’]m|\s+am)\s+(?:just\s+|only\s+)?guessing\b"
    r"|\b(?:just|only|merely)\s+(?:a|my)\s+(?:\w+\s+)?guess\b|\bI\s+(?:really\s+)?doubt\s+(?:it|that|this)\b|\bI\s+have\s+no\s+idea\b"
    r"|\b(?:I|that|this|it|which)\s+(?:could|may|might)\s+(?:well\s+)?(?:be\s+(?:wrong|mistaken|incorrect)|not\s+be\s+(?:right|correct|true))\b"
    r"|\bI\s+(?:really\s+)?(?:don['’]?t|do\s+not)\s+(?:really\s+)?know\W*(?:$|[.!,;])"
    r"|(?:^\W*|[(,;–—-]\s*)(?:(?:but|though|although)\s+)?(?:not\s+|un)(?:\w+\s+)?(?:sure|certain)\b",
    re.IGNORECASE,
)
_PERHAPS = r"(?:(?:maybe|perhaps|possibly|even)\s+)?"
_FRACTION = r"\\[dt]?frac\s?(?:\{\d+\}\s?\{\d+\}|\d\s?\d)"
# The value before "or": 5/4, 1 1/4, a \frac, 125%.
_VALUE_BEFORE = re.compile(
    rf"((?:\d+\s?)?{_FRACTION}|(?:\d+\s)?\d+\s?/\s?\d+|\d[\d.,]*\s?\\?%?)[\s$)}},*]*\s(?:or|oder|ou|o)(?:\s+(?:maybe|perhaps|possibly|even))?(?:\s+\$?[a-z](?:_\{{?\d\}}?)?\s?=)?\s*$",
    re.IGNORECASE,
)
_JOINED_BEFORE = re.compile(
    r"\d\W{0,6}(?:\s(?:or|and|to|oder|ou|o|bis)|,\s*or)(?:\s+(?:maybe|perhaps|possibly|even))?\s*$|\d或$"
    r"|\b([a-z])(?:_\{?\d\}?)?\s*=\s*[^\s,]{1,20}\W{0,3}(?:\s(?:or|and)|,)\s+\$?\1(?:_\{?\d\}?)?\s*=\s*$",
    re.IGNORECASE,
)
_UNFINISHED_ALTERNATIVE = re.compile(r"\W{0,6}\s(?:or|oder|ou)\W*$", re.IGNORECASE)
_OPERATOR_AT_END = re.compile(r"[+*×/]\s*[$€£]?$")  # "$30 + $160 or $190" works the sum out
_JOINED_AFTER = re.compile(
    rf"(?:\W{{0,6}}\s(?:or|and|to|oder|ou|o|bis)\s+{_PERHAPS}(?:\\boxed\s*\{{)?\W{{0,3}}|或|\s{{1,2}}[A-Za-z]+\s{{1,2}}(?:or|and)\s+{_PERHAPS})({_FRACTION}|[$€£]?\d[\d.,]*(?:/\d+)?%?)",
    re.IGNORECASE,
)
_ROOT = r"(?:√|∛|\\sqrt\s*(?:\[\d\])?\{?|\b(?:sqrt|cbrt|ln|log|exp|sin|cos|tan|f|g)\b\s*\(?|±|\\pm|\^\(?\{?)"
_COMPARISON = re.compile(r"\b(?:less|more|fewer|greater|larger|smaller)\s+than\s*$|(?:^|\s)[<>]\s*$|\\[lg]t\s*$", re.I)
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
_NUMBER_WITH_UNIT = re.compile(r"\s*([-−]?[$€£]?\d[\d.,]*)\s?([A-Za-z]+)")
_UNIT_AT_END = re.compile(r"\d\s?([A-Za-z]+)(?:,|\s+and|,\s+and)?\s*$")
_AND = re.compile(r",?\s+and\b")
_LIST_OF_NUMBERS = re.compile(r"[-−+\d.,;/\s]*")


def lack_of_commitment(text: str, answer: AnswerSpan, expected: Expected) -> str | None:
    """Why a text does not commit to its answer; None when it does. Linear time.

    Args:
        text: the candidate, as `notation.plain_mathematics` writes it.
        answer: the place of the answer in it.
        expected: what the reference is. Where it is one number, a list, a comparison or an unfinished
            operation is refused too; where it is a formula, alternatives are.
    """
    if _DENIAL.match(answer.text):
        return "says only what the answer is not"
    if expected == "formula" and _SEVERAL.search(answer.text):
        return "names several answers"
    number = None if _FORMULA.search(answer.text) else _NUMBER.search(answer.text)
    start, end = _number_bounds(text, answer, number)
    sentence = without_text_macros(_SENTENCE.split(text[max(0, start - MAX_CONTEXT) : start])[-1])
    before = _without_opening_marks(sentence)
    after = without_text_macros(text[end : end + MAX_CONTEXT]).lstrip("}$*)`\"'”")
    if _DENIAL_BEFORE.search(before) or _DENIAL_AFTER.match(after):
        return "says only what the answer is not"
    if _DOUBT.search(before) or is_doubted_behind(after):
        return "doubts the answer"
    if _RETRACTION.search(after) or _is_corrected(answer.text, text[end:]):
        return "takes the answer back"
    if expected != "number":
        return None
    if _is_alternative(answer.text, number, before, after):
        return "names several answers"
    if _is_part_of_compound(without_text_macros(text[start : start + MAX_CONTEXT]), before):
        return "is a part of a larger quantity"
    if re.match(r"\W{0,3}\s(?:if|unless)\b", after):
        return "depends on a condition"
    ends_text = text.rstrip(" .").endswith(answer.text)
    line = text.strip()[-10 * MAX_CONTEXT :].rsplit("\n", 1)[-1] if ends_text else answer.text
    if _is_list(answer.text) or _is_list(line):
        return "names several answers"
    if _is_compared(sentence, before) or re.match(r"\s*(?:[<>](?!=)|\\[lg]t\b)", answer.text):
        return "compares instead of naming an answer"
    if _OPERATION_BEFORE.search(before) or _OPERATION_AFTER.match(after):
        return "leaves an operation open at"
    return None


def commits_to_words(text: str, answer: AnswerSpan) -> bool:
    """Whether a text commits to an answer in words.

    A box or marker may be doubted before and corrected behind it. The first sentence may be corrected. The last
    sentence is the text's last word.
    """
    if is_doubted_behind(text[answer.start :]):
        return False
    if answer.kind == "last sentence":
        return True
    is_doubted = answer.kind != "first sentence" and _is_doubted(text[: answer.start])
    return correction_in(text[answer.start :]) is None and not is_doubted


def is_doubted_behind(after: str) -> bool:
    """Whether the text behind an answer doubts it."""
    return _DOUBT_BEHIND.search(after[:MAX_CONTEXT]) is not None


def correction_in(text: str) -> str | None:
    """What follows the first word that may open a correction, None without one."""
    opening = _CORRECTION.search(text)
    return text[opening.end() :] if opening else None


def _number_bounds(text: str, answer: AnswerSpan, number: re.Match[str] | None) -> tuple[int, int]:
    """Where the number of an answer starts and ends in the text; the bounds of the answer without a number."""
    if number is None:
        return answer.start, answer.end
    start, end = answer.start + number.start(), min(answer.end, answer.start + number.end())
    before = text[max(0, start - MAX_CONTEXT) : start]
    is_operator = number[0][0] in "-+−" and re.search(r"(?:[\d)%}²³]|(?<![A-Za-z0-9])\d*[a-zA-Z])\s*$", before)
    return start + bool(is_operator), end


def _is_alternative(answer: str, number: re.Match[str] | None, before: str, after: str) -> bool:
    """Whether `or`, `to` or, inside the answer, `and` ties an answer to another value."""
    own = quantity_value(number[0] if number else answer)
    if _UNFINISHED_ALTERNATIVE.match(after):
        return True
    if _JOINED_BEFORE.search(before):
        earlier = _VALUE_BEFORE.search(before)
        is_evaluated = _OPERATOR_AT_END.search(before[: earlier.start()] if earlier else "")
        if not is_evaluated and (own is None or earlier is None or quantity_value(earlier[1]) != own):
            return True
    inside = _JOINED_AFTER.match(answer[number.end() :]) if number else None
    joined = inside or _JOINED_AFTER.match(after)
    if not joined or not (
        inside or {"or", "to", "oder", "ou", "o", "bis"} & set(after[: joined.start(1)].split()) or "或" in joined[0]
    ):
        return False
    other = quantity_value(joined[1].rstrip(".,"))
    return own is None or own != other


def _is_part_of_compound(text: str, before: str) -> bool:
    """Whether a number and its unit are a part of `2 hours and 30 minutes`."""
    own = _NUMBER_WITH_UNIT.match(text)
    if not own:
        return False
    earlier = _UNIT_AT_END.search(before)
    conjunction = _AND.match(text, own.end())
    later = _NUMBER_WITH_UNIT.match(text, conjunction.end() if conjunction else own.end())
    return _are_one_quantity(own[2], later and later[2]) or _are_one_quantity(own[2], earlier and earlier[1])


def _are_one_quantity(unit: str, other: str | None) -> bool:
    first, second = UNITS.get(unit.lower(), ""), UNITS.get((other or "").lower(), "")
    return first != second and first in UNIT_KINDS and UNIT_KINDS[first] == UNIT_KINDS.get(second)


def _is_doubted(before: str) -> bool:
    """Whether the sentence that leads to an answer doubts it."""
    return _DOUBT.search(_SENTENCE.split(before[-MAX_CONTEXT:])[-1]) is not None


def _is_corrected(answer: str, after: str) -> bool:
    """Whether what follows an answer corrects it: the last number of the correction is another one."""
    correction, restatement = correction_in(after), _RESTATEMENT.search(after)
    numbers = NUMBER.findall(correction)[-1:] if correction is not None else []
    if restatement:
        numbers += NUMBER.findall(after[restatement.end() :])[:1]
    first = NUMBER.search(answer)
    return any(first is None or to_fraction(number) != to_fraction(first[0]) for number in numbers)


def _without_opening_marks(before: str) -> str:
    """What precedes an answer, without the box, the markdown and the quotes that open around it."""
    before = re.sub(r"\\f?boxed\s*\{\s*$", "", before).rstrip(" $€£_`(\"'“")
    return before.removesuffix("**").rstrip()


def _is_list(text: str) -> bool:
    """Whether a text is nothing but several numbers."""
    has_several = len(re.findall(r"\d[\d,./]*", text)) > 1 and _LIST_OF_NUMBERS.fullmatch(text) is not None
    is_one = re.fullmatch(r"\s*[-−+]?(?:\d+ \d+\s?/\s?\d+|\d+\s?/\s?\d+|\d{1,3}(?: \d{3})+(?:\.\d+)?)\W*", text)
    is_arithmetic = re.search(r"\d\s*[-−+/]", text)
    return has_several and not is_one and not is_arithmetic


def _is_compared(sentence: str, before: str) -> bool:
    is_markdown_quote = re.fullmatch(r">\s[\s*_$]*", sentence) is not None
    return not is_markdown_quote and _COMPARISON.search(before) is not None
