"""The tables of a result as rows of text, the same for terminal, page, report and cards. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from patchrl.config.arms import display_name, parse
from patchrl.text import MISSING, compact, number, percent, points, points_interval

Result = dict[str, Any]
Rows = list[list[str]]
# Which scores are compared, in words.
KIND_NAMES = {"target": "the target task", "general": "general skills"}
RESULT_HEADERS = (
    "Arm",
    "Target %",
    "General %",
    "Forgotten, points",
    "Forgotten, relative %",
    "Drop avoided %",
    "No answer %",
    "Rewrites accepted %",
    "ℓ of targets",
    "Data cost, s",
)
SEED_HEADERS = ("Arm", "Seed", "Target %", "General %", "Forgotten, points")
CHANGE_HEADERS = ("Arm", "Right → wrong, % of general items", "Wrong → right, %", "KL to the backbone, nats per token")
RATE_HEADERS = ("Arm", "Learning rate", "Chosen by, target %", "Target %", "General %", "")
COMPARISON_HEADERS = ("Compared", "On", "Verdict", "Difference, points", "p, corrected", "Detectable, points")
MAX_MAIN_ARMS = 6


def result_rows(result: Result) -> Rows:
    """The results table, one row for the backbone and one per arm, under RESULT_HEADERS."""
    base = result["base"]
    backbone = [
        display_name("base"),
        points_interval(base["target"], base.get("target_ci95")),
        points_interval(base["general"], base.get("general_ci95")),
        *("", "", ""),
        points(base["no_answer"]),
        *("", "", ""),
    ]
    return [backbone, *(_arm_row(arm, values) for arm, values in result["arms"].items())]


def _arm_row(arm: str, values: Result) -> list[str]:
    forgetting, data = values["forgetting"], values["data"]
    return [
        display_name(arm),
        points_interval(values["target"]["mean"], values["target"]["ci95"]),
        points_interval(values["general"]["mean"], values["general"]["ci95"]),
        points_interval(forgetting["absolute"], forgetting["ci95"]),
        points_interval(forgetting["relative"], forgetting.get("relative_ci95")),
        share_avoided(forgetting),
        points(values["no_answer"]),
        MISSING if parse(arm).data == "expert" else points(data["accepted"], 0),
        number(data["nll"]),
        number(values["cost"]["seconds"], 0),
    ]


def share_avoided(forgetting: Result) -> str:
    """The share of plain SFT's drop that an arm avoided, in points; plain SFT's own share has no interval."""
    ci95 = forgetting.get("share_avoided_ci95")
    return points_interval(forgetting["share_avoided"], ci95 if ci95 and ci95[0] != ci95[1] else None, 0)


def seed_rows(result: Result) -> Rows:
    """Every seed of every arm, under SEED_HEADERS."""
    rows = []
    for arm, values in result["arms"].items():
        general = values["general"]["per_seed"] or [None] * len(result["seeds"])
        for seed, target, skill in zip(result["seeds"], values["target"]["per_seed"], general, strict=True):
            drop = None if skill is None else result["base"]["general"] - skill
            rows.append([display_name(arm), str(seed), points(target), points(skill), points(drop)])
    return rows


def change_rows(result: Result) -> Rows:
    """What each arm changed, under CHANGE_HEADERS; empty for results of earlier versions, which did not measure it."""
    return [
        [display_name(arm), points(values["right_to_wrong"]), points(values["wrong_to_right"]), number(values["kl"])]
        for arm, values in result["arms"].items()
        if "right_to_wrong" in values
    ]


def rate_rows(result: Result) -> Rows:
    """Every arm at every learning rate, under RATE_HEADERS; empty where only one rate was tried."""
    return [
        [
            display_name(arm),
            compact(at["rate"]),
            points(at["validation"]),
            points_interval(at["target"]["mean"], at["target"]["ci95"]),
            points_interval(at["general"]["mean"], at["general"]["ci95"]),
            "compared" if at["chosen"] else "",
        ]
        for arm, values in result["arms"].items()
        for at in values.get("sweep", ())
        if len(values["sweep"]) > 1
    ]


def evaluation_rows(events: Sequence[dict[str, Any]]) -> Rows:
    """Scores of a study that is not finished, one row per evaluation event: arm, seed, target and general skills."""
    # A step that died before its proof was written reports twice.
    newest = {(e["arm"], e["seed"], e.get("rate")): e for e in events if e["kind"] == "evaluation"}
    return [
        [
            display_name(e["arm"]) + (f", rate {compact(e['rate'])}" if "rate" in e else ""),
            MISSING if e["seed"] is None else str(e["seed"]),
            points(e["target"]),
            points(e["general"]),
        ]
        for e in newest.values()
    ]


def main_arms(result: Result) -> tuple[str, ...]:
    """The arms whose comparisons come first: plain SFT and RL, of many arms RL alone (plain SFT without it)."""
    arms = tuple(arm for arm in ("expert", "rl") if arm in result["arms"])
    return arms if len(result["arms"]) <= MAX_MAIN_ARMS else arms[-1:]


def comparisons(result: Result, versus: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Pairs of arms; `versus` keeps those in which one of these arms takes part."""
    pairs = result.get("comparisons", {}).get("pairs", ())
    return [c for c in pairs if not versus or {c["a"], c["b"]} & set(versus)]


def comparison_rows(result: Result, versus: Sequence[str] = ()) -> Rows:
    """Pairs of arms on target and on general skills, under COMPARISON_HEADERS."""
    return [
        [
            f"{display_name(c['a'])} – {display_name(c['b'])}",
            KIND_NAMES[c["on"]],
            c["verdict"],
            points_interval(c["difference"], c["ci95"]),
            "< 0.001" if c["p_holm"] < 0.001 else number(c["p_holm"]),
            "none" if (c["detectable"] or 0) >= 1 else points(c["detectable"]),
        ]
        for c in comparisons(result, versus)
    ]


def skill_rows(result: Result) -> tuple[list[str], Rows]:
    """Headers and rows of every task: the backbone's score, and each arm's change in points."""
    base, arms = result["base"]["by_task"], result["arms"]
    tasks = sorted(base, key=lambda task: (not task.startswith("target/"), task))
    rows = [
        [task_name(task), percent(base[task], 0)]
        + [points(values["by_task"][task] - base[task], 0, signed=True) for values in arms.values()]
        for task in tasks
    ]
    return ["Task", f"{display_name('base')}, %", *(f"{display_name(arm)}, points" for arm in arms)], rows


def task_name(task: str) -> str:
    """`sort`, `held-out (target)`, from `general/sort` and `target/held-out`."""
    kind, name = task.split("/", 1)
    return f"{name} (target)" if kind == "target" else name
