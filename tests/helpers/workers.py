"""Runs with real worker processes: made, watched, waited for."""

import time
from collections.abc import Callable
from pathlib import Path

from patchrl.config import resolve
from patchrl.jobs.status import resolve_status
from patchrl.runs.folder import RunFolder


def until(fact: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def state(folder: RunFolder) -> str:
    return resolve_status(folder)["state"]


def make(runs_dir: Path, dataset: Path) -> RunFolder:
    values = {"study": {"name": "life"}, "data": {"dataset": str(dataset)}, "evaluate": {"general": []}}
    return RunFolder.create(runs_dir, resolve(values))
