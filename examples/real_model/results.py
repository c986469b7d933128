"""What the studies on SmolLM2 showed: `python -m examples.real_model.results RUNS` adds their answers to results.jsonl.

Answers are kept item by item, right or wrong, without their texts. The tables of README and docs are made from them.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from examples.nano_lab.dial import ANSWER_MARKS, correct_of
from patchrl.config import load_config
from patchrl.config.arms import display_name
from patchrl.evaluation.comparisons import compare
from patchrl.evaluation.statistics import Correct, arm_statistics, changed, macro, resample
from patchrl.reporting.figures import Figure, arm_style, layout
from patchrl.runs.events import read_events
from patchrl.runs.folder import RunFolder
from patchrl.runs.jsonl import read_rows
from patchrl.text import points, points_interval

ANSWERS = Path(__file__).with_name("results.jsonl")
ARMS = (
    "expert",
    "clean",
    "kl",
    "replay",
    "prompted",
    "best-of-k",
    "mind-the-gap",
    "rl-paper",
    "rl",
)  # as in the tables
RESAMPLES = 2000
FIELDS = ("data", "arm", "rate", "seed")
Line = dict[str, Any]


def lines_of(home: Path, name: str | None = None) -> Iterator[Line]:
    """One line for the backbone and for every fine-tuned model of a run that was evaluated, under its data's name or another."""
    folder = RunFolder(home)
    config = load_config(folder.config)
    data = name or Path(config.data.dataset).stem
    early = {
        (event["arm"], event["seed"], event["rate"]): event["kl"]
        for event in read_events(folder.events)
        if event["kind"] == "divergence"
    }
    yield {"data": data, "arm": "base", "answers": _answers(folder.base())}
    for arm in config.study.arms:
        for rate in config.finetune.learning_rate:
            for seed in config.study.seeds:
                place = folder.arm(arm, seed, rate if config.finetune.sweeps else None)
                summary = folder.read_json(place / "evaluation.json")
                if summary is None:
                    continue
                line = {"data": data, "arm": arm, "rate": rate, "seed": seed, "device": summary["device"]}
                kl = {"kl": summary["kl"], "early_kl": early.get((arm, seed, rate))}
                yield line | kl | {"answers": _answers(place)}


def _answers(place: Path) -> dict[str, str]:
    tasks: dict[str, list[str]] = defaultdict(list)
    for row in read_rows(place / "predictions.jsonl"):
        tasks[row["task"]].append(ANSWER_MARKS[row["passed"]])
    return {task: "".join(marks) for task, marks in tasks.items()}


def read() -> list[Line]:
    return [json.loads(line) for line in ANSWERS.read_text(encoding="utf-8").splitlines()]


def add(lines: Sequence[Line]) -> None:
    """Write these lines into results.jsonl, in place of older ones of the same fine-tunes."""
    every = {tuple(line.get(field) for field in FIELDS): line for line in (read() if ANSWERS.is_file() else [])}
    every |= {tuple(line.get(field) for field in FIELDS): line for line in lines}
    ANSWERS.write_text("".join(json.dumps(line) + "\n" for line in every.values()), encoding="utf-8")


class Results:
    """The answers on one set of training data: the backbone's, and those of every arm by rate."""

    def __init__(self, data: str) -> None:
        lines = [line for line in read() if line["data"] == data]
        self.base = correct_of(next(line for line in lines if line["arm"] == "base"))
        self.lines: dict[tuple[str, float], list[Line]] = defaultdict(list)
        for line in lines:
            if line["arm"] != "base":
                self.lines[line["arm"], line["rate"]].append(line)
        self.correct = {cell: [correct_of(line) for line in members] for cell, members in self.lines.items()}

    def at(self, rate: float) -> dict[str, list[Correct]]:
        """The arms that have as many seeds at a rate as plain SFT, seed by seed."""
        found = {arm: self.correct.get((arm, rate), []) for arm in ARMS}
        return {arm: cells for arm, cells in found.items() if len(cells) == len(found["expert"])}


def short_table(data: str = "svamp", rate: float = 1e-4) -> str:
    """Every arm at one rate; README has 1e-4, where plain SFT is best on the target."""
    results = Results(data)
    rows = ["| targets | seeds | target | general | general skills lost |", "|---|---|---|---|---|"]
    base = [macro(results.base, kind) for kind in ("target", "general")]
    rows.append(f"| before | | {' | '.join(map(points, base))} | |")
    statistics = arm_statistics(results.base, results.at(rate))
    for arm in ARMS:
        cells = results.correct[arm, rate]
        scores = [_mean([macro(c, kind) for c in cells]) for kind in ("target", "general")]
        means = *scores, base[1] - scores[1]
        found = statistics.get(arm)  # without intervals where a seed is missing
        intervals = (found.target_ci95, found.general_ci95, found.absolute_ci95) if found else (None,) * 3
        row = (points_interval(mean, interval) for mean, interval in zip(means, intervals, strict=True))
        rows.append(f"| {display_name(arm)} | {len(cells)} | {' | '.join(row)} |")
    return "\n".join(rows)


def fronts(data: str = "svamp") -> Figure:
    """Learned and forgotten: for each arm a line through its rates, at each the mean over seeds."""
    results = Results(data)
    base = [macro(results.base, kind) for kind in ("target", "general")]
    traces: list[Figure] = [_points("base", [base])]
    for arm in ARMS:
        rates = sorted(rate for name, rate in results.correct if name == arm)
        found = [results.correct[arm, rate] for rate in rates]
        means = [[_mean([macro(c, kind) for c in cell]) for kind in ("target", "general")] for cell in found]
        traces.append(_points(arm, means))
    return {
        "data": traces,
        "layout": layout(
            "Four rates each, from 5e-6 (left) to 3e-4",
            "target, % right",
            "general skills, % right",
            height=430,
        ),
    }


def _points(arm: str, scores: Sequence[Sequence[float]]) -> Figure:
    colour, symbol = arm_style(arm)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": display_name(arm),
        "x": [100 * target for target, _ in scores],
        "y": [100 * general for _, general in scores],
        "line": {"color": colour, "width": 3 if arm == "rl" else 1.5},
        "marker": {"symbol": symbol, "size": 9, "color": colour},
    }


def whole_table(data: str = "svamp") -> str:
    """Every arm and rate with what changed: the mean over its seeds."""
    results = Results(data)
    rows = [
        "| arm | rate | seeds | target | general | right → wrong | wrong → right | KL after a tenth | KL at the end |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        for name, rate in sorted(cell for cell in results.correct if cell[0] == arm):
            found, lines = results.correct[name, rate], results.lines[name, rate]
            scores = (points(_mean([macro(c, kind) for c in found])) for kind in ("target", "general"))
            flips = (points(_mean([changed(results.base, c, before) for c in found])) for before in (True, False))
            kl = (f"{_mean([line[key] for line in lines]):.2f}" for key in ("early_kl", "kl"))
            cells = (display_name(arm), f"{rate:g}", str(len(found)), *scores, *flips, *kl)
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def against(rate: float = 1e-4, data: str = "svamp") -> list[str]:
    """RL against every other arm at one rate, in words."""
    results = Results(data)
    arms = results.at(rate)
    sentences = []
    for pair in compare(arms, resample(results.base, arms, RESAMPLES)):
        if "rl" not in (pair.a, pair.b):
            continue
        sign = 1 if pair.a == "rl" else -1
        low, high = sorted(sign * bound for bound in pair.ci95)
        verdict = {"better": "worse", "worse": "better"}.get(pair.verdict, pair.verdict)
        other = pair.b if sign == 1 else pair.a
        sentences.append(
            f"RL against {display_name(other)}, {pair.on}: {points(sign * pair.difference, signed=True)} points "
            f"[{points(low)}, {points(high)}], {pair.verdict if sign == 1 else verdict}."
        )
    return sentences


def headline(rate: float = 1e-4, data: str = "svamp") -> str:
    """The result in one sentence."""
    results = Results(data)
    arms = results.at(rate)

    def mean(answers: Sequence[Correct], kind: str = "general") -> str:
        return points(_mean([macro(correct, kind) for correct in answers]), 0)

    before, plain, rl = ([results.base], arms["expert"], arms["rl"])
    return (
        f"On SmolLM2-135M-Instruct, SFT on terse solutions at {rate:g} takes everyday questions from {mean(before)} to {mean(plain)} % "
        f"right; SFT on rewrites at the same rate leaves {mean(rl)} %, and solves {mean(rl, 'target')} % of the task's problems "
        f"against {mean(plain, 'target')} %."
    )


def contents() -> dict[str, str]:
    """The text between the marks of each name in README and docs."""
    return {
        "real": short_table(),
        "real-low": short_table(rate=2e-5),
        "real-whole": whole_table(),
        "real-group": whole_table("svamp-group"),
        "real-gsm8k": whole_table("gsm8k"),
        "real-against": "\n".join(f"- {sentence}" for sentence in against()),
    }


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="*", help="folders of runs")
    parser.add_argument("--name", help="the study's name in results.jsonl, unless it is that of its data")
    options = parser.parse_args()
    for home in options.runs:
        add(list(lines_of(home, options.name)))
    print("\n\n".join(contents().values()))


if __name__ == "__main__":
    main()
