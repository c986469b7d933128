"""Start and end the worker of a run. It outlives whoever started it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, BinaryIO

import psutil

from patchrl.errors import RunError
from patchrl.jobs.environment import NO_HUB, environment, login_token, server_token
from patchrl.jobs.owners import owner_of
from patchrl.jobs.status import LAUNCH_MARK, LIVE_STATES, children, resolve_status, worker_of
from patchrl.pipeline.launcher import launched_processes
from patchrl.runs.folder import RunFolder, exclusive

GRACE_SECONDS = 3.0


def launch(folder: RunFolder, upto: str = "report", queue: bool = False, webhook: str = "") -> None:
    """Start a worker in its own session; raises RunError if the run has one already or none can start.

    In a process of `accelerate launch` the run goes on in this very process, and is over on return (`patchrl.jobs.together`).

    With `queue` the worker waits until no run of the same folder that was launched earlier is going on. With a `webhook` it
    posts there when the run ends or a monitor warns; a visitor's never does.
    """
    try:
        with exclusive(folder.path):
            _announce(folder, upto)
            if launched_processes() == 1:
                _start_worker(folder, upto, queue, webhook)
    except OSError as error:
        raise RunError(f"{folder.id} cannot start: {error.strerror or error}.") from None
    if launched_processes() > 1:
        from patchrl.jobs.together import lead

        lead(folder, upto, queue, webhook)


def _announce(folder: RunFolder, upto: str) -> None:
    """Write that the run is queued, where it can be."""
    if not folder.config.exists():
        raise RunError(f"{folder.id} was deleted.")
    if resolve_status(folder)["state"] in LIVE_STATES:
        raise RunError(
            f"{folder.id} is already running; stop it first, or follow it with `patchrl tail -f {folder.id}`."
        )
    folder.stop_flag.unlink(missing_ok=True)
    now = time.time()
    queued: dict[str, Any] = {
        "state": "queued",
        "pid": None,
        "pid_started": None,
        "launched_by": os.getpid(),
        "stage": None,
        "seed": None,
        "arm": None,
    }
    previous = folder.read_status() or {}
    earlier_seconds = previous.get("seconds_before", 0.0)
    if previous.get("started"):
        ended = previous.get("finished") or previous.get("updated") or 0.0
        earlier_seconds += max(0.0, ended - previous["started"])  # the clock may have been set back
    queued |= {"done": 0, "total": 0, "phase": "", "eta_seconds": None, "started": now, "updated": now}
    queued |= {"queued_at": now, "upto": upto}
    queued |= {
        "seconds_before": earlier_seconds,
        "first_started": previous.get("first_started") or previous.get("started") or now,
    }
    queued |= {"finished": None, "exit_code": None, "error": None}
    # Written before the worker starts: from then on only the worker writes it.
    folder.write_json(folder.status, queued)


def _start_worker(folder: RunFolder, upto: str, queue: bool, webhook: str) -> None:
    command = [sys.executable, "-m", "patchrl.jobs.worker", str(folder.path.resolve()), "--upto", upto]
    command += ["--queue"] if queue else []
    is_visitors = owner_of(folder) is not None
    secrets = {} if is_visitors else {"hub_token": login_token(), "webhook": webhook}
    command += ["--secrets"] if any(secrets.values()) else []
    with marked_log(folder) as log:
        children[folder.id] = child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            env=environment() | (NO_HUB if is_visitors else server_token()),
            start_new_session=True,
        )
    # By a pipe: what stands in the command or the environment of a process can be read by others.
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError), child.stdin as pipe:  # a worker that has died says why in its log
        pipe.write(json.dumps(secrets).encode())


def marked_log(folder: RunFolder) -> BinaryIO:
    """The log, open at its end, where a new worker's part begins."""
    log = folder.log.open("ab", buffering=0)
    log.write(f"{LAUNCH_MARK}{time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
    return log


def request_stop(folder: RunFolder) -> None:
    """Ask the worker to stop after its current step."""
    if resolve_status(folder)["state"] not in LIVE_STATES:
        raise RunError(f"{folder.id} is not running.")
    try:
        folder.stop_flag.touch()
    except OSError as error:
        raise RunError(f"{folder.id} cannot be stopped: {error.strerror or error}; cancel it.") from None


def cancel(folder: RunFolder, grace: float = GRACE_SECONDS) -> None:
    """End the worker and its children: SIGTERM, and SIGKILL after `grace` seconds."""
    process = worker_of(folder, folder.read_status() or {})
    if process is None and folder.id in children and children[folder.id].poll() is None:
        process = psutil.Process(children[folder.id].pid)  # started a moment ago, no status of its own yet
    if process is None:
        raise RunError(f"{folder.id} is not running.")
    family = family_of(process)
    for last_signal in (signal.SIGTERM, signal.SIGKILL):
        for member in family:
            try:
                member.send_signal(last_signal)
            except psutil.NoSuchProcess:
                continue
        _, family = psutil.wait_procs(family, timeout=grace)
        if not family:
            break
    if folder.id in children:
        children[folder.id].poll()
    status = folder.read_status() or {}
    if status.get("state") in LIVE_STATES:  # else it ended by itself first and has written its own last status
        last = {"state": "cancelled", "finished": time.time(), "exit_code": -last_signal, "error": None}
        with contextlib.suppress(OSError):  # on a full disk it shows as a run whose worker died
            folder.write_json(folder.status, status | last)


def family_of(process: psutil.Process) -> list[psutil.Process]:
    """A worker, its descendants, and what they left behind in its process group."""
    family = {process.pid: process}
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        family |= {child.pid: child for child in process.children(recursive=True)}
        if os.getpgid(process.pid) == process.pid:  # it leads a group of its own, which is not ours
            for other in psutil.process_iter():
                with contextlib.suppress(psutil.Error, OSError):
                    if os.getpgid(other.pid) == process.pid:
                        family.setdefault(other.pid, other)
    return list(family.values())
