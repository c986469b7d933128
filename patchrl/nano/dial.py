"""What the lab's dial showed: plain SFT, best-of-k and RL as the own style of prompted rewrites gets rarer. No torch.

`patchrl.nano.turn_dial` makes the studies; their answers, item by item, lie in dial.jsonl.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from patchrl.comparisons import Comparison, compare
from patchrl.nano.world import OWN_SHARE
from patchrl.statistics import ArmStatistics, Correct, arm_statistics, chosen_rate, correct_by_task, macro, resample

ANSWERS = Path(__file__).with_name("dial.jsonl")
ARMS = ("expert", "best-of-k", "rl", "rl-paper")
BEST_OF = {f"best-of-{k}": k for k in (1, 2, 4, 16, 32)}  # `best-of-k` is of 8
MORE = ("rl-best-of-k",)
RATES = (5e-4, 1e-3)
EXPERTS = ("foreign", "mild")
RESAMPLES = 2000
MARKS = {None: "?", True: "1", False: "0"}


@dataclass(frozen=True)
class Cell:
    """One setting of the dial: a backbone by a name for it, an expert, a rewriting instruction, and the temperature
    at which the rewriter samples while it trains. The lower it is, the rarer is what is rare."""

    backbone: str
    expert: str
    instruction: str
    temperature: float = 1.0

    @classmethod
    def of(cls, line: dict[str, Any]) -> Cell:
        """The cell of a recorded line."""
        return cls(line["backbone"], line["expert"], line["instruction"], line.get("temperature", 1.0))

    @property
    def setting(self) -> str:
        """The dial's setting as it is told, such as `3 %` or `3 % at T 0.5`."""
        share = f"{OWN_SHARE[self.instruction]:.0%}".replace("%", " %")
        return share if self.temperature == 1.0 else f"{share} at T {self.temperature:g}"

    @property
    def order(self) -> tuple[str, int, float, float]:
        """Where it stands among others: by backbone and expert, the hardest setting first."""
        return self.backbone, EXPERTS.index(self.expert), OWN_SHARE[self.instruction], self.temperature


@dataclass(frozen=True)
class Found:
    """What a cell's studies found over their seeds: each arm at its own best learning rate."""

    seeds: tuple[int, ...]
    rates: dict[str, float]
    statistics: dict[str, ArmStatistics]
    comparisons: list[Comparison]
    tokens: dict[str, float]
    sweep: dict[str, dict[float, tuple[float, float]]]  # target and general score of each arm at each rate
    own: dict[str, float]  # share of an arm's accepted rewrites that are in the backbone's own style


def correct_of(line: dict[str, Any]) -> Correct:
    """A line's answers as `statistics.Correct`."""
    passed = {mark: passed for passed, mark in MARKS.items()}
    return correct_by_task(
        [{"task": task, "passed": passed[mark]} for task, marks in line["answers"].items() for mark in marks]
    )


def found_of(lines: Sequence[dict[str, Any]], arms: Sequence[str] = ARMS) -> dict[Cell, Found]:
    """Every cell's figures over the seeds of which the lines of all these arms are there; `expert` is one of them."""
    cells: dict[Cell, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        cells[Cell.of(line)].append(line)
    found = {cell: _found(members, arms) for cell, members in cells.items()}
    return {cell: made for cell, made in found.items() if made is not None}


def _found(lines: Sequence[dict[str, Any]], arms: Sequence[str]) -> Found | None:
    there = {(line["arm"], line["seed"]) for line in lines}
    seeds = tuple(sorted({seed for _, seed in there if all((arm, seed) in there for arm in arms)}))
    if not seeds:
        return None
    by = {(line["arm"], line.get("rate"), line["seed"]): line for line in lines}
    base = correct_of(by["base", None, seeds[0]])
    tuned = {(arm, rate): [correct_of(by[arm, rate, seed]) for seed in seeds] for arm in arms for rate in RATES}
    drawn = resample(base, tuned, RESAMPLES)
    rates = {arm: chosen_rate(arm, RATES, tuned) for arm in arms}
    correct = {arm: tuned[arm, rate] for arm, rate in rates.items()}
    best = {arm: drawn[arm, rate] for arm, rate in rates.items()}

    def mean(arm: str, key: str, over: str | None = None) -> float:
        rows = [by[arm, rates[arm], seed] for seed in seeds]
        return float(np.mean([row.get(key, 0) / (row[over] if over else 1) for row in rows]))

    return Found(
        seeds,
        rates,
        arm_statistics(base, correct, best),
        compare(correct, best),
        {arm: mean(arm, "tokens") for arm in arms},
        {
            arm: {rate: (_mean_of(tuned[arm, rate], "target"), _mean_of(tuned[arm, rate], "general")) for rate in RATES}
            for arm in arms
        },
        {arm: mean(arm, "own", "accepted") for arm in arms if arm != "expert"},
    )


def _mean_of(seeds: Sequence[Correct], kind: str) -> float:
    return float(np.mean([macro(correct, kind) for correct in seeds]))


def points(found: dict[Cell, Found]) -> list[dict[str, Any]]:
    """One row for each cell and arm, in the order of the dial: what figures and sentences are made of."""
    rows = []
    for cell in sorted(found, key=lambda cell: cell.order):
        made = found[cell]
        for arm, statistics in made.statistics.items():
            rows.append(
                {
                    "backbone": cell.backbone,
                    "expert": cell.expert,
                    "instruction": cell.instruction,
                    "share": OWN_SHARE[cell.instruction],
                    "setting": cell.setting,
                    "arm": arm,
                    "seeds": len(made.seeds),
                    "rate": made.rates[arm],
                    "target": {"mean": float(np.mean(statistics.target_per_seed)), "ci95": statistics.target_ci95},
                    "general": {"mean": float(np.mean(statistics.general_per_seed)), "ci95": statistics.general_ci95},
                    "sweep": [
                        {"rate": rate, "target": target, "general": general}
                        for rate, (target, general) in made.sweep[arm].items()
                    ],
                    "avoided": statistics.share_avoided,
                    "own": made.own.get(arm),
                    "tokens": made.tokens[arm],
                }
            )
    return rows


@functools.cache
def shipped() -> list[dict[str, Any]]:
    """`points` of the studies of the backbone that comes with PatchRL."""
    return points({cell: found for cell, found in found_of(read()).items() if cell.backbone == "nano"})


def table(found: dict[Cell, Found]) -> Iterator[str]:
    """The cells as a Markdown table: target and general in per cent with 95 % intervals, and the share of the drop avoided."""
    yield "| backbone, expert | dial | seeds | " + " | ".join(ARMS) + " | drop avoided %: " + ", ".join(ARMS[1:]) + " |"
    yield "|---" * (4 + len(ARMS)) + "|"
    for cell in sorted(found, key=lambda cell: cell.order):
        made = found[cell]
        scores = " | ".join(_scores(made.statistics[arm]) for arm in ARMS)
        avoided = ", ".join(_percent(made.statistics[arm].share_avoided, 0) for arm in ARMS[1:])
        yield f"| {cell.backbone}, {cell.expert} | {cell.setting} `{cell.instruction}` | {len(made.seeds)} | {scores} | {avoided} |"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _scores(arm: ArmStatistics) -> str:
    def told(values: Sequence[float], ci95: tuple[float, float] | None) -> str:
        between = f" [{_percent(ci95[0])}, {_percent(ci95[1])}]" if ci95 else ""
        return _percent(float(np.mean(values))) + between

    return f"{told(arm.target_per_seed, arm.target_ci95)} / {told(arm.general_per_seed, arm.general_ci95)}"


def read(path: Path = ANSWERS) -> list[dict[str, Any]]:
    """The lines recorded so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
