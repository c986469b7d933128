"""What the lab's dial showed: plain SFT, best-of-k and RL as the own style of prompted rewrites gets rarer. No torch.

`examples.nano_lab.run_dial` makes the studies; their answers, item by item, lie in dial.jsonl.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from patchrl.config import presets
from patchrl.evaluation.comparisons import Comparison, compare
from patchrl.evaluation.statistics import (
    ArmStatistics,
    Correct,
    Resampled,
    arm_statistics,
    chosen_rate,
    macro,
    resample,
)
from patchrl.nano.world import OWN_SHARE

ANSWERS = Path(__file__).with_name("dial.jsonl")
DIAL_ARMS = ("expert", "best-of-k", "rl")  # measured over the whole dial
ABLATIONS = ("rl-mean", "rl-paper")  # the recipe less kl, and less the warm start as well
BEST_OF = {"best-of-2": 2, "best-of-4": 4}  # `best-of-k` is of 8
RL_BEST_OF_K = ("rl-best-of-k",)
KL_ARMS = ("rl+kl", "best-of-k+kl")  # fine-tuned with a KL to the backbone
ALL_ARMS = tuple(presets()["nano-arms"].values["study"]["arms"])
RATES = (5e-4, 1e-3)
EXPERT_NAMES = ("foreign", "mild")
SHIPPED_BACKBONE = "nano"  # the backbone that comes with PatchRL, as lines name it
SECOND_BACKBONE = "seed-2"  # one of `examples.nano_lab.pretrain --seed 2`
OWN_EXPERT = "own"  # no expert but right answers in the backbone's own style
DIAL_RESAMPLES = 2000
ANSWER_MARKS = {None: "?", True: "1", False: "0"}
MARK_SCORES = {mark: np.nan if passed is None else float(passed) for passed, mark in ANSWER_MARKS.items()}
LinesByArm = dict[tuple[str, float | None, int], dict[str, Any]]  # a cell's lines by arm, rate and seed


@dataclass(frozen=True)
class DialSetting:
    """One setting of the dial: a backbone by a name for it, an expert, a rewriting instruction, and the temperature
    at which the rewriter samples while it trains. The lower it is, the rarer is what is rare."""

    backbone: str
    expert: str
    instruction: str
    temperature: float = 1.0

    @classmethod
    def of(cls, line: dict[str, Any]) -> DialSetting:
        """The cell of a recorded line."""
        return cls(line["backbone"], line["expert"], line["instruction"], line.get("temperature", 1.0))

    @property
    def line(self) -> dict[str, Any]:
        """The fields that its recorded lines have in common."""
        cooler = {"temperature": self.temperature} if self.temperature != 1.0 else {}
        return {"backbone": self.backbone, "expert": self.expert, "instruction": self.instruction} | cooler

    @property
    def label(self) -> str:
        """The setting in words, such as `3 %` or `3 % at T 0.5`."""
        share = f"{OWN_SHARE[self.instruction]:.0%}".replace("%", " %")
        return share if self.temperature == 1.0 else f"{share} at T {self.temperature:g}"

    @property
    def order(self) -> tuple[str, int, float, float]:
        """Where it stands among others: by backbone and expert, the hardest setting first."""
        return (
            self.backbone,
            (*EXPERT_NAMES, OWN_EXPERT).index(self.expert),
            OWN_SHARE[self.instruction],
            self.temperature,
        )


@dataclass(frozen=True)
class SettingResult:
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
    return {task: np.array([MARK_SCORES[mark] for mark in marks]) for task, marks in line["answers"].items()}


def setting_results(
    lines: Sequence[dict[str, Any]], arms: Sequence[str] = DIAL_ARMS
) -> dict[DialSetting, SettingResult]:
    """Every cell's figures over the seeds of which the lines of all these arms are there; `expert` is one of them."""
    by_setting: dict[DialSetting, LinesByArm] = defaultdict(dict)
    for line in lines:
        by_setting[DialSetting.of(line)][line["arm"], line.get("rate"), line["seed"]] = line
    # Cells with the same backbone, questions and seeds are resampled together: the draws cost more than the arms.
    by_base: dict[tuple[tuple[int, ...], str], list[DialSetting]] = defaultdict(list)
    for setting, by in by_setting.items():
        recorded = {(arm, seed) for arm, _, seed in by}
        if seeds := tuple(sorted({seed for _, seed in recorded if all((arm, seed) in recorded for arm in arms)})):
            by_base[seeds, json.dumps(by["base", None, seeds[0]]["answers"])].append(setting)
    results: dict[DialSetting, SettingResult] = {}
    for (seeds, _), members in by_base.items():
        base = correct_of(by_setting[members[0]]["base", None, seeds[0]])
        tuned = {
            (setting, arm, rate): [correct_of(by_setting[setting][arm, rate, seed]) for seed in seeds]
            for setting in members
            for arm in arms
            for rate in RATES
        }
        drawn = resample(base, tuned, DIAL_RESAMPLES)
        for setting in members:
            scores = {
                (arm, rate): (tuned[setting, arm, rate], drawn[setting, arm, rate]) for arm in arms for rate in RATES
            }
            results[setting] = _setting_result(by_setting[setting], base, seeds, arms, scores)
    return results


def _setting_result(
    by: LinesByArm,
    base: Correct,
    seeds: tuple[int, ...],
    arms: Sequence[str],
    tuned: dict[tuple[str, float], tuple[list[Correct], Resampled]],
) -> SettingResult:
    answers = {at: answers_of_arm for at, (answers_of_arm, _) in tuned.items()}
    rates = {arm: chosen_rate(arm, RATES, answers) for arm in arms}
    correct = {arm: tuned[arm, rate][0] for arm, rate in rates.items()}
    best = {arm: tuned[arm, rate][1] for arm, rate in rates.items()}

    def mean(arm: str, key: str, over: str | None = None) -> float:
        rows = [by[arm, rates[arm], seed] for seed in seeds]
        return float(np.mean([row.get(key, 0) / (row[over] if over else 1) for row in rows]))

    return SettingResult(
        seeds,
        rates,
        arm_statistics(base, correct),
        compare(correct, best),
        {arm: mean(arm, "tokens") for arm in arms},
        {
            arm: {
                rate: (_mean_of(answers[arm, rate], "target"), _mean_of(answers[arm, rate], "general"))
                for rate in RATES
            }
            for arm in arms
        },
        {arm: mean(arm, "own", "accepted") for arm in arms if "own" in by[arm, rates[arm], seeds[0]]},
    )


@dataclass(frozen=True)
class PooledResult:
    """All settings taken together: each arm's fine-tunes, at the rates that their settings chose."""

    settings: int
    fine_tunes: int  # of each arm
    statistics: dict[str, ArmStatistics]
    comparisons: list[Comparison]
    tokens: dict[str, float]
    sweep: dict[str, dict[float, tuple[float, float]]]  # target and general score of each arm at each rate


def pool(lines: Sequence[dict[str, Any]], arms: Sequence[str] = DIAL_ARMS) -> PooledResult | None:
    """The grid's settings as one, each setting's seed drawn as a seed of its own; None where nothing was measured.

    `lines` are of one backbone: its answers before fine-tuning are the same in every setting.
    """
    results = {
        setting: result for setting, result in setting_results(lines, arms).items() if setting.expert != OWN_EXPERT
    }
    if not results:
        return None
    answers = {(DialSetting.of(line), line["arm"], line.get("rate"), line["seed"]): line for line in lines}
    each = [(setting, result.rates, seed) for setting, result in results.items() for seed in result.seeds]
    tuned = {
        arm: [correct_of(answers[setting, arm, rates[arm], seed]) for setting, rates, seed in each] for arm in arms
    }
    base = correct_of(next(line for line in lines if line["arm"] == "base"))
    drawn = resample(base, tuned, DIAL_RESAMPLES)
    tokens = {arm: float(np.mean([result.tokens[arm] for result in results.values()])) for arm in arms}
    weights = [len(result.seeds) for result in results.values()]
    sweep = {
        arm: {rate: _weighted([result.sweep[arm][rate] for result in results.values()], weights) for rate in RATES}
        for arm in arms
    }
    return PooledResult(len(results), len(each), arm_statistics(base, tuned), compare(tuned, drawn), tokens, sweep)


def _weighted(scores: Sequence[tuple[float, float]], weights: Sequence[int]) -> tuple[float, float]:
    target, general = np.average(scores, axis=0, weights=weights)
    return float(target), float(general)


def _mean_of(seeds: Sequence[Correct], kind: str) -> float:
    return float(np.mean([macro(correct, kind) for correct in seeds]))


TARGET_SLACK, MIN_AVOIDED = (
    0.02,
    0.95,
)  # the aim of a recipe: the expert's target score, less this; this share of its drop


def shortfalls(results: SettingResult, arm: str) -> list[str]:
    """Where an arm falls short of the aim: `target`, `drop`, `best-of-k` (worse than it on a count, corrected)."""
    statistics = results.statistics[arm]
    expert = float(np.mean(results.statistics["expert"].target_per_seed))
    avoided = statistics.share_avoided
    worse = [{"better": (c.b, c.a), "worse": (c.a, c.b)}.get(c.verdict) for c in results.comparisons]
    return [
        *(["target"] if np.mean(statistics.target_per_seed) < expert - TARGET_SLACK else []),
        *(["drop"] if avoided is not None and avoided < MIN_AVOIDED else []),
        *(["best-of-k"] if (arm, "best-of-k") in worse else []),
    ]


def arm_rows(results: dict[DialSetting, SettingResult]) -> list[dict[str, Any]]:
    """One row for each cell and arm, in the order of the dial: what figures and sentences are made of."""
    rows = []
    for setting in sorted(results, key=lambda setting: setting.order):
        result = results[setting]
        for arm, statistics in result.statistics.items():
            rows.append(
                {
                    "backbone": setting.backbone,
                    "expert": setting.expert,
                    "instruction": setting.instruction,
                    "share": OWN_SHARE[setting.instruction],
                    "setting": setting.label,
                    "temperature": setting.temperature,
                    "arm": arm,
                    "seeds": len(result.seeds),
                    "rate": result.rates[arm],
                    "target": {"mean": float(np.mean(statistics.target_per_seed)), "ci95": statistics.target_ci95},
                    "general": {"mean": float(np.mean(statistics.general_per_seed)), "ci95": statistics.general_ci95},
                    "sweep": [
                        {"rate": rate, "target": target, "general": general}
                        for rate, (target, general) in result.sweep[arm].items()
                    ],
                    "avoided": {"mean": statistics.share_avoided, "ci95": statistics.share_avoided_ci95},
                    "short": shortfalls(result, arm),
                    "own": result.own.get(arm),
                    "tokens": result.tokens[arm],
                }
            )
    return rows


def dial_rows(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`points` of the grid's arms and, each over the seeds it has, of the ablations, in the order of the dial."""
    rows = arm_rows(setting_results(lines))
    settings = {(row["backbone"], row["expert"], row["setting"]): at for at, row in reversed(list(enumerate(rows)))}
    for arm in ABLATIONS:
        rows += [row for row in arm_rows(setting_results(lines, ("expert", arm))) if row["arm"] == arm]
    shipped_rows = [row for row in rows if (row["backbone"], row["expert"], row["setting"]) in settings]
    return sorted(shipped_rows, key=lambda row: settings[row["backbone"], row["expert"], row["setting"]])


@functools.cache
def shipped(backbone: str = SHIPPED_BACKBONE) -> list[dict[str, Any]]:
    """`dialled` of the lab's own studies with one backbone."""
    return dial_rows(of_backbone(read(), backbone))


@functools.cache
def own_style(backbone: str = SHIPPED_BACKBONE) -> dict[str, Any] | None:
    """The point of plain SFT on right answers in the backbone's own style, as if every rewrite had succeeded; None where
    it was not measured."""
    lines = [line for line in of_backbone(read(), backbone) if line["expert"] == OWN_EXPERT]
    return next(iter(arm_rows(setting_results(lines, ("expert",)))), None)


def of_backbone(lines: Sequence[dict[str, Any]], name: str = SHIPPED_BACKBONE) -> list[dict[str, Any]]:
    """The lines of one backbone."""
    return [line for line in lines if line["backbone"] == name]


def read(path: Path = ANSWERS) -> list[dict[str, Any]]:
    """The lines recorded so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
