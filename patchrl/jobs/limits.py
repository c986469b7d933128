"""Limits of the machine for a visitor's run, which its worker puts on itself: wall clock, memory, disk."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from pathlib import Path

from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder

GIB = 1024**3
FAILED = 1


class RunLimits:
    """How much one run may use of the machine. The kernel holds memory, file size and CPU time; a thread the rest."""

    def __init__(
        self, minutes: float = 60.0, memory: int = 8 * GIB, disk: int = 2 * GIB, watch_seconds: float = 2.0
    ) -> None:
        """Args:
        minutes: wall clock of the run, all of its launches together, without the time it waits in the queue.
        memory: bytes of private memory (RLIMIT_DATA), for each process.
        disk: bytes of the run's folder.
        watch_seconds: time between two looks at clock and folder.
        """
        self.minutes, self.memory, self.disk, self.watch_seconds = minutes, memory, disk, watch_seconds

    def apply(self, folder: RunFolder, recorder: RunRecorder) -> None:
        """Put the limits on this process and on those that it starts; ends it, with a sentence, when one is reached."""
        left = 60 * self.minutes - recorder.status.get("seconds_before", 0.0)
        _lower(resource.RLIMIT_DATA, self.memory)
        _lower(resource.RLIMIT_FSIZE, self.disk)
        _lower(resource.RLIMIT_CORE, 0)
        # Should the watching thread starve: no more CPU seconds than all cores have in that time.
        _lower(resource.RLIMIT_CPU, max(1, int((max(left, 0) + 60) * (os.cpu_count() or 1))))
        deadline = time.monotonic() + left
        threading.Thread(target=self._watch, args=(folder, recorder, deadline), daemon=True).start()

    def _watch(self, folder: RunFolder, recorder: RunRecorder, deadline: float) -> None:
        while not (problem := self._problem(folder.path, deadline)):
            time.sleep(self.watch_seconds)
        recorder.finish("failed", FAILED, problem)
        if os.getpgrp() == os.getpid():  # the worker leads its own group: what it started ends with it
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(FAILED)

    def _problem(self, path: Path, deadline: float) -> str:
        """Which limit is reached, in one sentence; empty while none is."""
        if time.monotonic() > deadline:
            return f"It took more than the {self.minutes:g} minutes that a run may take on this public page; start a smaller one."
        used = folder_bytes(path)
        if used > self.disk:
            return f"It wrote {used / GIB:.1f} GiB, and a run may write {self.disk / GIB:.1f} GiB on this public page."
        return ""


def folder_bytes(path: Path) -> int:
    """Bytes of all files in a folder; files that vanish meanwhile count nothing."""
    total = 0
    for file in path.rglob("*"):
        try:
            total += file.lstat().st_size
        except FileNotFoundError:
            continue
    return total


def _lower(kind: int, value: int) -> None:
    """Set a limit, unless a lower one holds already."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
