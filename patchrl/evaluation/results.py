"""`result.json`: everything a study measured, read back from its folder. No torch."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig
from patchrl.config.arms import parse, rewriters_of
from patchrl.evaluation.comparisons import as_dicts, compare
from patchrl.evaluation.statistics import (
    SCORE_KINDS,
    ArmStatistics,
    Correct,
    arm_statistics,
    changed,
    chosen_rate,
    correct_by_task,
    macro,
    mean_of_known,
    resample,
    score_interval,
    task_intervals,
)
from patchrl.runs.events import read_events
from patchrl.runs.folder import RunFolder
from patchrl.runs.jsonl import read_rows
from patchrl.version import __version__

VERSIONED_LIBRARIES = ("torch", "transformers", "trl", "peft", "numpy")
Tuned = tuple[str, float]  # an arm at a learning rate


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def collect(config: StudyConfig, folder: RunFolder) -> dict[str, Any]:
    """`result.json`: everything measured, read back from the folder.

    `arms[name]` contains `target` and `general` (mean, per_seed, ci95), `by_task`, `forgetting` (absolute with
    ci95, relative with relative_ci95, share_avoided with share_avoided_ci95), `right_to_wrong` and `wrong_to_right` (shares of
    the general items), `kl` (of the tuned model to the backbone, nats per token), `data`, `no_answer`, `cost` as if
    the arm had been run alone, `learning_rate`, and `sweep`: every rate tried, with its scores, the chosen one
    marked (the arm's other figures are those of it). `comparisons` contains method, level, power, `detectable`
    (largest over the pairs, by kind) and `pairs`, each with the fields of `patchrl.evaluation.comparisons.Comparison`.
    `by_task_ci95` are its tasks' intervals. `versions` are those of the process that collects, with the
    device on which the backbone was measured.
    `curve` is the rewriter's training, `curves` that of its ablations by name. Scores and differences are
    fractions.
    """
    seeds, names, rates = config.study.seeds, config.study.arms, config.finetune.learning_rate
    base = correct_by_task(read_rows(folder.base() / "predictions.jsonl"))
    base_summary = _read(folder.base() / "evaluation.json")
    events = read_events(folder.events)

    def answers(arm: str, rate: float) -> list[Correct]:
        homes = [folder.arm(arm, s, rate if config.finetune.sweeps else None) for s in seeds]
        return [correct_by_task(read_rows(home / "predictions.jsonl")) for home in homes]

    tuned = {(arm, rate): answers(arm, rate) for arm in names for rate in rates}
    chosen = {arm: chosen_rate(arm, rates, tuned) for arm in names}
    correct = {arm: tuned[arm, chosen[arm]] for arm in names}
    statistics = arm_statistics(base, correct)
    by_task = {arm: task_intervals(seeds) for arm, seeds in correct.items()} | {"base": task_intervals([base])}
    return {
        "version": 1,
        "backbone": config.backbone.model,
        "dataset": config.data.dataset,
        "seeds": list(seeds),
        "base": {
            "target": base_summary["target"],
            "target_ci95": score_interval([base], "target"),
            "general": base_summary["general"],
            "general_ci95": score_interval([base], "general"),
            "by_task": {task: values["score"] for task, values in base_summary["by_task"].items() if _reported(task)},
            "by_task_ci95": {task: ci95 for task, ci95 in by_task["base"].items() if _reported(task)},
            "no_answer": base_summary["no_answer"],
        },
        "arms": {
            arm: _arm_result(config, folder, arm, chosen[arm], statistics[arm])
            | {
                name: mean_of_known([changed(base, tuned_answers, before) for tuned_answers in correct[arm]])
                for name, before in (("right_to_wrong", True), ("wrong_to_right", False))
            }
            | {"by_task_ci95": {task: ci95 for task, ci95 in by_task[arm].items() if _reported(task)}}
            | {"sweep": _sweep(arm, chosen[arm], tuned)}
            for arm in names
        },
        "comparisons": as_dicts(compare(correct, resample(base, correct, config.evaluate.bootstrap))),
        "curve": _curve(events, "rl"),
        "curves": {name: _curve(events, name) for name in rewriters_of(map(parse, names)) if name != "rl"},
        "seconds": seconds_by_stage(events),
        "versions": versions() | {"device": base_summary.get("device", "cpu")},
    }


def versions() -> dict[str, str]:
    """What this process runs on: PatchRL, Python, and the libraries that can move a figure."""
    versions = {"patchrl": __version__, "python": platform.python_version()}
    return versions | {name: metadata.version(name) for name in VERSIONED_LIBRARIES}


def _reported(task: str) -> bool:
    return not task.startswith("validation/")


def _sweep(arm: str, chosen: float, tuned: dict[Tuned, list[Correct]]) -> list[dict[str, Any]]:
    """Every learning rate of an arm: its point on the gain–forgetting front, and what it was chosen by."""
    points = []
    for (name, rate), per_seed in tuned.items():
        if name != arm:
            continue
        points.append(
            {
                "rate": rate,
                "chosen": rate == chosen,
                "validation": mean_of_known([macro(c, "validation") for c in per_seed]),
                **{kind: _scores(_macros(per_seed, kind), score_interval(per_seed, kind)) for kind in SCORE_KINDS},
            }
        )
    return points


def _macros(seeds: list[Correct], kind: str) -> list[float]:
    return [score for answers in seeds if (score := macro(answers, kind)) is not None]


def _scores(per_seed: list[float], ci95: tuple[float, float] | None) -> dict[str, Any]:
    return {"mean": mean_of_known(per_seed), "per_seed": per_seed, "ci95": ci95}


def _curve(events: list[dict[str, Any]], rewriter: str) -> list[dict[str, Any]]:
    return [
        {key: e[key] for key in ("seed", "step", "reward", "consistency", "alignment", "diversity", "nll")}
        for e in events
        if e["kind"] == "train" and e.get("rewriter", "rl") == rewriter
    ]


def _arm_result(
    config: StudyConfig, folder: RunFolder, name: str, rate: float, statistics: ArmStatistics
) -> dict[str, Any]:
    seeds, arm = config.study.seeds, parse(name)
    homes = [folder.arm(name, s, rate if config.finetune.sweeps else None) for s in seeds]
    evaluations = [_read(home / "evaluation.json") for home in homes]
    tuning = [_read(home / "finetuned.json") for home in homes]
    targets = [_read(folder.targets(arm.data, s)) for s in seeds]
    spent = [*targets, *(t["sampled"] for t in tuning if "sampled" in t)]
    if arm.rewriter:
        spent += [_read(folder.adapter(s, arm.rewriter) / "done.json") for s in seeds]
    if arm.replay:
        spent += [_read(folder.replay_summary(s)) for s in seeds]
    tasks = [task for task in evaluations[0]["by_task"] if _reported(task)]
    return {
        "target": _scores(statistics.target_per_seed, statistics.target_ci95),
        "general": _scores(statistics.general_per_seed, statistics.general_ci95),
        "by_task": {
            task: mean_of_known([e["by_task"][task]["score"] for e in evaluations if task in e["by_task"]])
            for task in tasks
        },
        "forgetting": {
            "absolute": statistics.absolute,
            "relative": statistics.relative,
            "share_avoided": statistics.share_avoided,
            "ci95": statistics.absolute_ci95,
            "relative_ci95": statistics.relative_ci95,
            "share_avoided_ci95": statistics.share_avoided_ci95,
        },
        "data": {
            key: mean_of_known([t[key] for t in targets]) if arm.imitates or key == "accepted" else None
            for key in ("nll", "diversity", "accepted")
        },
        "no_answer": mean_of_known([e["no_answer"] for e in evaluations]),
        "kl": mean_of_known([e.get("kl") for e in evaluations]),
        "cost": {
            "seconds": sum(t["seconds"] for t in spent) / len(seeds),
            "tokens": sum(t["tokens"] for t in spent) / len(seeds),
            "finetune_seconds": mean_of_known([t["seconds"] for t in tuning]),
        },
        "learning_rate": rate,
    }


def seconds_by_stage(events: list[dict[str, Any]]) -> dict[str, float]:
    """Where the time went, in seconds by stage; a stage that was interrupted counts up to its last event."""
    spent: dict[str, float] = {}

    def add(stage: str, seconds: float) -> None:
        spent[stage] = round(spent.get(stage, 0.0) + seconds, 2)

    begun, last = None, 0.0
    for event in events:
        if event["kind"] == "stage" and event["state"] == "end":
            add(event["stage"], event["seconds"])
            begun = None
        elif event["kind"] == "stage":
            if begun is not None:
                add(begun["stage"], last - begun["t"])
            begun = event
        last = event["t"]
    return spent
