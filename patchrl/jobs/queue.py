"""The queue of a runs folder: a queued worker waits until it is its turn, and visitors of a public page take turns."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from patchrl.errors import StopRequested
from patchrl.jobs.owners import owner_of
from patchrl.jobs.status import LIVE_STATES, resolve_status
from patchrl.runs.folder import RunFolder, exclusive
from patchrl.runs.recorder import RunRecorder

POLL_SECONDS, MAX_POLL_SECONDS = 0.5, 5.0
Place = tuple[float, float, str]  # the smaller, the earlier


def live_runs(runs_dir: Path) -> list[RunFolder]:
    """Folders of the runs that are going on or wait for their turn."""
    return [folder for folder, status in _statuses(runs_dir) if _is_live(folder, status)]


def runs_ahead(folder: RunFolder) -> list[str]:
    """Ids of the live runs of the same folder whose turn is earlier: what is going on, then what waits, the next one first.

    A run waits from when it was queued or, if that is later, from the end of its owner's last run: visitors take turns, and one
    who queues again comes after those who wait. Runs of the host, which have no owner, wait from when they were queued.
    """
    statuses = _statuses(folder.path.parent)
    live = {other.id: status for other, status in statuses if other.id == folder.id or _is_live(other, status)}
    owners = {other.id: owner_of(other) for other, _ in statuses}
    places = {run_id: _place(run_id, statuses, live, owners) for run_id in live}
    own = places.pop(folder.id, (math.inf, math.inf, folder.id))
    return [place[-1] for place in sorted(places.values()) if place < own]


def wait_for_turn(folder: RunFolder, recorder: RunRecorder) -> None:
    """Return when it is this run's turn; raises StopRequested when it is stopped before."""
    recorder.queued([])
    while True:
        with exclusive(folder.path.parent):  # no two runs may find at once that nobody is ahead
            ahead = runs_ahead(folder)
            if not ahead:
                return recorder.begin()
        recorder.queued(ahead)
        if recorder.stop_requested():
            raise StopRequested("Stopped before it began; resume starts it.")
        time.sleep(min(POLL_SECONDS * len(ahead), MAX_POLL_SECONDS))


def _statuses(runs_dir: Path) -> list[tuple[RunFolder, dict[str, Any]]]:
    """Every run of a folder with the status that its worker wrote; a damaged status means that its worker is gone."""
    folders = [RunFolder(path) for path in runs_dir.iterdir()] if runs_dir.is_dir() else []
    pairs = [(folder, folder.read_status()) for folder in folders if folder.status.is_file()]
    return [(folder, status) for folder, status in pairs if status is not None]


def _is_live(folder: RunFolder, status: dict[str, Any]) -> bool:
    return status["state"] in LIVE_STATES and resolve_status(folder)["state"] in LIVE_STATES


def _place(
    run_id: str, statuses: list[tuple[RunFolder, dict[str, Any]]], live: dict[str, Any], owners: dict[str, str | None]
) -> Place:
    """Where a live run stands: what runs comes first; of one owner's waiting runs all but the first come last."""
    status = live[run_id]
    queued_at = _queued_at(status)
    if status["state"] != "queued":
        return (-math.inf, queued_at, run_id)
    since, owner = queued_at, owners[run_id]
    for other, other_status in statuses:
        if owner is None or other.id == run_id or owners[other.id] != owner:
            continue
        if other.id in live:
            earlier = other_status["state"] != "queued" or (_queued_at(other_status), other.id) < (queued_at, run_id)
            since = math.inf if earlier else since
        elif other_status.get("started"):  # it had a turn
            since = max(since, other_status.get("finished") or other_status.get("updated") or 0.0)
    return (since, queued_at, run_id)


def _queued_at(status: dict[str, Any]) -> float:
    return status.get("queued_at") or status.get("started") or 0.0
