"""Start and end the worker of a run. It outlives whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

import patchrl
from patchrl.errors import RunError
from patchrl.jobs.liveness import LIVE, resolve_status, worker_of
from patchrl.runs.folder import RunFolder

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HF_TOKEN_PATH")
GRACE_SECONDS = 3.0

# Our own children, kept so that they can be reaped and their exit codes read.
children: dict[str, subprocess.Popen[bytes]] = {}


def environment() -> dict[str, str]:
    """The worker's environment: no tokens, no telemetry, this very package."""
    env = {key: value for key, value in os.environ.items() if key not in TOKENS}
    source = str(Path(patchrl.__file__).parents[1])
    env["PYTHONPATH"] = os.pathsep.join([source, *filter(None, [env.get("PYTHONPATH")])])
    return env | {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


def launch(folder: RunFolder, upto: str = "report") -> None:
    """Start a worker in its own session; raises RunError if the run has one already."""
    if resolve_status(folder)["state"] in LIVE:
        raise RunError(
            f"{folder.id} is already running; stop it first, or follow it with `patchrl tail -f {folder.id}`."
        )
    folder.stop_flag.unlink(missing_ok=True)
    now = time.time()
    queued: dict[str, Any] = {
        "state": "queued",
        "pid": None,
        "pid_started": None,
        "stage": None,
        "seed": None,
        "arm": None,
    }
    queued |= {"done": 0, "total": 0, "note": "", "eta_seconds": None, "started": now, "updated": now}
    queued |= {"finished": None, "exit_code": None, "error": None}
    # Written before the worker starts: from then on the worker alone writes it.
    folder.write_json(folder.status, queued)
    command = [sys.executable, "-m", "patchrl.jobs.worker", str(folder.path.resolve()), "--upto", upto]
    with folder.log.open("ab") as log:
        children[folder.id] = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            env=environment(),
            start_new_session=True,
        )


def request_stop(folder: RunFolder) -> None:
    """Ask the worker to stop after its current step."""
    if resolve_status(folder)["state"] not in LIVE:
        raise RunError(f"{folder.id} is not running.")
    folder.stop_flag.touch()


def cancel(folder: RunFolder, grace: float = GRACE_SECONDS) -> None:
    """End the worker and its children: SIGTERM, and SIGKILL after `grace` seconds."""
    status = folder.read_json(folder.status) or {}
    process = worker_of(status)
    if process is None and folder.id in children and children[folder.id].poll() is None:
        process = psutil.Process(children[folder.id].pid)  # started a moment ago, no status of its own yet
    if process is None:
        raise RunError(f"{folder.id} is not running.")
    family = [process, *process.children(recursive=True)]
    for send in (psutil.Process.terminate, psutil.Process.kill):
        for member in family:
            try:
                send(member)
            except psutil.NoSuchProcess:
                continue
        _, family = psutil.wait_procs(family, timeout=grace)
        if not family:
            break
    if folder.id in children:
        children[folder.id].poll()
    folder.write_json(
        folder.status,
        status | {"state": "cancelled", "finished": time.time(), "exit_code": -signal.SIGTERM, "error": None},
    )
