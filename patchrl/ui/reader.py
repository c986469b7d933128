"""What the pages read of runs, cached by what changed on disk. One reader serves every visitor."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchrl import api
from patchrl.errors import PatchRLError

KEPT_RUNS = 8


@dataclass(frozen=True)
class Snapshot:
    """A run as it is now; `run` is None when none is chosen or it cannot be opened (`problem` says why)."""

    run: api.Run | None
    status: dict[str, Any]
    events: list[dict[str, Any]]
    result: dict[str, Any] | None
    problem: str = ""

    def last(self, kind: str) -> dict[str, Any] | None:
        """The newest event of a kind."""
        return next((e for e in reversed(self.events) if e["kind"] == kind), None)


class Reader:
    """Reads runs by byte offset and remembers what it read."""

    def __init__(self, runs_dir: Path | str | None) -> None:
        self.runs_dir = runs_dir
        self._lock = threading.Lock()
        self._events: OrderedDict[str, tuple[list[dict[str, Any]], int]] = OrderedDict()
        self._rows: dict[tuple[str, str, int], tuple[float, list[dict[str, Any]]]] = {}

    def snapshot(self, run_id: str | None) -> Snapshot:
        if not run_id:
            return Snapshot(None, {}, [], None)
        try:
            run = api.open_run(run_id, runs_dir=self.runs_dir)
            return Snapshot(run, run.status(), self._read(run), run.result())
        except PatchRLError as error:
            return Snapshot(None, {}, [], None, str(error))

    def _read(self, run: api.Run) -> list[dict[str, Any]]:
        with self._lock:
            events, offset = self._events.pop(run.id, ([], 0))
            new, after = run.events(offset)
            events = new if after < offset else events + new
            self._events[run.id] = (events, after)
            while len(self._events) > KEPT_RUNS:
                self._events.popitem(last=False)
            return events

    def samples(self, run: api.Run, arm: str, seed: int) -> list[dict[str, Any]]:
        """Rows of one rewritten dataset, read again only when the file changed."""
        path = run.samples_path(arm, seed)
        try:
            stamp = path.stat().st_mtime
        except FileNotFoundError:
            return []
        key = (run.id, arm, seed)
        with self._lock:
            if self._rows.get(key, (None,))[0] != stamp:
                if len(self._rows) > 4 * KEPT_RUNS:
                    self._rows.clear()
                self._rows[key] = (stamp, run.samples(arm, seed))
            return self._rows[key][1]
