"""The recorder of a run: events go to their file, progress to status.json, a stop comes from the flag."""

from __future__ import annotations

import os
import time
from typing import Any

import psutil

from patchrl.runs.events import append_event, end_torn_line
from patchrl.runs.folder import RunFolder
from patchrl.runs.remaining_time import RemainingTime

STATUS_INTERVAL = 0.5  # status.json is written at most this often for mere progress
LAUNCH_FIELDS = (
    "queued_at",
    "upto",
    "seconds_before",
    "first_started",
)  # what was said of the run when it was launched


class RunRecorder:
    """Implements `patchrl.types.Recorder` over one run folder."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        now = time.time()
        previous = folder.read_status() or {}
        end_torn_line(folder.events)
        self.status: dict[str, Any] = {
            "state": "running",
            "pid": os.getpid(),
            "pid_started": psutil.Process().create_time(),
            "stage": None,
            "seed": None,
            "arm": None,
            "done": 0,
            "total": 0,
            "phase": "",
            "eta_seconds": None,
            "study_eta_seconds": None,
            "queued_behind": [],
            "started": now,
            "updated": now,
            "finished": None,
            "exit_code": None,
            "error": None,
        } | {key: previous[key] for key in LAUNCH_FIELDS if key in previous}
        self._remaining = RemainingTime()
        # What is measured is measured by the clock that nobody sets.
        self._began = self._phase_started = time.monotonic()
        self._prepares, self._had = False, 0
        self._written = 0.0
        self._write()

    def queued(self, queued_behind: list[str]) -> None:
        """It waits for these runs; reported when they change."""
        if self.status["queued_behind"] != queued_behind or self.status["state"] != "queued":
            self.status |= {"state": "queued", "queued_behind": queued_behind, "started": None}
            self._write()

    def begin(self) -> None:
        """Its work begins; until now it may have waited."""
        self._began = time.monotonic()
        self.status |= {"state": "running", "queued_behind": [], "started": time.time()}
        self._write()

    def event(self, kind: str, **fields: Any) -> None:
        append_event(self.folder.events, kind, fields)
        if kind == "stage" and fields["state"] == "end":
            self._remaining.end(fields["seconds"])
        if kind == "stage" and fields["state"] == "start":
            self.status |= {key: fields[key] for key in ("stage", "seed", "arm")}
            self._remaining.begin(fields.get("expected", 0.0), fields.get("after", 0.0))
            self._begin_phase("", prepares=False)
        if kind == "phase":
            self._begin_phase(fields["name"], fields.get("prepares", False))

    def _begin_phase(self, name: str, prepares: bool) -> None:
        """Its progress and its speed are its own; nothing is known of them before its first batch is done."""
        self.status |= {"phase": name, "done": 0, "total": 0, "eta_seconds": None}
        self._phase_started, self._prepares, self._had = time.monotonic(), prepares, 0
        self.status["study_eta_seconds"] = self._remaining.left(0.0, 0.0)
        self._write()

    def progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.status["total"] != total:
            # What a resumed training already had must not count as speed; elsewhere a high first number is a large batch.
            resumed = self.status["stage"] == "train" and not self._prepares
            self._had = max(done - 1, 0) if resumed else 0
            self._remaining.resumed(self._had / total if total else 0.0)
        steps = done - self._had
        # Whatever is done after the last one is not counted, so that nothing can be said of its end.
        eta = (now - self._phase_started) / steps * (total - done) if steps > 0 and done < total else None
        share = 0.0 if self._prepares else (done - self._had) / (total - self._had) if self._had < total else 1.0
        self.status |= {"done": done, "total": total, "eta_seconds": eta}
        left = self._remaining.left(now - self._phase_started, share)
        # The study takes at least as long as its current stage.
        self.status["study_eta_seconds"] = None if left is None else max(left, eta or 0.0)
        if now - self._written >= STATUS_INTERVAL or done >= total:
            self._write()

    def stop_requested(self) -> bool:
        return self.folder.stop_flag.exists()

    def finish(self, state: str, exit_code: int, error: str | None = None) -> None:
        """The last word on the run: done, stopped or failed."""
        started = self.status["started"]
        finished = started + time.monotonic() - self._began if started else time.time()
        self.status |= {"state": state, "exit_code": exit_code, "error": error, "finished": finished}
        self.status |= {"eta_seconds": None, "study_eta_seconds": None}  # nothing is left to wait for
        self._write()

    def _write(self) -> None:
        self._written, self.status["updated"] = time.monotonic(), time.time()
        self.folder.write_json(self.folder.status, self.status)
