"""Which letter a text chooses among A to J."""

from __future__ import annotations

import re

from patchrl.grading.answer_span import find_stated, last_match
from patchrl.grading.commitment import correction_in, is_doubted_behind
from patchrl.grading.notation import without_text_macros

LETTERED_OPTION = re.compile(r"(?:^|(?<=\s))\(?([A-J])(?:[).:]\s+|\)\s*)(?=\S)")  # `A. Paris` in a question
_LETTER = r"[A-J]"
_NOT_A_WORD = r"(?![AI]\s+(?!is\b|because\b|since\b)[a-z])"  # "I choose" and "A dog" name no letter
_AT_START = re.compile(rf"^\W{{0,6}}{_NOT_A_WORD}({_LETTER})(?![\w'])")
_LOWER_CASE = re.compile(r"^\W{0,6}([a-j])\s*(?:[)\]}:*]|\.(?!\w)|$)")
_IN_BRACKETS = re.compile(rf"[(\[{{<*]\s?({_LETTER})\s?[)\]}}>*]")
_NAMED = re.compile(rf"\b(?:option|choice|answer)\s+\W{{0,3}}({_LETTER})\b", re.IGNORECASE)
_STANDALONE = re.compile(rf"(?<![A-Za-z0-9_']){_NOT_A_WORD}({_LETTER})(?![A-Za-z0-9_'])")
_WRONG = r"(?:wrong|incorrect|false)\b"
_DENIED = re.compile(
    rf"(?<![A-Za-z0-9_'])(?!I\s+(?:can|do))({_LETTER})[)\]*]{{0,3}}(?i:\s?\?\s?no\b|\s+no\b(?!\s+\w)|\s+(?:is|was)\s+{_WRONG}|\s?[:=–—-]\s?(?:{_WRONG}|no\b)"
    rf"|[.:,]?\s{{0,2}}[❌✗✘]|\.\s(?:this\s+(?:option|choice|answer)\s+is\s+)?{_WRONG}|,?\s(?:is\s)?too\s\w+|\s(?:fails|does\s?n[o’']t|is\s(?:not|im)\s?possible|can(?:not|['’]t|\snot))\b"
    rf"|\s+(?:is|was)(?:n['’]t|\s+not)\s+(?:the\s+(?:right\s+|correct\s+)?answer|right|correct|true)\b"
    r"|\s+(?:can|could)\s+be\s+(?:eliminated|excluded|ruled\s+out))"
    r"|(?i:(?:\bnot|\bnever|n['’]t|\bcannot\s+be|\bexcept|\brather\s+than|\binstead\s+of|\bneither|\bnor"
    r"|\b(?:eliminate|exclude|reject|discard|rule\s+out|ruled\s+out|eliminated|excluded)"
    r"|\b(?:everything|anything|all|nothing)\s+but|\bother\s+than|\bapart\s+from|\bnicht|\bpas|,\s*no|\bvitamin|\bhepatitis|\btype|\bgroup)"
    r"(?:\s+(?:be|for|option|choice|answer))?)"
    rf"\s+[(\[*]{{0,3}}{_NOT_A_WORD}{_LETTER}(?![A-Za-z0-9_'])(?:(?:,|\s+and|\s+or|,\s+and|\s+nor)\s+{_LETTER}(?![A-Za-z0-9_'])){{0,8}}"
    rf"|不是{_LETTER}|(?<![A-Za-z0-9_']){_LETTER}\s?=(?!=)"  # a letter that stands for a quantity
)
# An option whose text begins as a judgement of the letter would: "C. No effect", "(C) Cannot be determined".
_OPTION_TEXT = re.compile(
    rf"^\W{{0,6}}({_LETTER})(?:[)\]}}*]{{1,3}}[.:,]?|\s?[.:–—-])[\s*]{{1,3}}"
    r"((?i:no|false|too|fails|does(?:\s+not|n['’]t)|can(?:not|['’]t|\snot)(?!\s+be\s+(?:right|correct|true|the)\b)))\b"
)
_AFFIRMED = re.compile(
    rf"(?<![A-Za-z0-9_'])({_LETTER})[)\]*]{{0,3}}(?:\s?[:=–—-])?\s{{0,2}}(?:✅|✓|✔|(?i:(?:is|holds|yes)\b\s?(?:the\s+)?(?:right|correct|best|true|answer|yes)?))"
)
_CONCLUSION = re.compile(
    rf"(?i:\b(?:so|thus|therefore|hence|leaves|choose|pick|select|is|option|choice|answer)\b|[;:故选])(?i:\s?(?:option|choice|answer|it\s+is|it['’]s|the\s+answer\s+is|the))*\s?[(\[*$]{{0,4}}({_LETTER})[)\]*$]{{0,4}}\W*$"
)
_PERHAPS = r"(?:(?:maybe|perhaps|possibly|even|also|else)\s+)?"
_JOINED_BEFORE = re.compile(
    rf"(?<![\w']){_LETTER}\W{{0,3}}\s(?:or|and)\s+{_PERHAPS}\W{{0,3}}$|^\W{{0,3}}{_LETTER}\W{{0,3}}[,/&]\s?\W{{0,3}}$"
)
_JOINED_AFTER = re.compile(
    rf"\W{{0,3}}\s(?:or|and)\s+{_PERHAPS}\W{{0,3}}{_NOT_A_WORD}{_LETTER}(?![\w'])|\W{{0,3}}[,/&]\s?\W{{0,3}}{_LETTER}\W*$"
)


def choice_letter(text: str) -> str | None:
    r"""The letter chosen in `(B)`, `B. because …`, `**B**`, `\boxed{A. Paris}`, `option C`; None without one, or with several.

    A box or marker is read first, and the whole text only where that names no letter.
    """
    stated = find_stated(text)
    regions = [(stated.text, text[stated.end :])] if stated else []
    for region, after in [*regions, (text, "")]:
        plain = _without_judging_option(without_text_macros(region), is_stated=region != text)
        affirmed = _DENIED.sub(" ", plain)
        if choice := _find_letter(affirmed):
            rest = affirmed[choice.end(1) :] + after
            is_open = _is_alternative(affirmed, choice) or _is_corrected(choice[1].upper(), rest)
            return None if is_open or is_doubted_behind(rest) else choice[1].upper()
        if affirmed != plain:  # the region only rules letters out
            return None
    return None


def _without_judging_option(region: str, *, is_stated: bool) -> str:
    """A region without the `No` or `Cannot` that begins the text of the only option it names.

    Outside a box or marker such a word counts as an option's text only with a capital: "C: no" judges the letter.
    """
    option = _OPTION_TEXT.match(region)
    if not option or not (is_stated or option[2][0].isupper()):
        return region
    if set(_STANDALONE.findall(region[option.end() :])) - {option[1]}:
        return region
    return f"{region[: option.start(2)]}…{region[option.end() :]}"


def _find_letter(text: str) -> re.Match[str] | None:
    """The place of the chosen letter, its group 1; None without one."""
    if conclusion := _CONCLUSION.search(text, max(0, len(text) - 80)):
        return conclusion
    for pattern in (_AT_START, _LOWER_CASE, _AFFIRMED, _NAMED):
        if first := pattern.search(text):
            return first
    return last_match(_IN_BRACKETS, text) or last_match(_STANDALONE, text)


def _is_alternative(text: str, choice: re.Match[str]) -> bool:
    """Whether `or`, `and` or a comma ties the letter to another one."""
    start, end = choice.span(1)
    before, after = text[max(0, start - 20) : start], text[end : end + 20]
    return bool(_JOINED_BEFORE.search(before) or _JOINED_AFTER.match(after))


def _is_corrected(letter: str, rest: str) -> bool:
    """Whether the rest of the text corrects a letter to another one."""
    correction = correction_in(rest)
    if correction is None:
        return False
    letters = _STANDALONE.findall(_DENIED.sub(" ", correction))
    return bool(letters) and letters[-1] != letter
