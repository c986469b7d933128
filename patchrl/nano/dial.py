"""The lab's dial: plain SFT, best-of-k and RL as the own style of prompted rewrites gets rarer.

`python -m patchrl.nano.dial` runs one study for each backbone, expert, rewriting instruction and seed, adds every answer
of every arm to dial.jsonl, and prints the table of what is there. It can be stopped at any time and started again: a
study that has its lines is not repeated. `--table` only prints.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from patchrl import api
from patchrl.comparisons import Comparison, compare
from patchrl.config import StudyConfig, resolve
from patchrl.errors import PatchRLError
from patchrl.nano.world import OWN_SHARE, style
from patchrl.results import chosen_rate, read_rows
from patchrl.runs.folder import RunFolder, default_runs_dir
from patchrl.statistics import ArmStatistics, Correct, arm_statistics, correct_by_task, resample

ANSWERS = Path(__file__).with_name("dial.jsonl")
ARMS = ("expert", "best-of-k", "rl", "rl-paper")
RATES = (5e-4, 1e-3)
EXPERTS = ("foreign", "mild")
RESAMPLES = 2000
MARKS = {None: "?", True: "1", False: "0"}


@dataclass(frozen=True)
class Cell:
    """One setting of the dial: a backbone (its name and folder), an expert and a rewriting instruction."""

    backbone: str
    expert: str
    instruction: str


@dataclass(frozen=True)
class Found:
    """What a cell's studies found over their seeds: each arm at its own best learning rate."""

    seeds: tuple[int, ...]
    rates: dict[str, float]
    statistics: dict[str, ArmStatistics]
    comparisons: list[Comparison]
    tokens: dict[str, float]
    own: dict[str, float]  # share of an arm's accepted rewrites that are in the backbone's own style


def config_of(cell: Cell, model: str, seed: int) -> StudyConfig:
    """The study of one cell and seed."""
    return resolve(
        {
            "study": {"name": f"dial-{cell.backbone}-{cell.expert}-{cell.instruction}", "seeds": [seed], "arms": ARMS},
            "backbone": {"model": model},
            "data": {"dataset": f"nano-{cell.expert}"},
            "rewriter": {"instruction": cell.instruction},
            "finetune": {"learning_rate": RATES, "keep_weights": False},
        }
    )


def run_cell(cell: Cell, model: str, seed: int, runs_dir: Path) -> list[dict[str, Any]]:
    """Run a cell's study, or go on with the one that is there, and return its lines."""
    config = config_of(cell, model, seed)
    theirs = [run for run in api.list_runs(runs_dir) if run.config == config]
    if theirs:
        run = theirs[0]
    else:
        folder = RunFolder.create(runs_dir, config)
        _take_over(folder, cell, seed, runs_dir)
        run = api.open_run(folder.path)
    if run.status()["state"] != "done":
        run.resume()
        if (status := run.wait())["state"] != "done":
            raise PatchRLError(f"{run.id} {status['state']}: {status.get('error') or 'no reason was left'}")
    return list(lines_of(run, cell, seed))


def _take_over(folder: RunFolder, cell: Cell, seed: int, runs_dir: Path) -> None:
    """What does not depend on the instruction is there already, where another setting of the dial was run."""
    for run in api.list_runs(runs_dir):
        config = run.config
        same = (config.study.seeds, config.data.dataset) == ((seed,), f"nano-{cell.expert}")
        if run.id != folder.id and same and run.config.study.name.startswith(f"dial-{cell.backbone}-{cell.expert}-"):
            for made in ("base", "expert"):
                if (run.path / "arms" / made).is_dir() and run.result():
                    shutil.copytree(run.path / "arms" / made, folder.path / "arms" / made, dirs_exist_ok=True)


def lines_of(run: api.Run, cell: Cell, seed: int) -> Iterator[dict[str, Any]]:
    """One line for the backbone and one for each arm and rate of a finished study: its score marks by task."""
    where = {"backbone": cell.backbone, "expert": cell.expert, "instruction": cell.instruction, "seed": seed}
    yield where | {"arm": "base", "answers": _marks(run.folder.base() / "predictions.jsonl")}
    result = run.result()
    assert result is not None
    for arm in ARMS:
        made = {"tokens": round(result["arms"][arm]["cost"]["tokens"])}
        if arm != "expert":
            rows = [row for row in read_rows(run.folder.samples(arm, seed)) if row["decision"] == "accepted"]
            made |= {
                "accepted": len(rows),
                "own": sum(style(row["rewrite"]) == "own" for row in rows),
                "nll": round(result["arms"][arm]["data"]["nll"], 4),
            }
        for rate in RATES:
            answers = _marks(run.folder.arm(arm, seed, rate) / "predictions.jsonl")
            yield where | {"arm": arm, "rate": rate} | made | {"answers": answers}


def _marks(predictions: Path) -> dict[str, str]:
    marks: dict[str, str] = defaultdict(str)
    for row in read_rows(predictions):
        marks[row["task"]] += MARKS[row["passed"]]
    return dict(marks)


def correct_of(line: dict[str, Any]) -> Correct:
    """A line's answers as `statistics.Correct`."""
    passed = {mark: passed for passed, mark in MARKS.items()}
    return correct_by_task(
        [{"task": task, "passed": passed[mark]} for task, marks in line["answers"].items() for mark in marks]
    )


def found_of(lines: Sequence[dict[str, Any]]) -> dict[Cell, Found]:
    """Every cell's figures over the seeds of which all lines are there."""
    cells: dict[Cell, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        cells[Cell(line["backbone"], line["expert"], line["instruction"])].append(line)
    return {cell: _found(members) for cell, members in cells.items()}


def _found(lines: Sequence[dict[str, Any]]) -> Found:
    seeds = tuple(sorted({line["seed"] for line in lines}))
    by = {(line["arm"], line.get("rate"), line["seed"]): line for line in lines}
    base = correct_of(by["base", None, seeds[0]])
    tuned = {(arm, rate): [correct_of(by[arm, rate, seed]) for seed in seeds] for arm in ARMS for rate in RATES}
    drawn = resample(base, tuned, RESAMPLES)
    rates = {arm: chosen_rate(arm, RATES, tuned) for arm in ARMS}
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
        {arm: mean(arm, "tokens") for arm in ARMS},
        {arm: mean(arm, "own", "accepted") for arm in ARMS if arm != "expert"},
    )


def table(found: dict[Cell, Found]) -> Iterator[str]:
    """The cells as a Markdown table: target and general in per cent with 95 % intervals, and the share of the drop avoided."""
    yield "| backbone, expert | dial | seeds | " + " | ".join(ARMS) + " | drop avoided %: " + ", ".join(ARMS[1:]) + " |"
    yield "|---" * (4 + len(ARMS)) + "|"
    for cell in sorted(found, key=lambda c: (c.backbone, EXPERTS.index(c.expert), OWN_SHARE[c.instruction])):
        made = found[cell]
        scores = " | ".join(_scores(made.statistics[arm]) for arm in ARMS)
        avoided = ", ".join(_percent(made.statistics[arm].share_avoided, 0) for arm in ARMS[1:])
        dial = f"{OWN_SHARE[cell.instruction]:.0%} {cell.instruction}"
        yield f"| {cell.backbone}, {cell.expert} | {dial} | {len(made.seeds)} | {scores} | {avoided} |"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _scores(arm: ArmStatistics) -> str:
    def told(values: Sequence[float], ci95: tuple[float, float] | None) -> str:
        between = f" [{_percent(ci95[0])}, {_percent(ci95[1])}]" if ci95 else ""
        return _percent(float(np.mean(values))) + between

    return f"{told(arm.target_per_seed, arm.target_ci95)} / {told(arm.general_per_seed, arm.general_ci95)}"


def read(path: Path = ANSWERS) -> list[dict[str, Any]]:
    """The lines recorded so far."""
    return read_rows(path) if path.is_file() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--experts", nargs="+", choices=EXPERTS, default=EXPERTS)
    parser.add_argument("--instructions", nargs="+", choices=tuple(OWN_SHARE), default=tuple(OWN_SHARE))
    parser.add_argument("--backbone", nargs=2, action="append", metavar=("NAME", "MODEL"), default=[])
    parser.add_argument("--runs-dir", type=Path, default=default_runs_dir())
    parser.add_argument("--into", type=Path, default=ANSWERS, help="where lines are added")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    given = parser.parse_args()
    cells = (
        (Cell(name, expert, instruction), model, seed)
        for name, model in given.backbone or [("nano", "nano")]
        for seed in given.seeds
        for expert in given.experts
        for instruction in given.instructions
    )
    try:
        if not given.table:
            run_missing(cells, given.runs_dir, given.into)
    except PatchRLError as error:
        sys.exit(str(error))
    print("\n".join(table(found_of(read(given.into)))))


def run_missing(cells: Iterable[tuple[Cell, str, int]], runs_dir: Path, into: Path) -> None:
    """Run the cells that have no lines yet, and add theirs as each is done."""
    for cell, model, seed in cells:
        there = {(line["backbone"], line["expert"], line["instruction"], line["seed"]) for line in read(into)}
        if (cell.backbone, cell.expert, cell.instruction, seed) in there:
            continue
        lines = run_cell(cell, model, seed, runs_dir)
        with into.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
        print(f"{cell} seed {seed}", file=sys.stderr)


if __name__ == "__main__":
    main()
