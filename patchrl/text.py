"""How numbers, shares, intervals, durations and lists are written, for every table, sentence and label."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

MISSING = "–"  # a value that was not measured

Interval = Sequence[float] | None


def number(value: float | None, digits: int = 3) -> str:
    """`0.512`; a dash for a missing value."""
    return MISSING if value is None else f"{value:z.{digits}f}"


def compact(value: float) -> str:
    """The shortest form of a setting such as a learning rate or a weight: `0.001`, `1e-05`, `8`."""
    return f"{value:g}"


def points(share: float | None, digits: int = 1, signed: bool = False) -> str:
    """A fraction as percentage points, without a unit: `0.512` is `51.2`; a dash for a missing value.

    Halves go away from zero: 0.965 and 0.9650000000000001, the same score summed in another order, must not differ by a point.
    """
    if share is None:
        return MISSING
    return f"{100 * share + math.copysign(1e-9, share):{'+' if signed else ''}z.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A fraction in per cent: `51.2 %`; a dash for a missing value."""
    return MISSING if share is None else f"{points(share, digits)} %"


def number_interval(value: float | None, ci95: Interval, digits: int = 3) -> str:
    """A number with its 95 % interval: `1.20 [1.10, 1.35]`; without one, the number alone."""
    low_high = "" if value is None or not ci95 else f" [{number(ci95[0], digits)}, {number(ci95[1], digits)}]"
    return number(value, digits) + low_high


def points_interval(share: float | None, ci95: Interval, digits: int = 1, signed: bool = False) -> str:
    """A fraction and its 95 % interval as percentage points: `51.2 [48.0, 54.1]`."""
    low_high = "" if share is None or not ci95 else f" [{points(ci95[0], digits)}, {points(ci95[1], digits)}]"
    return points(share, digits, signed) + low_high


def duration(seconds: float | None) -> str:
    """`3 s`, `4 min 05 s`, `2 h 10 min`; a dash for a missing value."""
    if seconds is None:
        return MISSING
    minutes, remainder = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{remainder} s"
    if minutes < 60:
        return f"{minutes} min {remainder:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def about_minutes(minutes: float) -> str:
    """An estimate in words: `under a minute`, `about 12 minutes`, `about 1.5 hours`."""
    if minutes < 1:
        return "under a minute"
    if minutes < 90:
        return "about a minute" if minutes < 1.5 else f"about {minutes:.0f} minutes"
    return f"about {minutes / 60:.1f} hours"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def counted(count: int, noun: str) -> str:
    """`1 seed`, `5 seeds`, `1,400 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def dropped_rows(why: Mapping[str, int]) -> str:
    """`1 without a solution, 3 without a question`, from how many rows were dropped for each reason; `none`."""
    return ", ".join(f"{count:,} {reason}" for reason, count in why.items()) or "none"


def printable(text: str) -> str:
    """The text with control characters and other characters that do not print as Python escapes them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def json_line(value: Any) -> str:
    """A value as JSON on one line, in which characters that do not print are escaped."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in json.dumps(value, ensure_ascii=False))


def parse_json(text: str | bytes) -> Any:
    """The value that a JSON text states; raises ValueError for every text that states none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())
