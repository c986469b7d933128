"""The place in a text that states an answer in a box or behind a marker."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

# box: \boxed{…}; marker: "The answer is …"; assignment: "x = 2"; formula, bold and number: the last of its
# kind; last sentence and first sentence: the whole sentence.
SpanKind = Literal["box", "marker", "assignment", "formula", "bold", "number", "last sentence", "first sentence"]
_BOX = re.compile(r"\\f?boxed\s*\{")
_MARKER = re.compile(
    r"####|\b(?:answer|correct\s+(?:option|choice))\b\s*(?:\([^)]{0,20}\)\s*)?(?:\bis\b|\bwould be\b|[:=])+\s*:?|答案(?:是|为|:)+|<answer>",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class AnswerSpan:
    """An answer and its place: `text` is written between the characters `start` and `end`.

    `text` has no space around it. It may be spelled in another way than the characters ("2" for "two").
    """

    text: str
    start: int
    end: int
    kind: SpanKind

    @classmethod
    def between(cls, text: str, start: int, end: int, kind: SpanKind) -> AnswerSpan:
        """The characters between two positions, without the space around them."""
        inner = text[start:end]
        start += len(inner) - len(inner.lstrip())
        return cls(inner.strip(), start, start + len(inner.strip()), kind)


def find_stated(text: str) -> AnswerSpan | None:
    """The last box or, without one, the answer behind the last marker; None without either."""
    return find_box(text) or find_marked(text)


def find_box(text: str) -> AnswerSpan | None:
    r"""The content of the last complete `\boxed{…}` with its nested braces; None without one."""
    starts = {box.end() for box in _BOX.finditer(text)}
    open_braces: list[int] = []
    last: tuple[int, int] | None = None
    for brace in re.finditer(r"[{}]", text) if starts else ():
        if brace[0] == "{":
            open_braces.append(brace.end())
        elif open_braces and (start := open_braces.pop()) in starts and (last is None or start > last[0]):
            last = start, brace.start()
    return AnswerSpan.between(text, *last, "box") if last else None


def find_marked(text: str) -> AnswerSpan | None:
    """The rest of the line behind the last `####`, `answer is` or `Answer:`; None without one.

    Where that rest is empty, the next line with text counts.
    """
    marker = last_match(_MARKER, text)
    if marker is None:
        return None
    start = marker.end() + len(text[marker.end() :]) - len(text[marker.end() :].lstrip())
    end = text.find("</answer>" if marker[0] == "<answer>" else "\n", start)
    span = AnswerSpan.between(text, start, len(text) if end < 0 else end, "marker")
    return span if span.text else None


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last place where a pattern matches, None where it never does."""
    match = None
    for match in pattern.finditer(text):  # noqa: B007
        pass
    return match
