"""What an answer is, per task type: where it stands in a reference or candidate, and what of it is compared."""

from __future__ import annotations

import re
import unicodedata

from patchrl.grading.answer_span import Stated, boxed, marked
from patchrl.grading.choices import choice_letter
from patchrl.grading.commitment import corrected, doubted
from patchrl.grading.quantities import NUMBER, SCALES, UNITS, VARIABLE, parse_quantity, untexted

_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?=\s+[(\[\"'“]?[A-Z]|\s*$)")
# A reason or remark behind an answer: "20, as 4 × 5 = 20", "18 (9 eggs × $2)".
_REMARK = re.compile(r",?\s{1,3}(?:as|since|because|which|where|so)\s.*|\s{1,3}\([^()]*(?:[A-Za-z]{3}|[=×*+])[^()]*\)$")
_CHECK = re.compile(
    r"(?:^|\n|[.!]\s)\W{0,4}(?:verification|to verify|let me (?:verify|(?:double-)?check)|let['’]s (?:verify|(?:double-)?check)|check\W{0,3}:|note(?: that)?|(?:a )?common mistake)\b",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"(?<=\s)\([^()]*[A-Za-z]{2}[^()]*\)(?=[\s.!*$]*$)")
_PLEASANTRY = re.compile(r"\W*(?:let me know|i hope|hope this|feel free|is there anything|if you)\b", re.IGNORECASE)
_STEP = re.compile(r"\b(?:step|case|part|equation|formula|method|problem|question)\s+\(?$", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"\b([a-z])(_?\d)?\s?=\s?([-−]?[\d./]+)\$?,?\s(?:and\s|or\s)?\$?([a-z])(_?\d)?\s?=\s?([-−]?\d(?:[\d./]*\d)?)[\s.*$)]*$"
)
_RELATES = r"\s?(?:[<>≤≥]|\\[lg]eq?(?:slant)?(?![A-Za-z]))\s?"
_RELATION = re.compile(rf"(?:^|\s|\$)((?:[-−]?\d[\d./]*{_RELATES})?[a-z]{_RELATES}[-−]?\d(?:[\d./]*\d)?)\$?[\s.]*$")
_SPAN = re.compile(r"\$([^$]+)\$|\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}")
_LISTED = r"(?![^,()\[\]{}]*(?<!\\)[A-Za-z]{3})[^,()\[\]{}]{1,30}"
_GROUP = re.compile(rf"(?:[(\[]|\\?\{{){_LISTED}(?:,{_LISTED})+(?:[)\]]|\\?\}})")
# What a model prints in bold is its answer, unless it is a heading.
_BOLD = re.compile(r"\*\*(?!\s)((?:(?!\*\*)[^\n]){1,80})\*\*(?!\s?:)")
_HEADING = re.compile(r"(?:step|case|part|check|note|option|verification)\b|\d+[.)]\s|.*:$", re.IGNORECASE)
_BEHIND = re.compile(
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
MAX_CANDIDATE = 100_000  # characters; nothing a model should write for one answer
LOOK = 120  # characters read on either side of a number


def normalize(text: str) -> str:
    """Lower case, single spaces, one way to write each accent, no markdown, quotes or final punctuation."""
    text = re.sub(r"[*_`\"'“”‘’$]", "", unicodedata.normalize("NFKC", text)).lower()
    return re.sub(r"\s*,\s*", ", ", re.sub(r"\s+", " ", text)).strip().strip(".,;:!?。 ")


def last_sentence(text: str) -> str:
    """The last non-empty sentence of a text."""
    parts = [p for p in re.split(r"(?<=[.!?])\s+|\n+", re.sub(r"```\w*", "", text).strip()) if p.strip(" .!?\n")]
    said = [part for part in parts if not _PLEASANTRY.match(part)]
    return (said or parts or [""])[-1]


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
    """The words a candidate commits to, normalised; None when it has none, or corrects them."""
    stated = boxed(text) or marked(text)
    if stated and (corrected(text[stated.start :]) or doubted(text[: stated.start])):
        return None
    return normalize(untexted(stated.text if stated else last_sentence(text))) or None


def first_words(text: str) -> str | None:
    """The words of the first sentence, normalised; None where what follows corrects them, or a box or marker says more."""
    if boxed(text) or marked(text) or corrected(text):
        return None
    return normalize(_SENTENCE_END.split(text.strip(), maxsplit=1)[0]) or None


def math_answer(text: str) -> Stated | None:
    """The answer a candidate commits to, None when it names none; `text` is plain mathematics already.

    It stands in the last box or behind the last marker, whichever is later; else it is the formula or number at the end.
    """
    statements = [_with_unit(text, box)] if (box := boxed(text)) else []
    if sentence := marked(text):
        stated = _REMARK.sub("", _SENTENCE_END.split(sentence.text, maxsplit=1)[0]).rstrip(" .,;:!")
        word = _NUMBER_WORDS.get(stated.strip("*_ ").lower())
        statements.append(Stated(word or stated, sentence.start, sentence.start + len(stated)))
    statements = [
        stated
        for stated in statements
        if stated.text in (box and box.text, *_NUMBER_WORDS.values()) or re.search(r"\d|\\", stated.text)
    ]
    latest = max(statements, key=lambda s: s.start, default=None)
    return latest or _assigned(text) or bare_formula(text) or _in_bold(text) or last_quantity(text)


def _in_bold(text: str) -> Stated | None:
    """The number last printed in bold, None where none is or it is a part of something larger."""
    for bold in reversed(list(_BOLD.finditer(text))):
        number = NUMBER.search(bold[1])
        if number and not _HEADING.match(bold[1]):
            inner = last_quantity(bold[1])
            plain = inner is not None and parse_quantity(bold[1]) is not None
            return Stated(bold[1], *bold.span(1)) if plain else None
    return None


def _assigned(text: str) -> Stated | None:
    """What a text ends with where that is `x = 2 or x = 3`, `x = 1 and y = 2` or `0 ≤ x < 1`; None otherwise."""
    tail = max(0, len(text) - LOOK)
    if found := _ASSIGNED.search(text, tail):
        pair = f"{found[3]}, {found[6]}"
        same = found[1] == found[4]
        return Stated(pair if same else f"({pair})", found.start(), found.end())
    if found := _RELATION.search(text, tail):
        return Stated(found[1], *found.span(1))
    return None


def _with_unit(text: str, box: Stated) -> Stated:
    r"""A box and the unit or the `million` behind it."""
    found = _UNIT_BEHIND_BOX.match(text, box.end)
    known = found is not None and _is_unit(found[1])
    if not known or found is None or parse_quantity(box.text) is None:
        return box
    return Stated(f"{box.text} {found[1]}", box.start, found.end())


def last_quantity(text: str) -> Stated | None:
    """The last number written in a text with the unit, the variable or the `million` behind it.

    A part of something larger (a pair, a mixed number, a time, a date, a decimal comma) is read as the whole.
    """
    number = _last_number(text)
    if number is None:
        return None
    start = number.end() - len(number[0].lstrip())
    spaced = re.search(r"(?<![\d.,])\d{1,3}(?:[ \u00a0\u202f]\d{3})*[ \u00a0\u202f]$", text[max(0, start - 16) : start])
    if spaced and re.fullmatch(r"\d{3}(?:\.\d+)?", text[start : number.end()]):
        start -= spaced.end() - spaced.start()  # 1 450
    near = max(0, start - LOOK)
    for group in _GROUP.finditer(text[: number.end() + LOOK], near):
        if group.end() >= number.end() and not _THOUSANDS.fullmatch(group[0]):
            return Stated(group[0], group.start(), group.end())
    if run := re.search(r"(?<![\d.,:/])\d[\d.,:/]*[,:/]$", text[near:start]):
        return Stated.between(text, near + run.start(), number.end())
    if "/" in number[0] and (whole := re.search(r"(?<![\d.,/])[-−]?\d+\s?$", text[near:start])):
        start = near + whole.start()  # 1 1/2
    elif re.search(r"[£€¥₹]$", text[near:start]) or (
        text[near:start].endswith("$") and text[number.end() : number.end() + 1] != "$"
    ):
        start -= 1  # dollars, no mathematics
    elif sign := re.search(r"(?:±|\\pm)\s?$", text[near:start]):
        start = near + sign.start()
    word = _UNIT_BEHIND.match(text[: number.end() + LOOK], number.end())
    known = word is not None and _is_unit(word[1])
    if factor := _FACTOR_BEHIND.match(text, number.end()):
        word, known = factor, True
    known = known or VARIABLE.match(text, number.end() - 1) is not None
    return Stated.between(text, start, word.end() if word and known else number.end())


def _is_unit(word: str) -> bool:
    name = word.lower().split("/")[0].rstrip("²³")
    return name in SCALES or name in UNITS


def _last_number(text: str) -> re.Match[str] | None:
    """The last number outside a list's marks, a check of the answer, and an aside in brackets at the end, if one is there."""
    check = _CHECK.search(text)
    cuts = [check.start() if check else len(text), len(text)]
    if aside := _ASIDE.search(text, max(0, cuts[0] - LOOK), cuts[0]):
        cuts.insert(0, aside.start())
    sentence = max(text.rfind(end, 0, cuts[0] - 2) for end in (". ", "\n", "! ")) + 1
    if (behind := _BEHIND.search(text, max(sentence, cuts[0] - 300), cuts[0])) and NUMBER.search(
        text, sentence, behind.start()
    ):
        cuts.insert(0, behind.start())
    listed = re.search(r"(?m)^[ \t]{0,8}1[.)]\s", text) is not None
    for cut in cuts:
        found = None
        for number in NUMBER.finditer(text, 0, cut):
            start = number.end() - len(number[0].lstrip())
            opens = listed and re.search(r"(?:^|\n)[ \t]{0,8}$", text[max(0, start - 9) : start])
            if _ORDINAL.match(text, number.end()):
                continue
            if not (opens and re.match(r"\d{1,2}[.)]\s+\S", text[start : start + 8])) and not _STEP.search(
                text[max(0, start - 20) : start]
            ):
                found = number
        if found:
            return found
    return None


def bare_formula(text: str) -> Stated | None:
    """A text that is nothing but mathematics, or the formula it ends with: what stands behind its last equals sign.

    None without either.
    """
    whole = text.strip().strip("$").rstrip(" .").strip("$")
    words = re.search(r"[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", "", whole))
    if (
        len(whole) <= 80
        and not words
        and re.search(r"\d", whole)
        and re.search(r"[\\(){}\[\],/:^eE!]|\d[a-z]\b|^\d+(?: \d{3})+$", whole)
    ):
        start = text.find(whole)
        return None if "\n" in whole or "$" in whole else _right_side(text, start, start + len(whole))
    spans = list(_SPAN.finditer(text))
    if not spans or NUMBER.search(text, spans[-1].end()):
        return None
    return _right_side(text, *spans[-1].span(1 if spans[-1][1] else 0))


def _right_side(text: str, start: int, end: int) -> Stated | None:
    """What stands behind the last equals sign of a formula, before it is rounded; None where it ends with the sign."""
    formula = re.split(r"≈|\\approx(?![A-Za-z])", text[start:end])[0].rstrip()
    side = re.split(r"(?<![<>!:])=", formula)[-1]
    stated = Stated.between(text, start + len(formula) - len(side), start + len(formula))
    return stated if stated.text else None
