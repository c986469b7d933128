"""Run studies of a small model side by side on one GPU: `python -m examples.real_model.run FOLDER --workers 8`.

FOLDER holds a run a study, each made by `make_runs`. The steps of all studies go to worker processes as soon as what they
need is there. Steps that are done are not repeated, so that it can be stopped and started again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from patchrl.config import load_config
from patchrl.config.arms import SOURCES, parse
from patchrl.pipeline.plan import BASE, REPLAY, Step, plan
from patchrl.runs.events import append_event
from patchrl.runs.folder import RunFolder

Job = tuple[Path, Step]
LAST = "z-"  # runs whose name begins so wait until the others need no worker


class StepRecorder:
    """Implements `patchrl.types.Recorder` for one of several processes that work on a run: events only."""

    def __init__(self, folder: RunFolder, deadline: float) -> None:
        self.folder, self.deadline = folder, deadline

    def event(self, kind: str, **fields: Any) -> None:
        append_event(self.folder.events, kind, fields)

    def progress(self, done: int, total: int, note: str = "") -> None:
        pass

    def stop_requested(self) -> bool:
        return time.time() > self.deadline


def needs(step: Step, steps: list[Step]) -> Iterator[Step]:
    """The steps whose results a step reads."""
    for other in steps:
        same_seed = other.seed == step.seed
        if step.stage == "rewrite" and step.subject != REPLAY and same_seed:
            source = SOURCES[str(step.subject)]
            if (other.stage, other.subject) in (("train", source.rewriter), ("rewrite", source.after)):
                yield other
        elif step.stage == "finetune" and other.subject == BASE:
            yield other
        elif step.stage == "finetune" and same_seed and other.stage == "rewrite":
            arm = parse(str(step.subject))
            if other.subject in (arm.data, REPLAY if arm.replay else arm.data):
                yield other
        elif step.stage == "evaluate" and other.stage == "finetune":
            if (other.subject, other.seed, other.rate) == (step.subject, step.seed, step.rate):
                yield other
        elif step.stage == "report" and other.stage != "report":
            yield other


def work(jobs: Any, results: Any, deadline: float) -> None:
    """A worker: does one step after the other until it gets None."""
    import torch

    from patchrl.data.examples import load_examples
    from patchrl.pipeline.items import StudyItems
    from patchrl.pipeline.stages import Stages

    stages: dict[Path, Stages] = {}
    while (job := jobs.get()) is not None:
        home, step = job
        started = time.time()
        try:
            if home not in stages:
                folder = RunFolder(home)
                config = load_config(folder.config)
                data = load_examples(config.data)
                recorder = StepRecorder(folder, deadline)
                stages[home] = Stages(config, folder, recorder, data, StudyItems(config, data))
            stages[home].work(step)
            error = ""
        except Exception:  # one step that fails must not end the others
            error = traceback.format_exc()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # for the other workers
        results.put((job, error, round(time.time() - started, 1)))


def run(folders: list[Path], workers: int, deadline: float) -> None:
    """Do all steps of the runs in these folders, at most so many at once, none begun after the deadline."""
    context = multiprocessing.get_context("spawn")
    jobs, results = context.Queue(), context.Queue()
    processes = [context.Process(target=work, args=(jobs, results, deadline), daemon=True) for _ in range(workers)]
    for process in processes:
        process.start()
    plans = {home: list(plan(load_config(RunFolder(home).config))) for home in folders}
    waiting: list[Job] = [
        (home, step) for home, steps in plans.items() for step in steps if not step.is_done(RunFolder(home))
    ]
    rates = {home: load_config(RunFolder(home).config).finetune.learning_rate for home in folders}
    waiting.sort(key=lambda job: (job[0].name.startswith(LAST), urgency(job[1], rates[job[0]])))
    done = {(home, step) for home, steps in plans.items() for step in steps} - set(waiting)
    failed: set[Job] = set()
    running = 0
    while waiting or running:
        for job in list(waiting):
            home, step = job
            before = {(home, other) for other in needs(step, plans[home])}
            if before & failed or time.time() > deadline:
                waiting.remove(job)
                failed.add(job)
            elif running < workers and before <= done:
                waiting.remove(job)
                jobs.put(job)
                running += 1
        if not running:
            continue
        job, error, seconds = results.get()
        running -= 1
        (failed if error else done).add(job)
        home, step = job
        print(
            f"{time.strftime('%H:%M:%S')} {home.name} {step.stage} {step.subject} {step.seed} {step.rate} {seconds} s"
        )
        if error:
            print(error, flush=True)
    for _ in processes:
        jobs.put(None)
    for process in processes:
        process.join(10)


def urgency(step: Step, rates: Sequence[float]) -> tuple[int, int, int]:
    """What others wait for comes first, then the rates in the order of the settings."""
    order = {"train": 0, "rewrite": 1, "evaluate": 2, "scan": 3, "finetune": 4, "report": 5}
    return order[step.stage], rates.index(step.rate) if step.rate in rates else 0, step.seed or 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1e9, help="no step begins after these")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    folders = sorted(path for path in options.folder.iterdir() if RunFolder(path).config.is_file())
    run(folders, options.workers, time.time() + options.seconds)


if __name__ == "__main__":
    main()
