"""A run in one row of a list, and several runs side by side. The same for terminal, page and Python."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig, load_config
from patchrl.config.arms import display_name
from patchrl.errors import PatchRLError
from patchrl.reporting import run_status
from patchrl.runs.damage import list_damage
from patchrl.runs.folder import RunFolder
from patchrl.text import MISSING, one_line, points, points_interval

MAX_STATE = 90  # characters of a state in a list
NO_SETTINGS = ("name", "seeds")  # of the section study: runs that differ in these only have the same settings
MAX_COMPARED = 6
RUN_ID_PARTS = re.compile(r"(?P<name>.+)-(?P<started>\d{8}-\d{6})-(?P<end>[0-9a-f]{4})")
RESULT_HEADERS = ("Run", "Arm", "Target %", "General %", "Forgotten, points", "Seeds")


@dataclass(frozen=True)
class RunSummary:
    """What a list shows of a run.

    Attributes:
        name: What somebody called it; its id unless somebody did.
        state: `new`, `queued`, `running`, `stopping`, `done`, `failed`, `stopped`, `cancelled` or `damaged`.
        line: State and damage in one line.
        started: When, in seconds since 1970; None before.
        seconds: How long it took until now, all launches together.
        scores: Target and general score, both in per cent, of plain SFT and of RL rewrites; empty before the results.
        settings: The same text for runs whose settings differ in their name and seeds only; empty where they are damaged.
    """

    id: str
    name: str
    state: str
    line: str
    backbone: str = ""
    dataset: str = ""
    started: float | None = None
    seconds: float | None = None
    scores: tuple[str, str] = ("", "")
    settings: str = ""

    @property
    def label(self) -> str:
        """Name, date and damage, as a list of choices shows it; four characters of the id tell equal ones apart."""
        named, day = self.name, ""
        if parts := RUN_ID_PARTS.fullmatch(self.id):
            try:
                started = time.strptime(parts["started"], "%Y%m%d-%H%M%S")
                day = f", {started.tm_mday} {time.strftime('%b %H:%M', started)} ({parts['end']})"
                named = parts["name"] if self.name == self.id else self.name
            except ValueError:
                pass
        return f"{named}{day} (damaged)" if self.state == "damaged" else f"{named}{day}"


def summarise(folder: RunFolder, status: dict[str, Any]) -> RunSummary:
    """The summary of a run, whose status is given as it really is."""
    name = folder.read_name() or folder.id
    try:
        config = load_config(folder.config)
    except PatchRLError as error:
        problem = one_line(str(error).replace(f"{folder.path}/", ""))
        return RunSummary(folder.id, name, "damaged", f"damaged: {problem}")
    line = "; ".join(
        [textwrap.shorten(run_status.describe_status(status), MAX_STATE, placeholder=" …"), *list_damage(folder)]
    )
    result = folder.read_shaped(folder.result, "result")
    begun = status.get("started")
    seconds = (status.get("finished") or time.time()) - begun + status.get("seconds_before", 0.0) if begun else None
    return RunSummary(
        folder.id,
        name,
        status["state"],
        line,
        Path(config.backbone.model).name,
        Path(config.data.dataset).name,
        status.get("first_started") or begun,
        seconds,
        (_scores(result, "expert"), _scores(result, "rl")) if result else ("", ""),
        settings_digest(config),
    )


def settings_digest(config: StudyConfig) -> str:
    """Six characters that are the same for configs which differ in name and seeds only."""
    values = config.model_dump(mode="json")
    values["study"] = {key: value for key, value in values["study"].items() if key not in NO_SETTINGS}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:6]


def _scores(result: dict[str, Any], arm: str) -> str:
    values = result["arms"].get(arm)
    return f"{points(values['target']['mean'])} / {points(values['general']['mean'])}" if values else ""


def result_rows(results: Sequence[tuple[str, dict[str, Any]]]) -> list[list[str]]:
    """Results of several runs, by the run's name, under RESULT_HEADERS: a row per arm."""
    rows = []
    for name, result in results:
        base, seeds = result["base"], ", ".join(map(str, result["seeds"]))
        scores = [points_interval(base[kind], base.get(f"{kind}_ci95")) for kind in ("target", "general")]
        rows.append([name, display_name("base"), *scores, MISSING, MISSING])
        for arm, values in result["arms"].items():
            scores = [points_interval(values[kind]["mean"], values[kind]["ci95"]) for kind in ("target", "general")]
            forgotten = points_interval(values["forgetting"]["absolute"], values["forgetting"]["ci95"])
            rows.append([name, display_name(arm), *scores, forgotten, seeds])
    return rows


def grouped(runs: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """Runs with the same settings together, in the order of each group's first."""
    groups: dict[str, list[RunSummary]] = {}
    for run in runs:
        groups.setdefault(run.settings or run.id, []).append(run)
    return list(groups.values())
