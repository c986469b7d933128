"""Deletes runs. A run is deleted whole or not at all: its folder is renamed first, then removed."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from pathlib import Path

from patchrl.errors import RunError
from patchrl.jobs.status import LIVE_STATES, resolve_status
from patchrl.runs.folder import TRASH, RunFolder, exclusive


def delete(folder: RunFolder) -> None:
    """Delete a run with everything that it made.

    Raises RunError for a run that is going on, and where the folder cannot be changed; nothing is deleted then.
    """
    trash = folder.path.parent / TRASH
    try:
        with exclusive(folder.path):  # no worker is launched meanwhile
            if resolve_status(folder)["state"] in LIVE_STATES or _has_worker(folder):
                raise RunError(f"{folder.id} is going on; stop or cancel it first.")
            trash.mkdir(exist_ok=True)
            os.replace(folder.path, trash / f"{folder.id}-{secrets.token_hex(4)}")
    except OSError as error:
        raise RunError(f"{folder.id} cannot be deleted: {error.strerror or error}.") from None
    empty_trash(folder.path.parent)


def empty_trash(runs_dir: Path) -> None:
    """Remove what deletions have renamed, also those that were interrupted."""
    trash = runs_dir / TRASH
    for path in list(trash.iterdir()) if trash.is_dir() else ():
        shutil.rmtree(path, ignore_errors=True)


def _has_worker(folder: RunFolder) -> bool:
    """Whether a worker holds the run's lock; looked at only where its status cannot be read."""
    if folder.read_status() is not None or not folder.lock.is_file():
        return False
    with folder.lock.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
