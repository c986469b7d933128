"""Hands the numbers of a run's events to a tracker. The command does it, not the worker, which has none of your keys."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

from patchrl import api
from patchrl.errors import RunError
from patchrl.pipeline.launcher import launched_processes
from patchrl.runs.events import CURVE_FIELDS

PROJECT = "patchrl"
REPORT_HELP = (
    "also hand the numbers of training and evaluation to a tracker, which must be installed; its login is your own"
)
NO_CURVES = ("group", "spread", "message")  # of one moment, for people
Log = Callable[[str, dict[str, float], int], None]  # of a curve: its name, numbers by name, and the step


def numbers_of(event: dict[str, Any]) -> tuple[str, dict[str, float], int] | None:
    """The curve, the numbers and the step of an event, or None where a curve has no such point. Results are of step 0."""
    if ("step" not in event and event["kind"] != "evaluation") or event["kind"] in NO_CURVES:
        return None
    names = {"seed": "seed-{}", "rate": "lr-{:g}"}
    where = [names.get(f, "{}").format(event[f]) for f in CURVE_FIELDS if event.get(f) is not None]
    values = {name: value for name, value in event.items() if name not in ("t", "kind", "step", *CURVE_FIELDS)}
    return "/".join([event["kind"], *where]), dict(_flat(values)), event.get("step", 0)


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            yield f"{prefix}{name}", float(value)


def add_tracker(sub: argparse.ArgumentParser) -> None:
    """An option that names a tracker."""
    sub.add_argument("--report-to", choices=tuple(OPENERS), help=REPORT_HELP)


def check_tracker(options: argparse.Namespace) -> None:
    """Raise RunError where this command cannot hand anything to the tracker that its options name."""
    name = options.report_to
    if name and importlib.util.find_spec(name) is None:
        raise RunError(f"--report-to: the package {name} is not installed; install it with pip install {name}.")
    if name and (getattr(options, "detach", False) or launched_processes() > 1):
        raise RunError(
            f"--report-to: this command does not follow the run; use `patchrl tail -f RUN --report-to {name}`."
        )


@contextlib.contextmanager
def tracker(name: str | None, run: api.Run) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Inside, a function that takes a run's events and hands their numbers to a tracker; without a name to nobody."""
    if name is None:
        yield lambda event: None
        return
    log, close = OPENERS[name](run)

    def take(event: dict[str, Any]) -> None:
        if point := numbers_of(event):
            log(*point)

    try:
        yield take
    finally:
        close()


def _tensorboard(run: api.Run) -> tuple[Log, Callable[[], None]]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run.path / "tensorboard"))

    def log(curve: str, numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            writer.add_scalar(f"{curve}/{name}", value, step)

    return log, writer.close


def _trackio(run: api.Run) -> tuple[Log, Callable[[], None]]:
    trackio = importlib.import_module("trackio")
    trackio.init(project=PROJECT, name=run.id, config=run.config.model_dump(mode="json"), embed=False)

    def log(curve: str, numbers: dict[str, float], step: int) -> None:
        trackio.log({f"{curve}/{name}": value for name, value in numbers.items()}, step=step)

    return log, trackio.finish


def _wandb(run: api.Run) -> tuple[Log, Callable[[], None]]:
    wandb = importlib.import_module("wandb")
    page = wandb.init(project=PROJECT, name=run.id, config=run.config.model_dump(mode="json"))
    known: set[str] = set()

    def log(curve: str, numbers: dict[str, float], step: int) -> None:
        if curve not in known:  # curves have steps of their own, which begin anew
            page.define_metric(f"{curve}/*", step_metric=f"{curve}/step")
            known.add(curve)
        page.log({f"{curve}/{name}": value for name, value in numbers.items()} | {f"{curve}/step": step})

    return log, page.finish


OPENERS = {"tensorboard": _tensorboard, "trackio": _trackio, "wandb": _wandb}
