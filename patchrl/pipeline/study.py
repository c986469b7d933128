"""Runs a study: the steps of its plan that are not done yet, in order, each announced."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from patchrl.config import StudyConfig
from patchrl.data.examples import load_examples
from patchrl.errors import RunError, StopRequested
from patchrl.pipeline.estimate import sized, step_seconds
from patchrl.pipeline.items import StudyItems
from patchrl.pipeline.plan import STAGES, Step, plan
from patchrl.pipeline.stages import Stages
from patchrl.runs.folder import RunFolder
from patchrl.types import Recorder

if TYPE_CHECKING:
    from patchrl.training.ranks import Ranks

logger = logging.getLogger(__name__)


def run_study(
    config: StudyConfig, folder: RunFolder, recorder: Recorder, upto: str = "report", ranks: Ranks | None = None
) -> None:
    """Run a study up to and including a stage; steps whose results the folder already contains are skipped.

    `ranks` are the processes that train the rewriter together, of which this is the first; None where there is one.

    Raises RunError for an unknown stage, DataError and ConfigError for what cannot work, and StopRequested between steps
    or inside one.
    """
    if upto not in STAGES:
        raise RunError(f"Stage {upto!r} does not exist; use one of {', '.join(STAGES)}.")
    data = load_examples(config.data)
    items = StudyItems(config, data)
    stages = Stages(config, folder, recorder, data, items, ranks)
    stages_to_run = STAGES[: STAGES.index(upto) + 1]
    missing = [step for step in plan(config) if step.stage in stages_to_run and not step.is_done(folder)]
    _ = items.judged  # a file that cannot be read is reported before anything is trained
    if any(step.stage == "evaluate" for step in missing):
        _ = items.benchmarks  # and so is a benchmark that cannot be fetched or measured
    stages.start_serving(missing)
    actual = sized(config, len(data.train), len(data.eval))
    expected = [step_seconds(actual, step) for step in missing]
    for step in plan(config):
        if step.is_done(folder):
            stages.tidy(step)  # it may have died between its proof and its tidying
    for number, step in enumerate(missing):
        if recorder.stop_requested():
            raise StopRequested(f"Stopped before {step.stage}; resume continues there.")
        with _announced(recorder, step, expected[number], sum(expected[number + 1 :])):
            stages.work(step)


def follow_study(config: StudyConfig, folder: RunFolder, recorder: Recorder, ranks: Ranks) -> None:
    """Train with the first process of a study until it is done; raises what training raises."""
    data = load_examples(config.data)
    Stages(config, folder, recorder, data, StudyItems(config, data), ranks).follow()


@contextmanager
def _announced(recorder: Recorder, step: Step, expected: float, after: float) -> Iterator[None]:
    """Report that a step begins, the seconds expected of it and of all steps after it, and the seconds it took."""
    where = {"stage": step.stage, "seed": step.seed, "arm": step.subject}
    details = ", ".join(f"{name} {value}" for name, value in where.items() if name != "stage" and value is not None)
    logger.info("%s %s", step.stage, details)
    recorder.event("stage", state="start", **where, expected=round(expected, 2), after=round(after, 2))
    started = time.monotonic()
    yield
    recorder.event("stage", state="end", seconds=round(time.monotonic() - started, 2), **where)
