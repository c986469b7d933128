"""The process of one run: `python -m patchrl.jobs.worker RUN_DIR [--upto STAGE]`. Output goes to the run's log."""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import logging
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from patchrl.config import load_config
from patchrl.errors import PatchRLError, StopRequested
from patchrl.jobs import public
from patchrl.jobs.limits import RunLimits
from patchrl.jobs.owners import owner_of
from patchrl.jobs.queue import wait_for_turn
from patchrl.jobs.webhook import PostingRecorder
from patchrl.models.hub_access import hand_over
from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder

if TYPE_CHECKING:
    from patchrl.training.ranks import Ranks

STOPPED, FAILED, ALREADY_RUNNING = 0, 1, 3


def main(arguments: list[str] | None = None) -> int:
    """Carry a run to a stage; status.json records how it ended."""
    parser = argparse.ArgumentParser(prog="patchrl.jobs.worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--upto", default="report")
    parser.add_argument("--queue", action="store_true", help="wait until no earlier run of the folder is going on")
    parser.add_argument(
        "--secrets", action="store_true", help="read hub_token and webhook from standard input, as JSON"
    )
    options = parser.parse_args(arguments)
    secrets = json.load(sys.stdin) if options.secrets else {}
    hand_over(secrets.get("hub_token", ""))
    folder = RunFolder(options.folder)
    start_logging()
    return locked_work(folder, options.upto, options.queue, secrets.get("webhook", ""))


def start_logging() -> None:
    """Write what the package logs to standard output."""
    logging.getLogger("patchrl").setLevel(logging.INFO)
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")


def locked_work(folder: RunFolder, upto: str, queue: bool, webhook: str, ranks: Ranks | None = None) -> int:
    """`work`, unless another process is at it."""
    with folder.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder.id} already has a worker.", file=sys.stderr)
            return ALREADY_RUNNING
        return work(folder, upto, queue, webhook, ranks)


def work(folder: RunFolder, upto: str, queue: bool = False, webhook: str = "", ranks: Ranks | None = None) -> int:
    """Run the study, after those in front of it where it queues, and write its last word; the lock is held.

    A visitor's run keeps to the limits of a public page, whoever launched it. `ranks` are as in `run_study`.
    """
    recorder = PostingRecorder(folder, webhook) if webhook else RunRecorder(folder)
    try:
        if queue:
            wait_for_turn(folder, recorder)
        config = load_config(folder.config)
        if (owner := owner_of(folder)) is not None:
            RunLimits().apply(folder, recorder)
            public.check(config, public.uploads_folder(folder.path.parent.resolve(), owner))
        from patchrl.pipeline.study import run_study

        run_study(config, folder, recorder, upto, ranks)
    except StopRequested as stopped:
        print(stopped)
        recorder.finish("stopped", STOPPED)
        return STOPPED
    except PatchRLError as error:
        traceback.print_exc()
        recorder.finish("failed", FAILED, str(error))
        return FAILED
    # The one boundary where any failure becomes a sentence; its traceback is in the log.
    except Exception as error:
        traceback.print_exc()
        recorder.finish("failed", FAILED, sentence(error))
        return FAILED
    recorder.finish("done", 0)
    return 0


def sentence(error: Exception) -> str:
    """An unforeseen failure for people: its type, the first line of its message, and a hint."""
    first = next(iter(str(error).strip().splitlines()), "no message")
    return f"{type(error).__name__}: {first.rstrip('.')}. {hint(error)}"


def hint(error: Exception) -> str:
    """What to do about a failure, judged by its type and message."""
    lowered = str(error).lower()
    if "no space left" in lowered or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        return "The disk is full: free some space, then Resume."
    if (
        isinstance(error, MemoryError)
        or "out of memory" in lowered
        or "can't allocate memory" in lowered
        or "bad_alloc" in lowered
    ):
        return "Memory ran out: lower rewriter.prompts_per_step, finetune.batch_size or the length limits."
    return "The log has the details."


if __name__ == "__main__":
    sys.exit(main())
