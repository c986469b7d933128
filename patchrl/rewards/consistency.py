"""Task consistency: the hard gate as a reward."""

from __future__ import annotations

from collections.abc import Sequence


def consistency(passed: Sequence[bool | None]) -> list[float | None]:
    """g_i of arXiv 2602.11220: 1.0 for a pass, 0.0 for a failure, None where the gate could not decide."""
    return [None if p is None else float(p) for p in passed]
