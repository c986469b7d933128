"""Workers as real processes. One that must be slow reads its data from a FIFO nobody has written to yet."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from helpers.workers import make, state, until

from patchrl.errors import RunError
from patchrl.jobs import launch, worker
from patchrl.jobs.environment import environment
from patchrl.jobs.status import WORKER_START_TIMEOUT, children, resolve_status
from patchrl.runs.folder import RunFolder

SLEEP = [sys.executable, "-c", "import time; time.sleep(120)"]
DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
orphan = subprocess.run(["sh", "-c", "sleep 120 >/dev/null & echo $!"], stdout=subprocess.PIPE, text=True)
print(orphan.stdout, flush=True)
time.sleep(120)
"""


@pytest.fixture
def slow(runs_dir, tmp_path):
    """A run whose worker waits for its data; whatever is left of it is ended after the test."""
    fifo = tmp_path / "rows.jsonl"
    os.mkfifo(fifo)
    folder = make(runs_dir, fifo)
    yield folder
    child = children.pop(folder.id, None)
    if child is not None:
        if child.poll() is None:
            child.kill()
        child.wait()


@pytest.fixture
def helper():
    """Starts stand-ins for a worker that another process launched, and ends them after the test."""
    made: list[subprocess.Popen] = []

    def start(command: list[str], **options) -> subprocess.Popen:
        made.append(subprocess.Popen(command, **options))
        return made[-1]

    yield start
    for process in made:
        if process.poll() is None:
            process.kill()
        process.wait()


def pretend(folder: RunFolder, pid: int, started: float | None = None) -> None:
    """A status.json as a worker with this pid would have left it."""
    started = psutil.Process(pid).create_time() if started is None else started
    status = {"state": "running", "pid": pid, "pid_started": started, "stage": "scan", "updated": time.time()}
    folder.write_json(folder.status, status | {"exit_code": None, "error": None})


def running(folder: RunFolder) -> int:
    """Launch, and wait until the worker itself has spoken; returns its pid."""
    launch.launch(folder)
    until(lambda: folder.read_json(folder.status)["state"] == "running")
    return folder.read_json(folder.status)["pid"]


def feed(folder: RunFolder) -> None:
    rows = [
        {"question": f"What is {n} + 1?", "solution": f"{n} + 1 = {n + 1}", "answer": str(n + 1)} for n in range(40)
    ]
    dataset = Path(json.loads(folder.config.read_text())["data"]["dataset"])
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_failing_run_ends_with_the_sentence_and_keeps_the_traceback_in_its_log(runs_dir):
    folder = make(runs_dir, runs_dir / "missing.jsonl")
    launch.launch(folder)
    until(lambda: state(folder) == "failed")
    status = resolve_status(folder)
    assert "missing.jsonl: No such file" in status["error"] and "Traceback" not in status["error"]
    assert status["exit_code"] == 1 and status["finished"] is not None
    assert "Traceback" in folder.log.read_text()


def test_a_killed_worker_is_failed_within_a_second_and_can_be_launched_again(slow):
    pid = running(slow)
    assert state(slow) == "running"
    os.kill(pid, signal.SIGKILL)
    until(lambda: state(slow) == "failed", seconds=5)
    status = resolve_status(slow)
    assert status["exit_code"] == -9 and "memory ran out" in status["error"]
    assert not psutil.pid_exists(pid), "our own child was not reaped"
    assert running(slow) != pid
    assert state(slow) == "running"


def test_a_dead_worker_that_cannot_be_reaped_yet_still_gives_its_exit_code(slow, helper):
    process = helper(SLEEP)
    pretend(slow, process.pid)
    process.kill()
    process.wait()

    class StillTearingDown:
        pid = process.pid

        def poll(self):
            return None

        def wait(self, timeout):
            return -9

    children[slow.id] = StillTearingDown()
    try:
        status = resolve_status(slow)
    finally:
        del children[slow.id]
    assert status["state"] == "failed" and status["exit_code"] == -9 and "memory ran out" in status["error"]


def test_a_full_disk_is_named_when_the_log_says_so(slow, helper):
    process = helper(SLEEP)
    pretend(slow, process.pid)
    slow.log.write_text("starting\nOSError: [Errno 28] No space left on device\n")
    process.kill()
    process.wait()
    error = resolve_status(slow)["error"]
    assert "disk is full" in error and "Errno 28" in error


def test_an_unreaped_worker_of_another_process_counts_as_dead(slow, helper):
    process = helper(SLEEP)
    pretend(slow, process.pid)
    assert state(slow) == "running"
    process.kill()  # not waited for: it stays a zombie
    until(lambda: state(slow) == "failed", seconds=5)
    assert resolve_status(slow)["exit_code"] is None


def test_a_launch_that_never_spoke_is_failed_after_its_start_time(slow):
    queued = {"state": "queued", "pid": None, "pid_started": None, "updated": time.time()}
    slow.write_json(slow.status, queued)
    assert state(slow) == "queued"
    for jump in (-1, 1):  # time has passed, or the clock was set back since
        slow.write_json(slow.status, queued | {"updated": time.time() + jump * (WORKER_START_TIMEOUT + 1)})
        assert state(slow) == "failed"


def test_an_old_child_does_not_speak_for_a_worker_that_another_process_queued(slow, runs_dir):
    folder = make(runs_dir, runs_dir / "missing.jsonl")
    launch.launch(folder)
    children[folder.id].wait()
    folder.write_json(folder.status, {"state": "queued", "pid": None, "pid_started": None, "updated": time.time()})
    assert state(folder) == "queued"


def test_a_running_run_is_not_launched_again(slow):
    pid = running(slow)
    with pytest.raises(RunError, match="already running"):
        launch.launch(slow)
    assert slow.read_json(slow.status)["pid"] == pid


def test_many_launches_at_once_start_one_worker(slow):
    refused: list[RunError] = []
    gate = threading.Barrier(8)

    def press() -> None:
        gate.wait()
        try:
            launch.launch(slow)
        except RunError as error:
            refused.append(error)

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    until(lambda: slow.read_json(slow.status)["state"] == "running")
    alive = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    assert sum(str(slow.path) in p.cmdline() for p in alive) == 1


def test_a_second_worker_leaves_at_once_and_touches_nothing(slow):
    running(slow)
    before = slow.status.read_text()
    command = [sys.executable, "-m", "patchrl.jobs.worker", str(slow.path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == worker.ALREADY_RUNNING and "already has a worker" in done.stderr
    assert slow.status.read_text() == before


def test_the_stop_flag_shows_as_stopping_and_ends_as_stopped(slow):
    running(slow)
    launch.request_stop(slow)
    assert state(slow) == "stopping"
    feed(slow)
    until(lambda: state(slow) == "stopped")
    status = slow.read_json(slow.status)
    assert status["exit_code"] == 0 and status["error"] is None
    with pytest.raises(RunError, match="not running"):
        launch.request_stop(slow)


def test_a_launch_clears_an_old_stop_flag(slow):
    slow.stop_flag.touch()
    running(slow)
    assert not slow.stop_flag.exists() and state(slow) == "running"


def test_cancel_ends_the_worker_and_says_so(slow):
    pid = running(slow)
    launch.cancel(slow)
    assert not psutil.pid_exists(pid)
    status = resolve_status(slow)
    assert status["state"] == "cancelled" and status["exit_code"] == -signal.SIGTERM
    with pytest.raises(RunError, match="not running"):
        launch.cancel(slow)


def test_cancel_works_before_the_worker_has_spoken(slow):
    launch.launch(slow)
    pid = children[slow.id].pid
    launch.cancel(slow)
    assert not psutil.pid_exists(pid) and state(slow) == "cancelled"


def test_cancel_kills_a_worker_deaf_to_sigterm_and_the_orphans_of_its_group(slow, helper):
    process = helper([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True, start_new_session=True)
    orphan = psutil.Process(int(process.stdout.readline()))
    assert orphan.ppid() != process.pid
    pretend(slow, process.pid)
    launch.cancel(slow, grace=0.3)
    assert process.poll() is not None
    until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, seconds=5)
    assert resolve_status(slow)["exit_code"] == -signal.SIGKILL


def test_cancel_spares_the_group_of_a_worker_that_leads_none(slow, helper):
    bystander, process = helper(SLEEP), helper(SLEEP)  # both in the group of the tests
    pretend(slow, process.pid)
    launch.cancel(slow, grace=5)
    assert process.poll() is not None and bystander.poll() is None


def test_a_recycled_pid_is_neither_believed_nor_killed(slow, helper):
    stranger = helper(SLEEP)
    pretend(slow, stranger.pid, started=psutil.Process(stranger.pid).create_time() - 100)
    assert state(slow) == "failed"
    with pytest.raises(RunError, match="not running"):
        launch.cancel(slow)
    assert stranger.poll() is None


def test_a_worker_is_known_after_the_clock_was_set(slow, helper):
    """The time at which a process was created, as the system computes it, jumps with the clock."""
    process = helper([*SLEEP, str(slow.path)])
    pretend(slow, process.pid, started=psutil.Process(process.pid).create_time() - 3600)
    assert state(slow) == "running"
    with pytest.raises(RunError, match="already running"):
        launch.launch(slow)
    launch.cancel(slow, grace=5)
    assert process.poll() is not None and state(slow) == "cancelled"


def test_the_worker_has_its_own_session_no_tokens_and_no_telemetry(slow, monkeypatch, tmp_path):
    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "AWS_SECRET_ACCESS_KEY", "PATCHRL_ADMIN_TOKEN", "DATABASE_URL"):
        monkeypatch.setenv(name, "secret-value")
    monkeypatch.chdir(tmp_path)  # the package must be found from anywhere
    pid = running(slow)
    assert os.getsid(pid) == pid != os.getsid(0)
    env = psutil.Process(pid).environ()
    assert "secret-value" not in env.values()
    assert env["HF_HUB_DISABLE_TELEMETRY"] == env["DO_NOT_TRACK"] == env["PYTHONUNBUFFERED"] == "1"


def test_a_launch_that_cannot_write_says_why_in_a_sentence(slow):
    slow.log.mkdir()
    with pytest.raises(RunError, match="cannot start: Is a directory"):
        launch.launch(slow)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "Memory ran out"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nmore lines"), "Memory ran out"),
        (OSError(28, "No space left on device"), "disk is full"),
        (KeyError("x"), "The log has the details."),
    ],
)
def test_an_unforeseen_failure_becomes_one_line_with_a_hint(error, message):
    text = worker.sentence(error)
    assert text.startswith(type(error).__name__) and message in text and "\n" not in text
