"""Tables and findings for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from patchrl import findings, samples

SCAN_ROWS = 8  # of each table; the report and the page have all


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A text table with aligned columns."""
    cells = [list(headers), *[list(map(str, row)) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def print_scan(scan: dict[str, Any]) -> None:
    """What a scan found: sentences, then the beginnings of its tables."""
    print("\n" + "\n".join(f"- {text}" for text in findings.sentences(scan)))
    for title, headers, rows in findings.tables(scan):
        print(f"\n{title}\n" + columns(headers, [[samples.excerpt(cell) for cell in row] for row in rows[:SCAN_ROWS]]))
