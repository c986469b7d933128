"""A run in the processes that `accelerate launch` started: the first does it, the others train the rewriter with it."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from patchrl.config import load_config
from patchrl.errors import StopRequested
from patchrl.jobs.environment import environment, login_token, server_token
from patchrl.jobs.launch import marked_log
from patchrl.jobs.worker import locked_work, start_logging
from patchrl.models.hub_access import hand_over
from patchrl.pipeline.launcher import launched_processes
from patchrl.runs.folder import RunFolder

if TYPE_CHECKING:
    from patchrl.training.ranks import Ranks

LAST_MESSAGE_TIMEOUT = timedelta(seconds=20)  # for the first process to say that it failed, after this one did


def is_follower() -> bool:
    """Whether this process is one of several and not the first, which does the run."""
    return launched_processes() > 1 and os.environ["RANK"] != "0"


def lead(folder: RunFolder, upto: str, queue: bool, webhook: str) -> None:
    """Carry a run to a stage; its status says how it ended. Its output goes to the run's log.

    Ctrl-C, which the launcher passes on, asks for a stop as `patchrl stop` does.
    """
    print(f"run {folder.id}\nfollow it with: patchrl tail -f {folder.id}", flush=True)
    ranks = _enter()
    signal.signal(signal.SIGINT, lambda *_: folder.stop_flag.touch())
    with marked_log(folder) as log, _output_to(log.fileno()):
        start_logging()
        try:
            ranks.send({"folder": str(folder.path.resolve())})
            locked_work(folder, upto, queue, webhook, ranks)
        finally:
            ranks.send(None)


def follow() -> int:
    """Train with the first process until it is done; returns the exit status."""
    ranks = _enter()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides when to stop
    if (message := ranks.receive()) is None:
        return 0
    folder = RunFolder(message["folder"])
    with folder.log.open("ab", buffering=0) as log, _output_to(log.fileno()):
        from patchrl.pipeline.study import follow_study

        try:
            follow_study(load_config(folder.config), folder, _Flag(folder), ranks)
        except StopRequested:
            return 0
        # Whatever happened, the first process may have ended the training: then it is the one to report.
        except Exception:
            if _was_ended(ranks):
                return 0
            traceback.print_exc()
            return 1
    return 0


class _Flag:
    """A recorder that only knows whether a run is to stop."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def event(self, kind: str, **fields: Any) -> None: ...

    def progress(self, done: int, total: int) -> None: ...

    def stop_requested(self) -> bool:
        return self.folder.stop_flag.exists()


def _enter() -> Ranks:
    """Meet the other processes, and keep no secret in the environment, as in any worker."""
    kept, token = environment() | server_token(), login_token()
    os.environ.clear()
    os.environ.update(kept)
    hand_over(token)
    from patchrl.training.ranks import Ranks

    return Ranks.launched()


def _was_ended(ranks: Ranks) -> bool:
    try:
        return ranks.receive(LAST_MESSAGE_TIMEOUT) is None
    except RuntimeError:  # no message, or nobody to send one
        return False


@contextlib.contextmanager
def _output_to(file: int) -> Iterator[None]:
    """Inside, standard output and standard error of this process go to a file."""
    sys.stdout.flush()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    before = [os.dup(number) for number in (1, 2)]
    for number in (1, 2):
        os.dup2(file, number)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in zip((1, 2), before, strict=True):
            os.dup2(old, number)
            os.close(old)
