"""events.jsonl: one JSON object a line, appended whole and read by byte offset."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from patchrl.runs.shapes import is_event
from patchrl.text import parse_json

CURVE_FIELDS = (
    "seed",
    "arm",
    "rate",
    "rewriter",
)  # with its kind these say to which curve an event with a step belongs
# Names that fields had in runs of earlier versions, by kind of event. Readers see the present names only.
FORMER_FIELDS = {
    "train": {
        "signs": "monitor_shares",
        "largest": "max_token_nll",
        "total": "text_nll",
        "own_share": "own_style_share",
    }
}


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event of a line, by the present names of its fields; None for a damaged line."""
    try:
        event = parse_json(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not is_event(line, event):
        return None
    for former, present in FORMER_FIELDS.get(event["kind"], {}).items():
        if former in event:
            event[present] = event.pop(former)
    return event


def append_event(path: Path, kind: str, fields: dict[str, Any]) -> None:
    """Append one event; the line goes out in a single write."""
    line = json.dumps({"t": round(time.time(), 3), "kind": kind, **fields}, ensure_ascii=False)
    with path.open("ab", buffering=0) as file:
        file.write(line.encode() + b"\n")


def end_torn_line(path: Path) -> None:
    """End a last line that was cut, so that the next event does not lose itself in it."""
    if path.is_file() and path.stat().st_size:
        with path.open("r+b") as file:
            file.seek(-1, 2)
            if file.read() != b"\n":
                file.write(b"\n")


def read_new_events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Whole events from a byte offset on, and the offset to continue from.

    A half-written last line waits for the next call; a file shorter than the offset was replaced and is
    read from its start; a damaged line is skipped.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return [], 0
    if not path.is_file():
        return [], 0
    if size < offset:
        offset = 0
    if size == offset:
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(size - offset)
    end = data.rfind(b"\n") + 1
    events = [event for line in data[:end].splitlines() if (event := parse_event(line)) is not None]
    return events, offset + end


def read_events(path: Path) -> list[dict[str, Any]]:
    """All events of a run; of steps that a resumed training repeated, those of the last time."""
    kept: list[dict[str, Any]] = []
    first_step: dict[tuple[Any, ...], float] = {}
    for event in reversed(read_new_events(path)[0]):
        if "step" in event:
            curve = (event["kind"], *(event.get(name) for name in CURVE_FIELDS))
            if event["step"] >= first_step.get(curve, math.inf):
                continue
            first_step[curve] = event["step"]
        kept.append(event)
    return kept[::-1]
