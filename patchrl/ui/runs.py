"""Runs tab: every run in a list; named, deleted and compared there, and followed by a notification."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.config import differences
from patchrl.errors import PatchRLError
from patchrl.jobs.status import LIVE_STATES
from patchrl.reporting import markup, run_status, run_summary, sentences
from patchrl.reporting.run_summary import MAX_COMPARED, RunSummary
from patchrl.runs.folder import MAX_NAME
from patchrl.text import MISSING, duration, listed
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session

SCRIPT, STYLE = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("runs.js", "runs.css"))


def build(session: Session) -> gr.HTML:
    """The tab; returns the list, which triggers `choose` when a run is opened."""

    # What comes from the page may be anything.
    def read_runs(query: Any, request: gr.Request) -> list[dict[str, Any]]:
        visitor = session.visitor(request)
        groups = run_summary.grouped(session.reader.summaries(visitor))
        heads = [f"{len(group)} runs with the same settings" if len(group) > 1 else "" for group in groups]
        recordings = [_recording(run_id, title) for run_id, title in api.recordings().items()]
        shown = [[_row(run) for run in group] for group in groups]
        return [
            {"head": head, "runs": runs}
            for head, runs in zip([*heads, "Recordings"], [*shown, recordings], strict=True)
        ]

    def rename_run(query: Any, request: gr.Request) -> str:
        return _problem(
            lambda: session.reader.open(session.visitor(request), _text(query, "run")).rename(_text(query, "name"))
        )

    def delete_run(query: Any, request: gr.Request) -> str:
        def delete() -> None:
            api.delete_run(session.reader.require(session.visitor(request), _text(query, "run")), session.runs_dir)

        return _problem(delete)

    def compare_runs(query: Any, request: gr.Request) -> str:
        names = query.get("runs") if isinstance(query, dict) else None
        names = names if isinstance(names, list) else []
        if not 2 <= len(names) <= MAX_COMPARED:
            return markup.note(f"Choose 2 to {MAX_COMPARED} runs.")
        try:
            visitor = session.visitor(request)
            return comparison([session.reader.open(visitor, str(name)) for name in names])
        except PatchRLError as error:
            return markup.error(str(error))

    def watch_run(query: Any, request: gr.Request) -> dict[str, Any]:
        try:
            run = session.reader.open(session.visitor(request), _text(query, "run"))
        except PatchRLError as error:
            return {"name": "", "ended": True, "text": str(error), "alarms": []}
        status, result = run.status(), run.result()
        alarms = [e["text"] for e in session.reader.events(run) if e["kind"] == "message" and "monitor" in e]
        text = sentences.headline(result) if result else run_status.describe_status(status)
        return {"name": run.name, "ended": status["state"] not in LIVE_STATES, "text": text, "alarms": alarms}

    constants = f"const MAX_COMPARED = {MAX_COMPARED}, MAX_NAME = {json.dumps(MAX_NAME)};\n"
    table = gr.HTML(
        value={}, html_template="<div></div>", css_template=STYLE, js_on_load=constants + SCRIPT, elem_id="runs",
        server_functions=[read_runs, watch_run, compare_runs, rename_run, delete_run], label="Runs", apply_default_css=False,
    )  # fmt: skip

    def fill(snapshot: Snapshot) -> dict[str, Any]:
        """What has to change for the list to be read again."""
        stamps = snapshot.stamps
        return {
            "run": stamps.get("run"),
            "stamp": [stamps.get("runs"), snapshot.status.get("state"), stamps.get("result")],
        }

    session.live(fill, [table], depends=("run", "runs", "status", "result"))
    return table


def wire(session: Session, table: gr.HTML) -> None:
    """Connect the list with the run picker and the tabs."""

    def choose(event: gr.EventData) -> tuple[Any, Any]:
        run_id, tab = _text(event._data, "run"), _text(event._data, "tab")
        return (run_id or gr.skip(), gr.Tabs(selected=tab) if tab else gr.skip())

    table.choose(choose, None, [session.run, session.tabs], api_visibility="private", show_progress="hidden")


def comparison(runs: list[api.Run]) -> str:
    """Results of several runs in one table, and the settings in which they differ."""
    names = [run.name for run in runs]
    results = [(run.name, result) for run in runs if (result := run.result())]
    rows = run_summary.result_rows(results)
    waiting = [run.name for run in runs if run.result() is None]
    parts = ["<h3>Results</h3>", markup.table(run_summary.RESULT_HEADERS, rows) if rows else ""]
    if waiting:
        parts.append(markup.note(f"{listed(waiting)}: no results yet."))
    changed = differences(*(run.config for run in runs))
    parts.append("<h3>Settings that differ</h3>")
    parts.append(markup.table(("Setting", *names), changed) if changed else markup.note("All settings are equal."))
    return "".join(parts)


def _row(run: RunSummary) -> dict[str, Any]:
    """A run as the list shows it."""
    return {
        "id": run.id,
        "name": run.name,
        "line": run.line,
        "live": run.state in LIVE_STATES,
        "own": True,
        "damaged": run.state == "damaged",
        "cells": [*run.scores, run.backbone, run.dataset],
        "started": run.started,
        "took": MISSING if run.seconds is None else duration(run.seconds),
    }


@functools.cache
def _recording(run_id: str, title: str) -> dict[str, Any]:
    return _row(api.summary(api.open_run(run_id).folder)) | {"name": title, "own": False, "line": "a recording"}


def _problem(do: Any) -> str:
    """Why something could not be done; empty where it was."""
    try:
        do()
    except PatchRLError as error:
        return str(error)
    return ""


def _text(query: Any, key: str) -> str:
    value = query.get(key) if isinstance(query, dict) else None
    return value if isinstance(value, str) else ""
