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

import numpy as np

from examples.nano_lab.dial import ANSWER_MARKS, correct_of
from patchrl.config import load_config
from patchrl.config.arms import display_name
from patchrl.evaluation.comparisons import compare
from patchrl.evaluation.statistics import Correct, arm_statistics, changed, macro, resample
from patchrl.runs.events import read_events
from patchrl.runs.folder import RunFolder
from patchrl.runs.jsonl import read_rows
from patchrl.text import points, points_interval

ANSWERS = Path(__file__).with_name("results.jsonl")
ARMS = ("expert", "clean", "best-of-k", "rl")  # in the order of the tables
RESAMPLES = 2000
FIELDS = ("data", "arm", "rate", "seed")
Line = dict[str, Any]


def lines_of(home: Path) -> Iterator[Line]:
    """One line for the backbone and for every fine-tuned model of a run that was evaluated."""
    folder = RunFolder(home)
    config = load_config(folder.config)
    data = Path(config.data.dataset).stem
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

    def at(self, rate: float, seeds: int) -> dict[str, list[Correct]]:
        """The arms of the tables that have so many seeds at a rate."""
        return {arm: found for arm in ARMS if len(found := self.correct.get((arm, rate), [])) >= seeds}


def short_table(data: str = "svamp", rates: Sequence[float] = (2e-5, 1e-4)) -> str:
    """README's table: every arm with three seeds at the rates where plain SFT learns the task."""
    results = Results(data)
    rows = ["| fine-tuning rate | targets | target | general | general skills lost |", "|---|---|---|---|---|"]
    before = (points(macro(results.base, kind)) for kind in ("target", "general"))
    rows.append(f"| before | | {' | '.join(before)} | |")
    for rate in rates:
        arms = results.at(rate, 3)
        statistics = arm_statistics(results.base, arms)
        for arm, found in statistics.items():
            target, general = (float(np.mean(v)) for v in (found.target_per_seed, found.general_per_seed))
            rows.append(
                f"| {rate:g} | {display_name(arm)} | {points_interval(target, found.target_ci95)} "
                f"| {points_interval(general, found.general_ci95)} | {points_interval(found.absolute, found.absolute_ci95)} |"
            )
    return "\n".join(rows)


def whole_table(data: str = "svamp") -> str:
    """Every arm and rate with what changed: the mean over its seeds."""
    results = Results(data)
    rows = [
        "| arm | rate | seeds | target | general | right → wrong | wrong → right | KL after a tenth | KL at the end |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        for name, rate in sorted(results.correct):
            if name != arm:
                continue
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
    arms = results.at(rate, 3)
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
    arms = results.at(rate, 3)
    before, plain, rl = (
        points(_mean([macro(answers, "general") for answers in found]), 0)
        for found in ([results.base], arms["expert"], arms["rl"])
    )
    return (
        f"On SmolLM2-135M-Instruct, SFT on terse solutions at {rate:g} takes everyday questions from {before} to {plain} % right; "
        f"SFT on rewrites at the same rate leaves {rl} %, and both learn the task alike."
    )


def contents() -> dict[str, str]:
    """The text between the marks of each name in README and docs."""
    return {
        "real": short_table(),
        "real-whole": whole_table(),
        "real-gsm8k": whole_table("gsm8k"),
        "real-against": "\n".join(f"- {sentence}" for sentence in against()),
    }


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="*", help="folders of runs")
    for home in parser.parse_args().runs:
        add(list(lines_of(home)))
    print("\n\n".join(contents().values()))


if __name__ == "__main__":
    main()
