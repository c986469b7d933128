"""Where a text states its answer: in a box, behind a marker, or at its end."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARKER = re.compile(
    r"####|\b(?:answer|correct\s+(?:option|choice))\b\s*(?:\([^)]{0,20}\)\s*)?(?:\bis\b|\bwould be\b|[:=])+\s*:?|答案(?:是|为|:)+|<answer>",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\W*(?:not|never)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Stated:
    """An answer as a text states it, and where: `text` is what stands from `start` to `end`, in characters."""

    text: str
    start: int
    end: int

    @classmethod
    def between(cls, text: str, start: int, end: int) -> Stated:
        """What stands between two positions, without the space around it."""
        inner = text[start:end]
        start += len(inner) - len(inner.lstrip())
        return cls(inner.strip(), start, start + len(inner.strip()))


def boxed(text: str) -> Stated | None:
    r"""Content of the last complete `\boxed{…}` with its nested braces, None without one."""
    starts = {m.end() for m in re.finditer(r"\\f?boxed\s*\{", text)}
    open_at: list[int] = []
    last: tuple[int, int] | None = None
    for brace in re.finditer(r"[{}]", text) if starts else ():
        if brace[0] == "{":
            open_at.append(brace.end())
        elif open_at and (start := open_at.pop()) in starts and (last is None or start > last[0]):
            last = start, brace.start()
    return Stated.between(text, *last) if last else None


def marked(text: str) -> Stated | None:
    """What follows the last `####`, `answer is` or `Answer:` on its line or, with nothing there, the next; None without."""
    found = None
    for found in _MARKER.finditer(text):  # noqa: B007
        pass
    if found is None:
        return None
    start = found.end() + len(text[found.end() :]) - len(text[found.end() :].lstrip())
    end = text.find("</answer>" if found[0] == "<answer>" else "\n", start)
    stated = Stated.between(text, start, len(text) if end < 0 else end)
    return stated if stated.text else None


def denied(answer: str) -> bool:
    """Whether an answer says what it is not."""
    return _DENIED.match(answer) is not None
