"""What the pages read of runs, cached by what changed on disk. One reader serves every visitor what that visitor may see."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from patchrl import api
from patchrl.errors import PatchRLError, RunError
from patchrl.evaluation.changes import ArmChanges
from patchrl.jobs.owners import NOBODY, Visitor, may_use
from patchrl.jobs.status import LIVE_STATES
from patchrl.reporting.run_summary import RunSummary
from patchrl.runs.folder import RunFolder, default_runs_dir
from patchrl.runs.jsonl import readable_rows
from patchrl.runs.samples import SampleRow
from patchrl.runs.timeline import Timeline

MAX_RUNS = 8
MAX_TABLES = 16
MAX_SUMMARIES = 1000


@dataclass(frozen=True)
class Snapshot:
    """A run as it is now; `run` is None when none is chosen or it cannot be opened (`problem` says why).

    `events` is thinned to what a page draws; `stamps` says which parts of the run changed; `visitor` is who sees it.
    """

    run: api.Run | None
    status: dict[str, Any]
    events: list[dict[str, Any]]
    result: dict[str, Any] | None
    problem: str = ""
    stamps: dict[str, str] = field(default_factory=dict)
    visitor: Visitor = NOBODY

    def last(self, kind: str) -> dict[str, Any] | None:
        """The newest event of a kind."""
        return next((e for e in reversed(self.events) if e["kind"] == kind), None)


def shown_status(visitor: Visitor, run: api.Run) -> dict[str, Any]:
    """The status of a run as a visitor may see it: what waits ahead is counted and not named."""
    status = run.status()
    if visitor.host or not status.get("queued_behind"):
        return status
    return status | {"queue_number": len(status["queued_behind"]) + 1, "queued_behind": []}


class Reader:
    """Reads runs by byte offset and remembers what it read, within bounds."""

    def __init__(self, runs_dir: Path | str | None) -> None:
        self.runs_dir = runs_dir
        self._lock = threading.Lock()
        self._timelines: OrderedDict[str, tuple[Timeline, threading.Lock]] = OrderedDict()
        self._summaries: dict[Path, tuple[list[int], RunSummary]] = {}
        self._changes: OrderedDict[tuple[str, float | None], tuple[str, list[ArmChanges]]] = OrderedDict()
        self._rows: OrderedDict[tuple[str, str, int], tuple[str, list[SampleRow]]] = OrderedDict()

    def choices(self, visitor: Visitor) -> list[tuple[str, str]]:
        """Labels and ids of the runs that a visitor may see, the newest first, then of the recordings; damaged runs come last."""
        groups: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
        for run in self.summaries(visitor):
            groups[run.state == "damaged"].append((run.label, run.id))
        recordings = [(title, run_id) for run_id, title in api.recordings().items()]
        return [*groups[False], *recordings, *groups[True]]

    def summaries(self, visitor: Visitor) -> list[RunSummary]:
        """What a list shows of the runs that a visitor may see, the newest first."""
        return [self._summary(folder) for folder in api.visible_folders(self.runs_dir, visitor)]

    def _summary(self, folder: RunFolder) -> RunSummary:
        stamp = [_changed(path) for path in (folder.config, folder.status, folder.result, folder.name)]
        known = self._summaries.get(folder.path)
        if known is None or known[0] != stamp or known[1].state in LIVE_STATES:
            self._summaries[folder.path] = known = (stamp, api.summary(folder))
            while len(self._summaries) > MAX_SUMMARIES:
                self._summaries.pop(next(iter(self._summaries)), None)
        return known[1]

    def require(self, visitor: Visitor, run_id: str | None) -> str:
        """The id of a run that a visitor may see and control, or of a recording; it may be damaged.

        Raises RunError, whose sentence does not tell whether somebody else has such a run.
        """
        if not run_id:
            raise RunError("Choose a run above first.")
        folder = Path(self.runs_dir or default_runs_dir())
        if not visitor.host and run_id not in api.recordings() and not may_use(visitor, folder, run_id):
            raise RunError(f"Run {run_id!r:.90} is not one of yours; choose one above.")
        return run_id

    def open(self, visitor: Visitor, run_id: str | None) -> api.Run:
        """A run that a visitor may see and control, or a recording; raises RunError as `require` does."""
        return api.open_run(self.require(visitor, run_id), runs_dir=self.runs_dir)

    def stamps(self, visitor: Visitor, run_id: str | None) -> dict[str, str]:
        """What to compare to see whether a page is up to date; costs a few file stats."""
        folder = Path(self.runs_dir or default_runs_dir())
        stamps = {"run": run_id or "", "runs": str(folder.stat().st_mtime_ns) if folder.is_dir() else ""}
        if run_id:
            try:
                return stamps | self.open(visitor, run_id).stamp()
            except PatchRLError as error:
                return stamps | {"status": str(error)}
        return stamps

    def snapshot(self, visitor: Visitor, run_id: str | None) -> Snapshot:
        """A run as a visitor sees it now."""
        stamps = self.stamps(
            visitor, run_id
        )  # before everything else, so that what changes meanwhile is seen next time
        if not run_id:
            return Snapshot(None, {}, [], None, stamps=stamps, visitor=visitor)
        try:
            run = self.open(visitor, run_id)
            return Snapshot(run, shown_status(visitor, run), self.events(run), run.result(), "", stamps, visitor)
        except PatchRLError as error:
            return Snapshot(None, {}, [], None, str(error), stamps, visitor)

    def events(self, run: api.Run) -> list[dict[str, Any]]:
        """The run's events, thinned; only what is new is read."""
        with self._lock:
            if run.id not in self._timelines:
                self._timelines[run.id] = run.timeline(), threading.Lock()
            self._timelines.move_to_end(run.id)
            timeline, lock = self._timelines[run.id]
            while len(self._timelines) > MAX_RUNS:
                self._timelines.popitem(last=False)
        with lock:  # one lock a run: the first read of a long run does not delay the others
            return timeline.update()

    def samples(self, run: api.Run, arm: str, seed: int) -> list[SampleRow]:
        """Rows of one rewritten dataset, read again only when the file changed."""
        try:
            stat = run.samples_path(arm, seed).stat()
        except FileNotFoundError:
            return []
        key, stamp = (run.id, arm, seed), f"{stat.st_mtime_ns}:{stat.st_size}"
        with self._lock:
            if self._rows.get(key, ("",))[0] != stamp:
                rows = readable_rows(run.samples_path(arm, seed), "sample")
                self._rows[key] = (stamp, cast(list[SampleRow], rows))
            self._rows.move_to_end(key)
            while len(self._rows) > MAX_TABLES:
                self._rows.popitem(last=False)
            return self._rows[key][1]

    def changes(self, run: api.Run, rate: float | None) -> list[ArmChanges]:
        """The questions that each arm changed at a learning rate, compared again only when answers or results changed."""
        stamps = run.stamp()
        key, stamp = (run.id, rate), f"{stamps['predictions']} {stamps['result']}"
        with self._lock:
            cached = self._changes.get(key)
        if cached is None or cached[0] != stamp:
            cached = stamp, run.changes(rate=rate)
        with self._lock:
            self._changes[key] = cached
            self._changes.move_to_end(key)
            while len(self._changes) > MAX_RUNS:
                self._changes.popitem(last=False)
        return cached[1]


def _changed(path: Path) -> int:
    """When a file was changed; 0 without it."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
