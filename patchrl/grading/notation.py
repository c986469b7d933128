"""Many ways to write mathematics turned into the one way that grading reads."""

from __future__ import annotations

import re
import unicodedata

UNIT_NAME = r"(?:km|cm|mm|m|kg|g|mg|in|ft|yd|s|sec|h|hr|inch(?:es)?|feet|met(?:er|re)s?|kilomet(?:er|re)s?|centimet(?:er|re)s?|miles?|yards?|units?)"
_UNIT_POWER = re.compile(rf"\b({UNIT_NAME})(\$?\s?\}}?\s?)\^\s?\{{?([23])\}}?\$?(?!\d)")
_SCIENTIFIC = re.compile(
    r"(\d)\s?(?:×|x|\*|·|\\times|\\cdot)\s?10\s?\^\s?(?:\{\s?([-−+]?\d{1,3})\s?\}|\(([-−+]?\d{1,3})\)|([-−+]?\d{1,3})(?!\d))"
)
_TAG = re.compile(r"</?(?:b|i|strong|em|u|sup|sub|span|p|br)\s?/?>|\\(?:blacksquare|square|qed)\b", re.IGNORECASE)
_LARGE = re.compile(r"(?<=\d)(?:(M|mn)|(B|bn))\b")
_NEGATIVE = re.compile(r"(?:\bnegative|^minus|(?<=\bis )minus|(?<=[=:] )minus)\s+(?=\d)", re.IGNORECASE)
_CONTRAST = re.compile(
    r"(\d[^.!?\n\d]{0,30}?)(?:,?\s+(?:rather\s+than|instead\s+of|et\s+non)|,\s*(?:and\s+)?(?:not|nicht|no|而不是|不是))\s*[$€£]?\d[\d.,]*\D{0,30}$",
    re.IGNORECASE,
)
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_FULL_WIDTH = str.maketrans({chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {"。": "."})
_VALUE = r"[-−+]?(?:\d[\d.]*(?:/\d+)?|\\infty|∞)"
_BELOW, _ABOVE = "([<≤])", "([>≥])"
_BETWEEN = re.compile(rf"({_VALUE}){_BELOW}[a-zA-Z]{_BELOW}({_VALUE})")
_UP_TO = re.compile(rf"[a-zA-Z]{_BELOW}({_VALUE})")
_FROM = re.compile(rf"[a-zA-Z]{_ABOVE}({_VALUE})")


def plain_mathematics(text: str, *, bullets: bool = True) -> str:
    r"""A text with `\[27\]`, `- 27` in a list, `½`, `3³`, `27`, `negative 5` and `27, not 28` in the one way that is read here.

    Without `bullets`, a dash that opens a line is a minus.
    """
    text = re.sub(r"(?<=\d)(?:\{,\}|,\\!)(?=\d)", ",", _TAG.sub("", text.translate(_FULL_WIDTH)))
    text = re.sub(r"(?<!\\)\\[\[(]([^\[\]()]*)\\[\])]", r"$\1$", text)
    if bullets:
        text = re.sub(r"(?m)^[ \t]*-[ \t]+(?=[$€£]?\d)", "", text)
    text = re.sub(r"[¼-¾⅐-⅞]", lambda m: " " + unicodedata.normalize("NFKC", m[0]).replace("⁄", "/"), text)
    text = re.sub(
        r"(?:(?<=\d)|(?<=(?<![A-Za-z])[a-ln-zA-Z]))[⁰¹²³⁴-⁹⁻]+", lambda m: f"^{{{m[0].translate(_SUPERSCRIPT)}}}", text
    )
    text = re.sub(r"√\s?(?:\(([^()]*)\)|(\d+(?:\.\d+)?|[A-Za-z]))", lambda m: rf"\sqrt{{{m[1] or m[2]}}}", text)
    text = re.sub(
        r"(?<!\\)\bsqrt\s?\(([^()]{1,40})\)", r"\\sqrt{\1}", without_text_macros(re.sub(r"(?<!\\)\\[ ~]", " ", text))
    )
    text = re.sub(r"(?<=\d)\s?π", r"\\pi ", text)
    text = _SCIENTIFIC.sub(lambda m: f"{m[1]}e{(m[2] or m[3] or m[4]).replace('−', '-')}", text)
    text = _UNIT_POWER.sub(lambda m: m[1] + "²³"[int(m[3]) - 2] + m[2].replace("$", ""), text)
    text = _LARGE.sub(lambda m: " million" if m[1] else " billion", text)
    text = _NEGATIVE.sub("-", text)
    return text[:-200] + _CONTRAST.sub(r"\1", text[-200:])


def without_text_macros(text: str) -> str:
    r"""A text with `\text{Paris}` as `Paris`."""
    return re.sub(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", text)


def as_interval(text: str) -> str | None:
    r"""`0<x\le 1` as `(0,1]`, `x\le 2` as `(-\infty,2]`; None for anything else."""
    text = re.sub(r"\\leq?(?:slant)?(?![A-Za-z])", "≤", re.sub(r"\\geq?(?:slant)?(?![A-Za-z])", "≥", text))
    text = re.sub(r"[\s$]", "", text)
    if found := _BETWEEN.fullmatch(text):
        return f"{_bracket(found[2], '([')}{found[1]},{found[4]}{_bracket(found[3], ')]')}"
    if found := _UP_TO.fullmatch(text):
        return rf"(-\infty,{found[2]}{_bracket(found[1], ')]')}"
    if found := _FROM.fullmatch(text):
        return rf"{_bracket(found[1], '([')}{found[2]},\infty)"
    return None


def _bracket(relation: str, open_or_closed: str) -> str:
    return open_or_closed[relation not in "<>"]
