"""Removes what visitors of a public page left behind: their runs, their data files, cached answers."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from patchrl.errors import RunError
from patchrl.jobs.deletion import delete
from patchrl.jobs.owners import owner_of
from patchrl.jobs.status import LIVE_STATES, resolve_status
from patchrl.runs.folder import EVALUATIONS, VISITOR_UPLOADS, RunFolder

LIFETIME_SECONDS = 7 * 24 * 3600.0  # after a run's last change
SWEEP_SECONDS = 600.0


def expired(runs_dir: Path, now: float) -> Iterator[Path]:
    """Folders of visitors' runs that ended long ago, and of data files and cached answers as old. The host's runs stay."""
    for path in runs_dir.iterdir() if runs_dir.is_dir() else ():
        folder = RunFolder(path)
        visitors = folder.config.is_file() and owner_of(folder) is not None
        if visitors and _age(path, now) > LIFETIME_SECONDS and resolve_status(folder)["state"] not in LIVE_STATES:
            yield path
    for kept in (VISITOR_UPLOADS, EVALUATIONS):
        for path in (runs_dir / kept).iterdir() if (runs_dir / kept).is_dir() else ():
            if _age(path, now) > LIFETIME_SECONDS:
                yield path


def sweep(runs_dir: Path, now: float | None = None) -> None:
    """Remove what has expired."""
    for path in list(expired(runs_dir, time.time() if now is None else now)):
        if path.parent != runs_dir:
            shutil.rmtree(path, ignore_errors=True)
            continue
        with contextlib.suppress(RunError):  # it was resumed just now
            delete(RunFolder(path))


def keep_sweeping(runs_dir: Path) -> None:
    """Sweep now and then for as long as this process lives."""

    def work() -> None:
        while True:
            sweep(runs_dir)
            time.sleep(SWEEP_SECONDS)

    threading.Thread(target=work, daemon=True).start()


def _age(path: Path, now: float) -> float:
    """Seconds since the last change of a folder or of anything in it."""
    times = [path.lstat().st_mtime, *(file.lstat().st_mtime for file in path.rglob("*"))]
    return now - max(times)
