"""Words put together."""

from collections.abc import Mapping, Sequence


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def dropped_rows(why: Mapping[str, int]) -> str:
    """`1 without a solution, 3 without a question`, from how many rows were dropped for each reason; `none`."""
    return ", ".join(f"{count:,} {reason}" for reason, count in why.items()) or "none"
