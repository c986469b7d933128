"""The place in a text that states the answer to a mathematical question."""

from __future__ import annotations

import re

from patchrl.grading.answer_span import AnswerSpan, find_box, find_marked
from patchrl.grading.quantities import NUMBER, VARIABLE, parse_quantity
from patchrl.grading.units import SCALES, UNITS

SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?=\s+[(\[\"'“]?[A-Z]|\s*$)")
# A reason or remark behind an answer: "20, as 4 × 5 = 20", "18 (9 eggs × $2)".
_REMARK = re.compile(r",?\s{1,3}(?:as|since|because|which|where|so)\s.*|\s{1,3}\([^()]*(?:[A-Za-z]{3}|[=×*+])[^()]*\)$")
_CHECK = re.compile(
    r"(?:^|\n|[.!]\s)\W{0,4}(?:verification|to verify|let me (?:verify|(?:double-)?check)|let['’]s (?:verify|(?:double-)?check)|check\W{0,3}:|note(?: that)?|(?:a )?common mistake)\b",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"(?<=\s)\([^()]*[A-Za-z]{2}[^()]*\)(?=[\s.!*$]*$)")
_STEP_NAME = re.compile(r"\b(?:step|case|part|equation|formula|method|problem|question)\s+\(?$", re.IGNORECASE)
_ASSIGNMENTS = re.compile(
    r"\b([a-z])(_?\d)?\s?=\s?([-−]?[\d./]+)\$?,?\s(?:and\s|or\s)?\$?([a-z])(_?\d)?\s?=\s?([-−]?\d(?:[\d./]*\d)?)[\s.*$)]*$"
)
_RELATION_SIGN = r"\s?(?:[<>≤≥]|\\[lg]eq?(?:slant)?(?![A-Za-z]))\s?"
_RELATION = re.compile(
    rf"(?:^|\s|\$)((?:[-−]?\d[\d./]*{_RELATION_SIGN})?[a-z]{_RELATION_SIGN}[-−]?\d(?:[\d./]*\d)?)\$?[\s.]*$"
)
_FORMULA = re.compile(r"\$([^$]+)\$|\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}")
_ITEM = r"(?![^,()\[\]{}]*(?<!\\)[A-Za-z]{3})[^,()\[\]{}]{1,30}"
_TUPLE = re.compile(rf"(?:[(\[]|\\?\{{){_ITEM}(?:,{_ITEM})+(?:[)\]]|\\?\}})")
# A model prints its answer in bold, and also its headings.
_BOLD = re.compile(r"\*\*(?!\s)((?:(?!\*\*)[^\n]){1,80})\*\*(?!\s?:)")
_HEADING = re.compile(r"(?:step|case|part|check|note|option|verification)\b|\d+[.)]\s|.*:$", re.IGNORECASE)
_SUBORDINATE_CLAUSE = re.compile(
    r"(?<=\w)[\s*]{0,3}(?:,?\s(?:since|because|having|when|where|after|which\s(?!is|was|makes|gives|equals|leaves|means|comes|totals))|,\s(?:with|and there))\s"
    r"[^.!?\n=]{0,200}[.!?]?\s*$"
)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b")
_NUMBER_WORDS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15", "sixteen": "16",
    "seventeen": "17", "eighteen": "18", "nineteen": "19", "twenty": "20",
}  # fmt: skip
_THOUSANDS = re.compile(r"\W*\d{1,3}(?:,\d{3})+\W*")
_UNIT_BEHIND = re.compile(r"\s?(°?[A-Za-z]+[²³]?(?:/[A-Za-z]+[²³]?)?|[€£¥₹万亿])(?![A-Za-z0-9_.]*[A-Za-z0-9_])")
_FACTOR_BEHIND = re.compile(r"\s?\\(?:pi\b|sqrt\s?\{[^{}]{1,40}\})")
_UNIT_BEHIND_BOX = re.compile(r"\}?[\s$*~]{0,4}(°?[A-Za-z]+[²³]?|[€£¥₹万亿])(?![A-Za-z0-9_])")
MAX_CONTEXT = 120  # characters read on either side of a number


def find_math_answer(text: str) -> AnswerSpan | None:
    """The answer that a text states, None without one. `text` is as `notation.plain_mathematics` writes it.

    The later of the last box and the last marker counts. Without either it is the formula or number at the end.
    """
    box, marked = find_box(text), _find_marked_value(text)
    if marked and not (re.search(r"\d|\\", marked.text) or (box and marked.text == box.text)):
        marked = None
    stated = [span for span in (box and _with_unit(text, box), marked) if span]
    latest = max(stated, key=lambda span: span.start, default=None)
    return latest or _find_assignment(text) or find_formula(text) or _find_bold(text) or find_last_number(text)


def _find_marked_value(text: str) -> AnswerSpan | None:
    """The first sentence behind the last marker, without a remark; a number word as digits."""
    marked = find_marked(text)
    if marked is None:
        return None
    value = _REMARK.sub("", SENTENCE_END.split(marked.text, maxsplit=1)[0]).rstrip(" .,;:!")
    digits = _NUMBER_WORDS.get(value.strip("*_ ").lower())
    return AnswerSpan(digits or value, marked.start, marked.start + len(value), "marker")


def _find_bold(text: str) -> AnswerSpan | None:
    """The number last printed in bold, None without one or where it is a part of something larger."""
    for bold in reversed(list(_BOLD.finditer(text))):
        if NUMBER.search(bold[1]) and not _HEADING.match(bold[1]):
            is_number = find_last_number(bold[1]) is not None and parse_quantity(bold[1]) is not None
            return AnswerSpan(bold[1], *bold.span(1), "bold") if is_number else None
    return None


def _find_assignment(text: str) -> AnswerSpan | None:
    """What a text ends with where that is `x = 2 or x = 3`, `x = 1 and y = 2` or `0 ≤ x < 1`; None otherwise."""
    tail = max(0, len(text) - MAX_CONTEXT)
    if pair := _ASSIGNMENTS.search(text, tail):
        values = f"{pair[3]}, {pair[6]}"
        one_variable = pair[1] == pair[4]
        return AnswerSpan(values if one_variable else f"({values})", *pair.span(), "assignment")
    if relation := _RELATION.search(text, tail):
        return AnswerSpan(relation[1], *relation.span(1), "assignment")
    return None


def _with_unit(text: str, box: AnswerSpan) -> AnswerSpan:
    r"""A box and the unit or the `million` behind it."""
    unit = _UNIT_BEHIND_BOX.match(text, box.end)
    if unit is None or not _is_unit(unit[1]) or parse_quantity(box.text) is None:
        return box
    return AnswerSpan(f"{box.text} {unit[1]}", box.start, unit.end(), "box")


def find_last_number(text: str) -> AnswerSpan | None:
    """The last number of a text with the unit, the variable or the `million` behind it.

    A part of something larger (a pair, a mixed number, a time, a date, a decimal comma) is read as the whole.
    """
    number = _last_number(text)
    if number is None:
        return None
    start = number.end() - len(number[0].lstrip())
    spaced = re.search(r"(?<![\d.,])[-−]?\d{1,3}(?: \d{3})* $", text[max(0, start - 16) : start])
    if spaced and re.fullmatch(r"\d{3}(?:\.\d+)?", text[start : number.end()]):
        start -= spaced.end() - spaced.start()  # 1 450
    near = max(0, start - MAX_CONTEXT)
    for items in _TUPLE.finditer(text[: number.end() + MAX_CONTEXT], near):
        if items.end() >= number.end() and not _THOUSANDS.fullmatch(items[0]):
            return AnswerSpan(items[0], *items.span(), "number")
    if run := re.search(r"(?<![\d.,:/])\d[\d.,:/]*[,:/]$", text[near:start]):
        return AnswerSpan.between(text, near + run.start(), number.end(), "number")
    if "/" in number[0] and (whole := re.search(r"(?<![\d.,/])[-−]?\d+\s?$", text[near:start])):
        start = near + whole.start()  # 1 1/2
    elif re.search(r"[£€¥₹]$", text[near:start]) or (
        text[near:start].endswith("$") and text[number.end() : number.end() + 1] != "$"
    ):
        start -= 1  # dollars, no mathematics
    elif sign := re.search(r"(?:±|\\pm)\s?$", text[near:start]):
        start = near + sign.start()
    unit = _UNIT_BEHIND.match(text[: number.end() + MAX_CONTEXT], number.end())
    if unit and not _is_unit(unit[1]) and not VARIABLE.match(text, number.end() - 1):
        unit = None
    unit = _FACTOR_BEHIND.match(text, number.end()) or unit
    return AnswerSpan.between(text, start, unit.end() if unit else number.end(), "number")


def _is_unit(word: str) -> bool:
    name = word.lower().split("/")[0].rstrip("²³")
    return name in SCALES or name in UNITS


def _last_number(text: str) -> re.Match[str] | None:
    """The last number that is neither a list's mark nor the number of a step.

    Numbers count last that check the answer, stand in an aside at the end, or in a subordinate clause.
    """
    check = _CHECK.search(text)
    cuts = [check.start() if check else len(text), len(text)]
    if aside := _ASIDE.search(text, max(0, cuts[0] - MAX_CONTEXT), cuts[0]):
        cuts.insert(0, aside.start())
    sentence = max(text.rfind(end, 0, cuts[0] - 2) for end in (". ", "\n", "! ")) + 1
    if (clause := _SUBORDINATE_CLAUSE.search(text, max(sentence, cuts[0] - 300), cuts[0])) and NUMBER.search(
        text, sentence, clause.start()
    ):
        cuts.insert(0, clause.start())
    has_list = re.search(r"(?m)^[ \t]{0,8}1[.)]\s", text) is not None
    for cut in cuts:
        last = None
        for number in NUMBER.finditer(text, 0, cut):
            start = number.end() - len(number[0].lstrip())
            opens_line = has_list and re.search(r"(?:^|\n)[ \t]{0,8}$", text[max(0, start - 9) : start])
            is_list_mark = opens_line and re.match(r"\d{1,2}[.)]\s+\S", text[start : start + 8])
            is_ordinal = _ORDINAL.match(text, number.end())
            if not (is_list_mark or is_ordinal or _STEP_NAME.search(text[max(0, start - 20) : start])):
                last = number
        if last:
            return last
    return None


def find_formula(text: str) -> AnswerSpan | None:
    """The right side of a text that is nothing but mathematics, or of the formula at its end; None without either."""
    whole = text.strip().strip("$").rstrip(" .").strip("$")
    words = re.search(r"[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", "", whole))
    if (
        len(whole) <= 80
        and not words
        and re.search(r"\d", whole)
        and re.search(r"[\\(){}\[\],/:^eE!×]|\d[a-z]\b|^\d+(?: \d{3})+$", whole)
    ):
        start = text.find(whole)
        return None if "\n" in whole or "$" in whole else _right_side(text, start, start + len(whole))
    formulas = list(_FORMULA.finditer(text))
    if not formulas or NUMBER.search(text, formulas[-1].end()):
        return None
    return _right_side(text, *formulas[-1].span(1 if formulas[-1][1] else 0))


def _right_side(text: str, start: int, end: int) -> AnswerSpan | None:
    """What follows the last equals sign of a formula, before it is rounded; None where nothing follows."""
    formula = re.split(r"≈|\\approx(?![A-Za-z])", text[start:end])[0].rstrip()
    side = re.split(r"(?<![<>!:])=", formula)[-1]
    span = AnswerSpan.between(text, start + len(formula) - len(side), start + len(formula), "formula")
    return span if span.text else None
