"""A table of many rows in the browser: pages of excerpts, and one row in full when it is opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.config.arms import display_name
from patchrl.errors import PatchRLError
from patchrl.jobs.owners import Visitor
from patchrl.reporting import markup, samples_table
from patchrl.runs.samples import SampleRow
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session

MAX_PAGE_ROWS, MAX_TEXT = 200, 1_000  # in one page; characters of a value that a page sends
SCRIPT = (Path(__file__).with_name("rows.js")).read_text(encoding="utf-8")


class Query:
    """What the page sent, which may be anything: every value is read as a text or a number, or is empty."""

    def __init__(self, values: Any) -> None:
        self.values: dict[str, Any] = values if isinstance(values, dict) else {}

    def text(self, key: str) -> str:
        value = self.values.get(key)
        return value[:MAX_TEXT] if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        value = self.values.get(key)
        return value if isinstance(value, int) else 0

    @property
    def find(self) -> dict[str, str]:
        """The address of a row that the page looks for."""
        value = self.values.get("find")
        return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}

    def sort(self, columns: Sequence[str]) -> dict[str, Any]:
        """The order that is asked for, as a choice of rows takes it."""
        sort = self.text("sort")
        return {"sort": sort if sort in columns else None, "descending": bool(self.values.get("descending"))}


@dataclass(frozen=True)
class Choice:
    """The rows that a table shows, of `total` rows.

    `head` is HTML above the table; `options` fill its filters, title by value, and `filters` are the values chosen in them.
    """

    rows: Sequence[Any]
    total: int
    head: str = ""
    options: dict[str, dict[str, str]] = field(default_factory=dict)
    filters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PagedTable:
    """One table of many rows.

    Args:
        elem_id, label: Of its component.
        columns: (name, heading, whether its values are numbers) each.
        filters: (name, label, options, whether it only changes what an opened row shows) each. Options are titles by value,
            the first one chosen at first; a `Choice` may bring others.
        search_hint: What a search looks at.
        hint: What to do before a row is opened.
        link: What names a row in the page's address.
        choose: The rows that a query asks for.
        cells: The texts of a row's columns.
        address: The values of `link` for a row.
        detail: One row in full, as HTML; the query holds the values of `link`.
    """

    elem_id: str
    label: str
    columns: Sequence[tuple[str, str, bool]]
    filters: Sequence[tuple[str, str, dict[str, str], bool]]
    search_hint: str
    hint: str
    link: Sequence[str]
    choose: Callable[[Visitor, Query], Choice]
    cells: Callable[[Any], list[str]]
    address: Callable[[Any], dict[str, str]]
    detail: Callable[[Visitor, Query], str]


def paged_table(session: Session, table: PagedTable) -> gr.HTML:
    """The component. Its value has `run`, `source` (what queries name beside the run) and `stamp`; it is empty without rows."""

    def read_page(query: Any, request: gr.Request) -> dict[str, Any]:
        asked_for = Query(query)
        try:
            choice = table.choose(session.visitor(request), asked_for)
        except PatchRLError as error:
            return {"rows": [], "total": 0, "all": 0, "index": -1, "head": markup.error(str(error))}
        find, start = asked_for.find, max(0, asked_for.number("start"))
        index = next((i for i, row in enumerate(choice.rows) if find and _is_at(find, table.address(row))), -1)
        page = choice.rows[start : start + min(asked_for.number("count"), MAX_PAGE_ROWS)]
        return {
            "rows": [[table.address(row), *table.cells(row)] for row in page],
            "total": len(choice.rows), "all": choice.total, "index": index, "head": choice.head, "filters": choice.filters,
            "options": {name: list(options.items()) for name, options in choice.options.items()},
        }  # fmt: skip

    def read_row(query: Any, request: gr.Request) -> str:
        try:
            return table.detail(session.visitor(request), Query(query))
        except PatchRLError as error:
            return markup.error(str(error))

    # In the script and not as properties: those are lost when a value comes before the tab is first opened.
    shown = {
        "id": table.elem_id, "label": table.label, "columns": table.columns, "search": table.search_hint, "hint": table.hint,
        "filters": [[name, title, list(options.items()), detail] for name, title, options, detail in table.filters],
        "link": table.link,
    }  # fmt: skip
    return gr.HTML(
        value={}, html_template="<div></div>", js_on_load=f"const TABLE = {json.dumps(shown)};\n{SCRIPT}",
        server_functions=[read_page, read_row], elem_id=table.elem_id, label=table.label, apply_default_css=False,
    )  # fmt: skip


def _is_at(find: dict[str, str], address: dict[str, str]) -> bool:
    return all(address.get(key, value) == value for key, value in find.items())


# --- the rewritten dataset ------------------------------------------------------------------------


def rows_table(session: Session) -> gr.HTML:
    """The rewritten dataset; its value is that of `table_value`."""

    def read(visitor: Visitor, query: Query) -> list[SampleRow]:
        try:
            run = session.reader.open(visitor, query.text("run"))
            return session.reader.samples(run, query.text("arm"), query.number("seed"))
        except PatchRLError:
            return []

    def choose(visitor: Visitor, query: Query) -> Choice:
        rows, keep = read(visitor, query), query.text("keep")
        keep = keep if keep in samples_table.FILTERS else "all"
        order = query.sort(list(samples_table.SAMPLE_COLUMNS))
        return Choice(samples_table.select(rows, keep=keep, search=query.text("search"), **order), len(rows))

    def detail(visitor: Visitor, query: Query) -> str:
        row_id = query.text("row")
        row = next((r for r in read(visitor, query) if str(r["id"]) == row_id), None)
        if row is None:
            return markup.note("That row is not in this dataset; choose one in the table.")
        run = session.reader.open(visitor, query.text("run"))
        tokens = run.surprisal(query.text("arm"), query.number("seed"), row_id)
        note = "" if tokens else markup.note("Token surprisal is kept for the first seed of a study only.")
        return markup.sample_detail(row, tokens) + note

    return paged_table(
        session,
        PagedTable(
            "samples",
            "Rewritten dataset",
            [(name, title, number) for name, (title, _, number) in samples_table.SAMPLE_COLUMNS.items()],
            [("keep", "Show", samples_table.FILTERS, False)],
            "text in question, expert or rewrite",
            "Choose a row (click, or arrow keys) to see both texts, the verdict and the surprisal of every token.",
            ["row"],
            choose,
            samples_table.cells,
            lambda row: {"row": str(row["id"])},
            detail,
        ),
    )


def table_value(snapshot: Snapshot, arm: str, seed: int) -> dict[str, Any]:
    """Which dataset the table shows; the stamp changes when it does. Empty without a dataset."""
    if snapshot.run is None or arm not in snapshot.run.sources() or not snapshot.run.samples_path(arm, seed).is_file():
        return {}
    where = f"{snapshot.run.id}/{arm}/{seed}"
    stat = snapshot.run.samples_path(arm, seed).stat()
    stamp = f"{where} {stat.st_mtime_ns}:{stat.st_size}"
    return {"run": snapshot.run.id, "source": {"arm": arm, "seed": seed}, "stamp": stamp}


def dataset_choice(run: api.Run | None, arm: str | None, seed: str | None) -> tuple[str, int, list[Any]]:
    """The chosen source and seed of a run, each its first where it has not the chosen one (rl is the first
    source where it is there), and what the two lists show."""
    sources = run.sources() if run else []
    seeds = list(run.config.study.seeds) if run else [0]
    first = "rl" if "rl" in sources or not sources else sources[0]
    source = arm if arm in sources else first
    number = next((s for s in seeds if str(s) == seed), seeds[0])
    names = [(display_name(name), name) for name in sources or [first]]
    return source, number, [_listed(names, source, arm), _listed([str(s) for s in seeds], str(number), seed)]


def _listed(choices: Sequence[Any], value: str, chosen: str | None) -> Any:
    """A list's choices; its value only where it is another: an answer that comes late must not undo the next choice."""
    return gr.update(choices=choices) if value == chosen else gr.update(choices=choices, value=value)
