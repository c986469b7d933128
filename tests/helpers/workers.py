"""Runs with real worker processes: made, watched, waited for; and `worker_here`, where the process is not what is tested."""

import time
from collections.abc import Callable
from pathlib import Path

from patchrl.config import resolve
from patchrl.jobs import worker
from patchrl.jobs.status import resolve_status
from patchrl.runs.folder import RunFolder


def until(fact: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def worker_here(folder: RunFolder, upto: str, queue: bool, webhook: str) -> None:
    """In place of `launch._start_worker`: carry a run to its stage in this process, which has imported torch already."""
    worker.locked_work(folder, upto, queue, webhook)


def state(folder: RunFolder) -> str:
    return resolve_status(folder)["state"]


def make(runs_dir: Path, dataset: Path) -> RunFolder:
    values = {"study": {"name": "life"}, "data": {"dataset": str(dataset)}, "evaluate": {"general": []}}
    return RunFolder.create(runs_dir, resolve(values))
