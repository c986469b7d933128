"""A fetch that runs in a process of its own: the page starts it and reads how far it is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from patchrl.jobs.environment import environment
from patchrl.models.model_cache import cache_folder, is_filling, model_folder

_children: dict[str, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class FetchState:
    """Whether a model is on this machine, whether it is being fetched, and the last line that the fetch wrote."""

    here: bool
    going: bool
    line: str


def start_fetch(model: str) -> None:
    """Begin to fetch a model unless it is here or on its way; the process outlives this one."""
    state = fetch_state(model)
    if state.here or state.going:
        return
    log = _log(model)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        _children[model] = subprocess.Popen(
            [sys.executable, "-m", "patchrl", "fetch", model],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            start_new_session=True,
        )


def fetch_state(model: str) -> FetchState:
    """How far the fetch of a model is, whoever started it."""
    child = _children.get(model)
    going = (child is not None and child.poll() is None) or is_filling(cache_folder() / model)
    log = _log(model)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return FetchState(model_folder(model) is not None, going, lines[-1] if lines else "")


def _log(model: str) -> Path:
    return cache_folder() / f".{model}.log"
