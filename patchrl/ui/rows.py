"""The table of rewritten rows in the browser: pages of excerpts, and one row in full when it is opened."""

from __future__ import annotations

import json
from collections.abc import Sequence
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

MAX_PAGE_ROWS = 200  # in one page
SCRIPT = (Path(__file__).with_name("rows.js")).read_text(encoding="utf-8")


def rows_table(session: Session) -> gr.HTML:
    """The component; its value is that of `table_value`."""

    # What comes from the page may be anything: every name is checked, every number bounded.
    def read_page(query: Any, request: gr.Request) -> dict[str, Any]:
        rows = _rows(session, session.visitor(request), query)
        keep, sort = _text(query, "keep"), _text(query, "sort")
        chosen = samples_table.select(
            rows,
            keep=keep if keep in samples_table.FILTERS else "all",
            search=_text(query, "search")[:200],
            sort=sort if sort in samples_table.SAMPLE_COLUMNS else None,
            descending=isinstance(query, dict) and bool(query.get("descending")),
        )
        start, row_id = max(0, _number(query, "start")), _text(query, "find")
        index = next((i for i, row in enumerate(chosen) if str(row["id"]) == row_id), -1) if row_id else -1
        page = chosen[start : start + min(_number(query, "count"), MAX_PAGE_ROWS)]
        return {"rows": [samples_table.cells(r) for r in page], "total": len(chosen), "all": len(rows), "index": index}

    def read_row(query: Any, request: gr.Request) -> str:
        visitor, row_id = session.visitor(request), _text(query, "row")
        row = next((r for r in _rows(session, visitor, query) if str(r["id"]) == row_id), None)
        if row is None:
            return '<p class="note">That row is not in this dataset; choose one in the table.</p>'
        run = session.reader.open(visitor, _text(query, "run"))
        tokens = run.surprisal(_text(query, "arm"), _number(query, "seed"), row_id)
        note = "" if tokens else '<p class="note">Token surprisal is kept for the first seed of a study only.</p>'
        return markup.sample_detail(row, tokens) + note

    # In the script and not as properties: those are lost when a value comes before the tab is first opened.
    columns = [[name, title, number] for name, (title, _, number) in samples_table.SAMPLE_COLUMNS.items()]
    constants = f"const COLUMNS = {json.dumps(columns)}, FILTERS = {json.dumps(list(samples_table.FILTERS.items()))};\n"
    return gr.HTML(
        value={}, html_template="<div></div>", js_on_load=constants + SCRIPT, server_functions=[read_page, read_row],
        elem_id="samples", label="Rewritten dataset", apply_default_css=False,
    )  # fmt: skip


def table_value(snapshot: Snapshot, arm: str, seed: int) -> dict[str, Any]:
    """Which dataset the table shows; the stamp changes when it does. Empty without a dataset."""
    if snapshot.run is None or arm not in snapshot.run.sources() or not snapshot.run.samples_path(arm, seed).is_file():
        return {}
    where = f"{snapshot.run.id}/{arm}/{seed}"
    stat = snapshot.run.samples_path(arm, seed).stat()
    return {"run": snapshot.run.id, "arm": arm, "seed": seed, "stamp": f"{where} {stat.st_mtime_ns}:{stat.st_size}"}


def _rows(session: Session, visitor: Visitor, query: Any) -> list[SampleRow]:
    try:
        run = session.reader.open(visitor, _text(query, "run"))
        return session.reader.samples(run, _text(query, "arm"), _number(query, "seed"))
    except PatchRLError:
        return []


def _text(query: Any, key: str) -> str:
    value = query.get(key) if isinstance(query, dict) else None
    return value if isinstance(value, str) else ""


def _number(query: Any, key: str) -> int:
    value = query.get(key) if isinstance(query, dict) else None
    return value if isinstance(value, int) else 0


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
