"""The queue of a runs folder: a queued worker waits until no run that was queued earlier is live."""

from __future__ import annotations

import time
from typing import Any

from patchrl.errors import StopRequested
from patchrl.jobs.status import LIVE_STATES, resolve_status
from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder

POLL_SECONDS = 0.5


def runs_ahead(folder: RunFolder) -> list[str]:
    """Ids of the live runs of the same folder that were queued earlier, the oldest first."""
    own_position = _queue_position(folder, folder.read_status() or {})
    earlier = []
    for path in folder.path.parent.iterdir():
        other = RunFolder(path)
        if other.id == folder.id or not other.status.is_file():
            continue
        status = other.read_status()
        if status is None:  # damaged: its worker is gone
            continue
        position = _queue_position(other, status)
        if (
            status.get("state") in LIVE_STATES
            and position < own_position
            and resolve_status(other)["state"] in LIVE_STATES
        ):
            earlier.append(position)
    return [run_id for _, run_id in sorted(earlier)]


def wait_for_turn(folder: RunFolder, recorder: RunRecorder) -> None:
    """Return when it is this run's turn; raises StopRequested when it is stopped before."""
    while before := runs_ahead(folder):
        recorder.queued(before)
        if recorder.stop_requested():
            raise StopRequested("Stopped before it began; resume starts it.")
        time.sleep(POLL_SECONDS)
    recorder.begin()


def _queue_position(folder: RunFolder, status: dict[str, Any]) -> tuple[float, str]:
    return status.get("queued_at") or status.get("started") or 0.0, folder.id
