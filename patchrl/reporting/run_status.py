"""The state of a run in one line, for the terminal and the page. Pure."""

from __future__ import annotations

import time
from typing import Any

from patchrl.text import about_minutes, counted, duration

Status = dict[str, Any]


def describe_status(status: Status) -> str:
    """State, stage, progress and the time left."""
    if status["state"] in ("running", "stopping"):
        remaining = time_left(status)
        return f"{status['state']}: {_progress(status)}" + (f"; {remaining}" if remaining else "")
    if status["state"] == "queued":
        if number := status.get("queue_number"):
            return f"number {number} in the queue; it starts by itself"
        runs_ahead = status.get("queued_behind") or ()
        return f"queued behind {', '.join(runs_ahead)}; it starts by itself" if runs_ahead else "queued: starting"
    if status.get("error"):
        return f"{status['state']}: {status['error']}"
    if not status.get("started"):
        return status["state"]
    seconds = (status.get("finished") or time.time()) - status["started"]
    # A resumed run counts the seconds of its earlier processes too.
    return f"{status['state']} after {duration(seconds + status.get('seconds_before', 0.0))}"


def _progress(status: Status) -> str:
    arm = status.get("arm") if status.get("stage") not in ("train", "scan") else None
    seed = f"seed {status['seed']}" if status.get("seed") is not None else None
    line = " · ".join(part for part in (status.get("stage"), arm, seed) if part)
    return f"{line}: {phase_progress(status)}" if line else "starting"


def phase_progress(status: Status) -> str:
    """What the stage does at present, how far that is, and the time left of it once its first batch is measured."""
    done, total = status.get("done", 0), status.get("total", 0)
    name = status.get("phase") or ""
    if not total and not name:
        return "loading the model"
    if total and done >= total:
        return f"{name or counted(total, 'item')} done, finishing"
    amount = f"{done} of {total}" if total else ""
    eta = status.get("eta_seconds")
    left = "measuring how long it takes" if eta is None else f"{duration(max(eta, 1.0))} left of this"
    return ", ".join(part for part in (name, amount, left) if part)


def time_left(status: Status) -> str:
    """The time left until the last stage that was requested; empty before it can be estimated."""
    seconds, upto = status.get("study_eta_seconds"), status.get("upto", "report")
    if seconds is None:
        return ""
    what = "the study" if upto == "report" else f"the study up to its {upto} stage"
    return f"{about_minutes(seconds / 60)} left of {what}"
