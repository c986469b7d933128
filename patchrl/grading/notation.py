"""Many ways to write mathematics turned into the one way that grading reads."""

from __future__ import annotations

import re
import unicodedata

UNIT_NAME = r"(?:km|cm|mm|dm|m|kg|g|mg|in|ft|yd|s|sec|h|hr|inch(?:es)?|feet|met(?:er|re)s?|kilomet(?:er|re)s?|centimet(?:er|re)s?|miles?|yards?|units?)"
_TEXT_MACRO = r"\\(?:text|textrm|textbf|mathrm|mathbf|mbox)"
DASHES = "–‒‐‑⁃˗﹣－"  # that act as a hyphen before a number; U+2212 always is a minus
_LONG_DASHES = "—―"
_SIGNS: dict[int, str] = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if chr(code) != "－"}  # full width
    | dict.fromkeys("⋅∗✕✖·∙⋆⨯╳", "×")
    | dict.fromkeys("⁄∕", "/")
    | {
        "➗": "÷",
        "➕": "+",
        "﹢": "+",
        "➖": "−",
        "。": ".",
        "\u2007": "\u2009",
        "\ufe0f": "",
        "\u200b": "",
        "\u2060": "",
    }
)
_THOUGHT_TAG = re.compile(r"<(/?)(?i:think|thinking|thought|thoughts|reasoning)\s?>|\[(/?)THINK\]")
_BULLET = re.compile(r"(?m)^([ \t]*)[•·∙⋅∗⋆][ \t]+")
_DOT = re.compile(r"(?<=[\d)]) ?• ?(?=[\d(])")
_DASH_BULLET = re.compile(rf"(?m)^[ \t]*[-{DASHES}{_LONG_DASHES}][ \t]+(?=[$€£]?\d)")
_NUMBER_START = r"(?=[$€£]?\s?(?:\d|\.\d|\\?[({]|\\[a-z]|√|(?<![A-Za-z])[a-z](?![A-Za-z])))"
_OPERATOR_DASH = re.compile(
    rf"([\d)\]}}%°²³!$]|(?<![A-Za-z])[A-Za-z])(\s*)(?:[{DASHES}]|(?<=\d)[{_LONG_DASHES}](?=\d))(\s*){_NUMBER_START}"
)
_SIGN_DASH = re.compile(
    rf"(?<![\w)\]}}%°²³])[{DASHES}{_LONG_DASHES}](?=[$€£]?(?:\d|\.\d|\\[a-z]))"
    rf"|((?:\b(?:is|be|was|equals?)|[=(\[{{$:×/<>≤≥]|\*\*)\s*)[{DASHES}]\s+(?=[$€£]?\.?\d)"
    rf"|([=(\[{{]\s*)[{_LONG_DASHES}]\s*(?=[$€£]?\.?\d)"
)
# One to three digits, then groups of three behind a thin or no-break space, an apostrophe, `{,}` or `\,`.
_GROUP_SEPARATOR = r"(?:[\u2009\u202f\u00a0'’]|\{,\}|\\[,!;:]|,\\!)"
_DIGIT_GROUPS = re.compile(rf"(?<![\d.,'’])\d{{1,3}}(?:{_GROUP_SEPARATOR}\d{{3}})+(?!\d|{_GROUP_SEPARATOR}\d)")
_POWER = r"\s?\^\s?(?:\{\s?([23])\s?\}|([23])(?!\d))"
_TEXT_IN_BRACES = re.compile(rf"\{{({_TEXT_MACRO}\s*\{{[^{{}}]*\}})\}}(?=\s?\^)")
_UNIT_POWER_IN_TEXT = re.compile(rf"{_TEXT_MACRO}\s*\{{\s*({UNIT_NAME})\s*\}}{_POWER}")
_UNIT_POWER = re.compile(rf"(?:\b|(?<=\d)(?=[a-z]{{2}}))({UNIT_NAME})(\$?\s?\}}?){_POWER}\$?")
_SCIENTIFIC = re.compile(
    r"(\d)\s?(?:×|x|\*|\\times|\\cdot)\s?10\s?\^\s?(?:\{\s?([-−+]?\d{1,3})\s?\}|\(([-−+]?\d{1,3})\)|([-−+]?\d{1,3})(?!\d))"
)
_TEXT = re.compile(rf"(\\[A-Za-z]+)?{_TEXT_MACRO}\s*\{{([^{{}}]*)\}}")
_TAG = re.compile(r"</?(?:b|i|strong|em|u|sup|sub|span|p|br)\s?/?>|\\(?:blacksquare|square|qed)\b", re.IGNORECASE)
_LARGE = re.compile(r"(?<=\d)(?:(M|mn)|(B|bn))\b")
_NEGATIVE = re.compile(r"(?:\bnegative|^minus|(?<=\bis )minus|(?<=[=:] )minus)\s+(?=\d)", re.IGNORECASE)
_CONTRAST = re.compile(
    r"(\d[^.!?\n\d]{0,30}?)(?:,?\s+(?:rather\s+than|instead\s+of|et\s+non)|,\s*(?:and\s+)?(?:not|nicht|no|而不是|不是))\s*[$€£]?\d[\d.,]*\D{0,30}$",
    re.IGNORECASE,
)
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_VALUE = r"[-−+]?(?:\d[\d.]*(?:/\d+)?|\\infty|∞)"
_BELOW, _ABOVE = "([<≤])", "([>≥])"
_BETWEEN = re.compile(rf"({_VALUE}){_BELOW}[a-zA-Z]{_BELOW}({_VALUE})")
_UP_TO = re.compile(rf"[a-zA-Z]{_BELOW}({_VALUE})")
_FROM = re.compile(rf"[a-zA-Z]{_ABOVE}({_VALUE})")


def without_thoughts(text: str) -> str:
    """A text without what stands between `<think>` and `</think>`, or behind a `<think>` that never ends.

    An end without a beginning ends a thought that the prompt began.
    """
    kept, start, inside = list[str](), 0, False
    for tag in _THOUGHT_TAG.finditer(text):
        ends = "/" in tag[0]
        if ends and not inside:
            kept = []
        elif not inside:
            kept.append(text[start : tag.start()])
        inside, start = not ends, tag.end()
    return "".join([*kept, "" if inside else text[start:]])


def unify_signs(text: str) -> str:
    """A text with one sign for each operator but the minus, plain digits, and no marks inside numbers."""
    text = _DOT.sub("×", _BULLET.sub(r"\1• ", text).translate(_SIGNS))
    return _DIGIT_GROUPS.sub(lambda groups: re.sub(r"[^\d]", "", groups[0]), text)


def plain_mathematics(text: str, *, bullets: bool = True) -> str:
    r"""A text with `\[27\]`, `- 27` in a list, `½`, `3³`, `27`, `–27`, `negative 5` and `27, not 28` in one way.

    Args:
        text: a candidate or a reference.
        bullets: whether a dash that opens a line marks an item of a list; else it is a minus.
    """
    text = unify_signs(_TAG.sub("", text))
    text = re.sub(r"(?<!\\)\\[\[(]([^\[\]()]*)\\[\])]", r"$\1$", text)
    text = _DASH_BULLET.sub("" if bullets else "-", re.sub(r"(?m)^[ \t]*•[ \t]+", "", text))
    text = _SIGN_DASH.sub(lambda m: f"{m[1] or m[2] or ''}−", _OPERATOR_DASH.sub(r"\1\2−\3", text))
    text = text.replace("∶", ":")
    text = re.sub(r"[¼-¾⅐-⅞]", lambda m: " " + unicodedata.normalize("NFKC", m[0]).replace("⁄", "/"), text)
    text = re.sub(
        r"(?:(?<=\d)|(?<=(?<![A-Za-z])[a-ln-zA-Z]))[⁰¹²³⁴-⁹⁻]+", lambda m: f"^{{{m[0].translate(_SUPERSCRIPT)}}}", text
    )
    text = re.sub(r"√\s?(?:\(([^()]*)\)|(\d+(?:\.\d+)?|[A-Za-z]))", lambda m: rf"\sqrt{{{m[1] or m[2]}}}", text)
    text = _TEXT_IN_BRACES.sub(r"\1", text)
    text = _UNIT_POWER_IN_TEXT.sub(lambda m: f" {m[1]}{'²³'[int(m[2] or m[3]) - 2]}", text)
    text = without_text_macros(re.sub(r"(?<!\\)\\[ ~]", " ", text))
    text = re.sub(r"(?<!\\)\bsqrt\s?\(([^()]{1,40})\)", r"\\sqrt{\1}", text)
    text = re.sub(r"(?<=\d)\s?π", r"\\pi ", text)
    text = _SCIENTIFIC.sub(lambda m: f"{m[1]}e{(m[2] or m[3] or m[4]).replace('−', '-')}", text)
    text = _UNIT_POWER.sub(lambda m: m[1] + "²³"[int(m[3] or m[4]) - 2] + m[2].replace("$", ""), text)
    text = _LARGE.sub(lambda m: " million" if m[1] else " billion", text)
    text = _NEGATIVE.sub("-", text)
    return text[:-200] + _CONTRAST.sub(r"\1", text[-200:])


def without_text_macros(text: str) -> str:
    r"""A text with `\text{Paris}` as `Paris`."""
    return _TEXT.sub(lambda macro: f"{macro[1] + ' ' if macro[1] else ''}{macro[2]}", text)


def as_interval(text: str) -> str | None:
    r"""`0<x\le 1` as `(0,1]`, `x\le 2` as `(-\infty,2]`; None for anything else."""
    text = re.sub(r"\\leq?(?:slant)?(?![A-Za-z])", "≤", re.sub(r"\\geq?(?:slant)?(?![A-Za-z])", "≥", text))
    text = re.sub(r"[\s$]", "", text)
    if match := _BETWEEN.fullmatch(text):
        return f"{_bracket(match[2], '([')}{match[1]},{match[4]}{_bracket(match[3], ')]')}"
    if match := _UP_TO.fullmatch(text):
        return rf"(-\infty,{match[2]}{_bracket(match[1], ')]')}"
    if match := _FROM.fullmatch(text):
        return rf"{_bracket(match[1], '([')}{match[2]},\infty)"
    return None


def _bracket(relation: str, open_or_closed: str) -> str:
    return open_or_closed[relation not in "<>"]
