"""Which letter a text chooses among A to J."""

from __future__ import annotations

import re

from patchrl.grading.answer_span import boxed, marked
from patchrl.grading.commitment import corrected
from patchrl.grading.quantities import untexted

_LETTER = r"[A-J]"
_NO_WORD = r"(?![AI]\s+(?!is\b|because\b|since\b)[a-z])"  # "I choose" and "A dog" name no letter
_START = re.compile(rf"^\W{{0,6}}{_NO_WORD}({_LETTER})(?![\w'])")
_SMALL = re.compile(r"^\W{0,6}([a-j])\s*(?:[)\]}:*]|\.(?!\w)|$)")
_BRACKET = re.compile(rf"[(\[{{<*]\s?({_LETTER})\s?[)\]}}>*]")
_WORD = re.compile(rf"\b(?:option|choice|answer)\s+\W{{0,3}}({_LETTER})\b", re.IGNORECASE)
_ALONE = re.compile(rf"(?<![A-Za-z0-9_']){_NO_WORD}({_LETTER})(?![A-Za-z0-9_'])")
_WRONG = r"(?:wrong|incorrect|false)\b"
_DENIED = re.compile(
    rf"(?<![A-Za-z0-9_'])({_LETTER})[)\]*]{{0,3}}(?i:\s?\?\s?no\b|\s+no\b(?!\s+\w)|\s+(?:is|was)\s+{_WRONG}|\s?[:=–—-]\s?(?:{_WRONG}|no\b)"
    rf"|[.:,]?\s{{0,2}}[❌✗✘]|\.\s(?:this\s+(?:option|choice|answer)\s+is\s+)?{_WRONG}|,?\s(?:is\s)?too\s\w+|\s(?:fails|does\s?n[o’']t|is\s(?:not|im)\s?possible|cannot)\b"
    rf"|\s+(?:is|was)(?:n['’]t|\s+not)\s+(?:the\s+(?:right\s+|correct\s+)?answer|right|correct|true)\b"
    r"|\s+(?:can|could)\s+be\s+(?:eliminated|excluded|ruled\s+out))"
    r"|(?i:(?:\bnot|\bnever|n['’]t|\bcannot\s+be|\bexcept|\brather\s+than|\binstead\s+of|\bneither|\bnor"
    r"|\b(?:eliminate|exclude|reject|discard|rule\s+out|ruled\s+out|eliminated|excluded)"
    r"|\b(?:everything|anything|all|nothing)\s+but|\bother\s+than|\bapart\s+from|\bnicht|\bpas|,\s*no|\bvitamin|\bhepatitis|\btype|\bgroup)"
    r"(?:\s+(?:be|for|option|choice|answer))?)"
    rf"\s+[(\[*]{{0,3}}{_NO_WORD}{_LETTER}(?![A-Za-z0-9_'])(?:(?:,|\s+and|\s+or|,\s+and|\s+nor)\s+{_LETTER}(?![A-Za-z0-9_'])){{0,8}}"
    rf"|不是{_LETTER}|(?<![A-Za-z0-9_']){_LETTER}\s?=(?!=)"  # a letter that stands for a quantity
)
_AFFIRMED = re.compile(
    rf"(?<![A-Za-z0-9_'])({_LETTER})[)\]*]{{0,3}}(?:\s?[:=–—-])?\s{{0,2}}(?:✅|✓|✔|(?i:(?:is|holds|yes)\b\s?(?:the\s+)?(?:right|correct|best|true|answer|yes)?))"
)
_CONCLUDED = re.compile(
    rf"(?i:\b(?:so|thus|therefore|hence|leaves|choose|pick|select|is|option|choice|answer)\b|[;:故选])(?i:\s?(?:option|choice|answer|it\s+is|it['’]s|the\s+answer\s+is|the))*\s?[(\[*$]{{0,4}}({_LETTER})[)\]*$]{{0,4}}\W*$"
)
_MAYBE = r"(?:(?:maybe|perhaps|possibly|even|also|else)\s+)?"
_JOINED_BEFORE = re.compile(
    rf"(?<![\w']){_LETTER}\W{{0,3}}\s(?:or|and)\s+{_MAYBE}\W{{0,3}}$|^\W{{0,3}}{_LETTER}\W{{0,3}}[,/&]\s?\W{{0,3}}$"
)
_JOINED_AFTER = re.compile(
    rf"\W{{0,3}}\s(?:or|and)\s+{_MAYBE}\W{{0,3}}{_NO_WORD}{_LETTER}(?![\w'])|\W{{0,3}}[,/&]\s?\W{{0,3}}{_LETTER}\W*$"
)


def choice_letter(text: str) -> str | None:
    r"""The letter chosen in `(B)`, `B. because …`, `**B**`, `\boxed{A. Paris}`, `option C`; None where none is, or several."""
    stated = boxed(text) or marked(text)
    parts = [(stated.text, text[stated.end :])] if stated else []
    for part, after in [*parts, (text, "")]:
        written = untexted(part)
        inner = _DENIED.sub(" ", written)
        if found := _letter(inner):
            letter = found[1].upper()
            tied = _JOINED_BEFORE.search(inner[max(0, found.start(1) - 20) : found.start(1)])
            tied = tied or _JOINED_AFTER.match(inner[found.end(1) : found.end(1) + 20])
            return None if tied or _taken_back(inner[found.end(1) :] + after, letter) else letter
        if inner != written:  # it only says which it is not
            return None
    return None


def _letter(text: str) -> re.Match[str] | None:
    if found := _CONCLUDED.search(text[-80:]):
        return _CONCLUDED.search(text, max(0, len(text) - 80))
    for pattern in (_START, _SMALL, _AFFIRMED, _WORD):
        if found := pattern.search(text):
            return found
    for pattern in (_BRACKET, _ALONE):
        found = None
        for found in pattern.finditer(text):  # noqa: B007
            pass
        if found:
            return found
    return None


def _taken_back(after: str, letter: str) -> bool:
    """Whether what follows a letter corrects it to another one."""
    correction = corrected(after)
    if correction is None:
        return False
    others = _ALONE.findall(_DENIED.sub(" ", correction))
    return bool(others) and others[-1] != letter
