"""The rewritten dataset as a table: which rows, in which order, and a short line of each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from patchrl.runs.samples import SampleRow
from patchrl.text import number

Row = SampleRow
AnyRow = TypeVar("AnyRow")

MAX_EXTREME_ROWS = 100  # rows that `worst` and `biggest gain` show
MAX_EXCERPT = 90  # characters of a text in the table
FILTERS = {
    "all": "All rows",
    "accepted": "Accepted",
    "fallback": "Fell back to the expert",
    "unscorable": "Unscorable",
    "worst": f"Worst ({MAX_EXTREME_ROWS} smallest gains)",
    "gains": f"Best ({MAX_EXTREME_ROWS} biggest gains)",
}


def gain(row: Row) -> float | None:
    """ℓ of the expert solution minus ℓ of the rewrite, in nats per token; None without a score."""
    if row["nll_rewrite"] is None or row["nll_expert"] is None:
        return None
    return row["nll_expert"] - row["nll_rewrite"]


def length(row: Row) -> int:
    """Words of the rewrite."""
    return len(row["rewrite"].split())


# Column -> (heading, what it is sorted by, whether its values are numbers)
SAMPLE_COLUMNS: dict[str, tuple[str, Callable[[Row], Any], bool]] = {
    "question": ("Question", lambda row: row["question"].lower(), False),
    "expert": ("Expert", lambda row: row["expert"].lower(), False),
    "rewrite": ("Rewrite", lambda row: row["rewrite"].lower(), False),
    "gate": ("Gate", lambda row: {True: 0, None: 1, False: 2}[row["passed"]], False),
    "nll_expert": ("ℓ expert", lambda row: row["nll_expert"], True),
    "nll_rewrite": ("ℓ rewrite", lambda row: row["nll_rewrite"], True),
    "gain": ("Gain", gain, True),
    "reward": ("Reward", lambda row: row.get("reward"), True),
    "words": ("Words", length, True),
    "decision": ("Decision", lambda row: row["decision"], False),
}
GATE_WORDS = {True: "✓ passed", False: "✗ failed", None: "? unscorable"}


def select(
    rows: Sequence[Row], *, keep: str = "all", search: str = "", sort: str | None = None, descending: bool = False
) -> list[Row]:
    """Rows that pass a filter and hold a text, sorted by a column; without one, in the filter's own order.

    Rows without a value come last in either direction. `worst` and `gains` show MAX_EXTREME_ROWS rows.
    """
    needle = search.strip().lower()
    chosen = [
        row
        for row in rows
        if _kept(row, keep)
        and (not needle or any(needle in str(row[k]).lower() for k in ("id", "question", "expert", "rewrite")))
    ]
    if keep in ("worst", "gains"):
        chosen = by_column(chosen, "gain", descending=keep == "gains")[:MAX_EXTREME_ROWS]
    return by_column(chosen, sort, descending) if sort in SAMPLE_COLUMNS else chosen


def by_column(rows: Sequence[Row], column: str, descending: bool) -> list[Row]:
    """Rows by a column's value, ties in file order, missing values last."""
    return by_value(rows, SAMPLE_COLUMNS[column][1], descending)


def by_value(rows: Sequence[AnyRow], value: Callable[[AnyRow], Any], descending: bool) -> list[AnyRow]:
    """Rows by a value, ties in their order, missing values last."""
    keyed = [(value(row), row) for row in rows]
    present = sorted(((v, r) for v, r in keyed if v is not None), key=lambda pair: pair[0], reverse=descending)
    return [row for _, row in present] + [row for v, row in keyed if v is None]


def _kept(row: Row, keep: str) -> bool:
    if keep == "accepted":
        return row["decision"] == "accepted"
    if keep == "fallback":
        return row["decision"] != "accepted"
    if keep == "unscorable":
        return row["passed"] is None
    return True


def excerpt(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 2 * MAX_EXCERPT].split())
    return line if len(line) <= MAX_EXCERPT and len(text) <= 2 * MAX_EXCERPT else line[:MAX_EXCERPT].rstrip() + "…"


def cells(row: Row) -> list[str]:
    """A row's texts under SAMPLE_COLUMNS."""
    return [
        excerpt(row["question"]), excerpt(row["expert"]), excerpt(row["rewrite"]), GATE_WORDS[row["passed"]],
        number(row["nll_expert"]), number(row["nll_rewrite"]), number(gain(row)), number(row.get("reward")),
        str(length(row)), row["decision"],
    ]  # fmt: skip
