"""math-verify in a process of its own, which is killed when it passes a deadline."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from pathlib import Path

import psutil

WORKER = Path(__file__).with_name("math_worker.py")
START_TIMEOUT = 60.0  # seconds; importing sympy on a busy machine
POLL_INTERVAL = 0.1  # seconds
MAX_WALL_RATIO = 15  # wall-clock deadline over the one in processor time


class MathProcess:
    """Compares expressions with math-verify. The process starts with the first question and stays until `close`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End the process, if one was started."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def compare(self, reference: str, candidate: str, timeout: float) -> bool | str:
        """Whether two expressions are equal, or why that cannot be decided.

        Args:
            reference, candidate: LaTeX without dollar signs, or plain mathematics.
            timeout: seconds of processor time.
        """
        process = self._process or self._start()
        if process is None:
            return "verifier did not start"
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps([reference, candidate]) + "\n")
            process.stdin.flush()
            in_time = _answers_in_time(process, timeout)
            line = _next_line(process) if in_time else ""
        except OSError:
            in_time, line = True, ""
        if not line:
            self.close()
            return "verifier crashed" if in_time else "verifier ran out of time"
        answer = json.loads(line)
        if answer is None:
            return False
        return f"verifier failed: {answer}" if isinstance(answer, str) else answer

    def _start(self) -> subprocess.Popen[str] | None:
        """A process that is ready for questions, None when it does not start."""
        # Not by multiprocessing: that would run a caller's unguarded script once more. -P keeps this
        # package's folder off the worker's path.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        if not (_has_output(self._process, START_TIMEOUT) and _next_line(self._process)):
            self.close()
        return self._process


def _has_output(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether the process has written something, or has ended, within so many seconds."""
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], seconds)[0])


def _next_line(process: subprocess.Popen[str]) -> str:
    """The process's next line, empty when it has ended."""
    assert process.stdout is not None
    return process.stdout.readline()


def _answers_in_time(process: subprocess.Popen[str], timeout: float) -> bool:
    """Whether the process answers in time.

    The deadline is processor time, so that a busy machine does not turn answers unscorable.
    """
    deadline = time.monotonic() + MAX_WALL_RATIO * timeout
    try:
        worker = psutil.Process(process.pid)
        started = sum(worker.cpu_times()[:2])
        while not _has_output(process, min(POLL_INTERVAL, timeout)):
            spent = sum(worker.cpu_times()[:2]) - started
            if spent >= timeout or time.monotonic() >= deadline:
                return False
    except psutil.NoSuchProcess:  # it died; reading its answer says so
        return True
    return True
