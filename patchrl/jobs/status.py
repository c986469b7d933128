"""What a run's status really is: a dead worker's last words may still say `running`."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import Any

import psutil

from patchrl.runs.folder import RunFolder

LIVE_STATES = ("queued", "running", "stopping")
WORKER_START_TIMEOUT = 60.0  # a worker that has not spoken after this long never will
SAME_PROCESS_SECONDS = 2.0
LAUNCH_MARK = "--- launched "  # begins the log of each of a run's workers
REAP_TIMEOUT = 2.0
FULL_DISK_BYTES = 1_000_000

# Our own children, kept so that they can be reaped and their exit codes read.
children: dict[str, subprocess.Popen[bytes]] = {}


def worker_of(folder: RunFolder, status: dict[str, Any]) -> psutil.Process | None:
    """The live process that a run's status speaks of.

    A recycled pid has another creation time and does not count. The system computes that time from the clock: once the clock
    was set, a worker is known by its command, which names the run's folder.
    """
    if not status.get("pid"):
        return None
    try:
        process = psutil.Process(status["pid"])
        same = abs(process.create_time() - status["pid_started"]) < SAME_PROCESS_SECONDS
        same = same or str(folder.path.resolve()) in process.cmdline()
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def resolve_status(folder: RunFolder) -> dict[str, Any]:
    """status.json, corrected by whether the worker lives; a run never started is `new`."""
    child = children.get(folder.id)
    ended = child is not None and child.poll() is not None  # polling reaps our own child
    status = folder.read_status()
    if status is None:
        fresh = {"stage": None, "seed": None, "arm": None, "done": 0, "total": 0}
        if folder.status.exists():
            return fresh | {"state": "failed", "error": f"Its {folder.status.name} is damaged. Resume writes it anew."}
        return fresh | {"state": "new", "error": None}
    if status["state"] not in LIVE_STATES:
        if ended:  # forgotten, so that it does not speak for a later worker that another process starts
            children.pop(folder.id, None)
        return status
    if status["state"] == "queued" and not status.get("pid"):
        if status.get("launched_by") != os.getpid():
            child = None  # of an earlier launch: another process started this one
        # Where the clock was set back, the launch lies in the future.
        alive = not ended if child else abs(time.time() - status["updated"]) < WORKER_START_TIMEOUT
    else:
        alive = worker_of(folder, status) is not None
    if alive:
        return status | ({"state": "stopping"} if folder.stop_flag.exists() else {})
    again = folder.read_status() or status  # it may have finished between the two looks
    if again["state"] not in LIVE_STATES:
        return again
    exit_code = _exit_code(child) if child and again["pid"] in (None, child.pid) else None
    return again | {"state": "failed", "exit_code": exit_code, "error": cause_of_death(folder, exit_code)}


def _exit_code(child: subprocess.Popen[bytes]) -> int | None:
    """The exit code of our own dead child. It shows as a zombie a moment before it can be reaped: its other
    threads are still being torn down."""
    try:
        return child.wait(REAP_TIMEOUT)
    except subprocess.TimeoutExpired:
        return None


def cause_of_death(folder: RunFolder, exit_code: int | None) -> str:
    """Why a worker that left no last word is gone: exit code, a hint, its last log lines."""
    last = log_tail(folder, 3)
    text = " ".join(last).lower()
    if is_disk_full(folder):
        last = []  # cut in the middle
    if "no space left" in text or is_disk_full(folder):
        advice = "The disk is full: free some space, then Resume."
    elif exit_code == -9:
        advice = "It was killed, most often because memory ran out: lower the batch sizes, then Resume."
    else:
        advice = "Resume continues from the last finished step."
    code = "unknown" if exit_code is None else str(exit_code)
    return f"The worker died (exit code {code}). {advice}" + (f" Last log lines: {' | '.join(last)}" if last else "")


def is_disk_full(folder: RunFolder) -> bool:
    """Whether the run's disk has no space for a status or a line of the log: then neither can say so."""
    try:
        return shutil.disk_usage(folder.path).free < FULL_DISK_BYTES
    except OSError:
        return False


def log_tail(folder: RunFolder, lines: int) -> list[str]:
    """The last lines that the newest worker logged, without progress bars."""
    try:
        with folder.log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 200 * (lines + 5)))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    _, launched, newest = text.rpartition(LAUNCH_MARK)
    messages = [line.rsplit("\r", 1)[-1].rstrip() for line in newest.splitlines()[1 if launched else 0 :]]
    return [line for line in messages if line.strip() and "%|" not in line][-lines:]
