"""Runs of one folder in a line: a worker that was asked to waits until no earlier run is going on."""

from __future__ import annotations

import time
from typing import Any

from patchrl.errors import StopRequested
from patchrl.jobs.status import LIVE, resolve_status
from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder

WAIT_SECONDS = 0.5


def ahead(folder: RunFolder) -> list[str]:
    """Ids of the runs beside this one that were asked for earlier and are not over yet, the oldest first."""
    own = _place(folder, folder.read_json(folder.status) or {})
    found = []
    for path in folder.path.parent.iterdir():
        other = RunFolder(path)
        if other.id == folder.id or not other.status.is_file():
            continue
        status = other.read_json(other.status)
        if not isinstance(status, dict):  # damaged: it is going nowhere
            continue
        place = _place(other, status)
        if status.get("state") in LIVE and place < own and resolve_status(other)["state"] in LIVE:
            found.append(place)
    return [run_id for _, run_id in sorted(found)]


def wait_in_line(folder: RunFolder, recorder: RunRecorder) -> None:
    """Return when it is this run's turn; raises StopRequested when it is stopped before."""
    while before := ahead(folder):
        recorder.queued(before)
        if recorder.stop_requested():
            raise StopRequested("Stopped before it began; resume starts it.")
        time.sleep(WAIT_SECONDS)
    recorder.begin()


def _place(folder: RunFolder, status: dict[str, Any]) -> tuple[float, str]:
    return status.get("asked") or status.get("started") or 0.0, folder.id
