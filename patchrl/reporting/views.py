"""Events and results as tables and sentences. Pure: plain dicts in, text out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from patchrl.config.arms import parse

ARM_NAMES = {
    "base": "Backbone",
    "expert": "Expert (plain SFT)",
    "prompted": "Prompted rewrite",
    "best-of-k": "Best-of-K rewrite",
    "best-of-k+kl": "Best-of-K rewrite + KL",
    "rl": "RL rewrite (PatchRL)",
    "rl+kl": "RL rewrite + KL",
    "rl-paper": "RL rewrite, as published",
    "rl-mean": "RL, the paper’s ℓ",
    "rl-no-alignment": "RL without alignment",
    "rl-no-diversity": "RL without diversity",
    "rl-drop": "RL, failures dropped",
    "rl-best-of-k": "RL, best of K",
    "mind-the-gap": "Mind the gap",
    "self": "Own correct answers",
    "self-resampled": "Own correct answers, resampled",
    "dft": "Expert, DFT loss",
    "eaft": "Expert, EAFT loss",
    "kl": "Expert, KL to the backbone",
    "grpo": "GRPO on the task",
    "sft-then-rl": "Expert, then GRPO",
    "dypo": "DYPO",
    "sdft": "Self-distillation (SDFT)",
    "low-lr": "Expert, low learning rate",
    "replay": "Expert, replay",
    "wise-ft": "Expert, weights interpolated",
    "lora": "Expert, LoRA",
    "own": "Backbone's own answers",
}
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


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:z.{digits}f}"


def _with_interval(value: dict[str, Any]) -> str:
    if value["mean"] is None:
        return "–"
    if not value["ci95"]:
        return _percent(value["mean"])
    return f"{_percent(value['mean'])} [{_percent(value['ci95'][0])}, {_percent(value['ci95'][1])}]"


def _share(forgotten: dict[str, Any]) -> str:
    """The share of plain SFT's drop that was avoided, with its interval where there is one."""
    share, ci95 = _percent(forgotten["share_avoided"], 0), forgotten.get("share_avoided_ci95")
    return share if not ci95 or ci95[0] == ci95[1] else f"{share} [{_percent(ci95[0], 0)}, {_percent(ci95[1], 0)}]"


def result_rows(result: dict[str, Any]) -> list[list[str]]:
    """The results table, one row for the backbone and one per arm, as text under RESULT_HEADERS."""
    base = result["base"]
    rows = [
        [
            ARM_NAMES["base"],
            _with_interval({"mean": base["target"], "ci95": base.get("target_ci95")}),
            _with_interval({"mean": base["general"], "ci95": base.get("general_ci95")}),
            "",
            "",
            "",
            _percent(base["no_answer"]),
        ]
    ]
    rows[0] += ["", "", ""]
    for arm, values in result["arms"].items():
        forgotten = values["forgetting"]
        points = {"mean": forgotten["absolute"], "ci95": forgotten["ci95"]}
        rows.append(
            [
                ARM_NAMES.get(arm, arm),
                _with_interval(values["target"]),
                _with_interval(values["general"]),
                _with_interval(points),
                _with_interval({"mean": forgotten["relative"], "ci95": forgotten.get("relative_ci95")}),
                _share(forgotten),
                _percent(values["no_answer"]),
                "–" if parse(arm).data == "expert" else _percent(values["data"]["accepted"], 0),
                "–" if values["data"]["nll"] is None else f"{values['data']['nll']:.3f}",
                f"{values['cost']['seconds']:.0f}",
            ]
        )
    return rows


def headline(result: dict[str, Any]) -> str:
    """What the study found, in two or three sentences a reader can check in the table."""
    base, expert = result["base"], result["arms"]["expert"]
    told = [
        f"Plain SFT on expert data moves the target task from {_percent(base['target'])} % to "
        f"{_percent(expert['target']['mean'])} %"
    ]
    if base["general"] is None:
        return told[0] + ". Forgetting was not measured: no general tasks were named."
    told[0] += f" and general skills from {_percent(base['general'])} % to {_percent(expert['general']['mean'])} %."
    if "rl" in result["arms"]:
        ours = result["arms"]["rl"]
        if ours["data"]["accepted"] == 0:
            told.append("None of PatchRL's rewrites passed the gate, so RL was trained on the expert's text as it is.")
            return " ".join(told)
        told.append(
            f"On PatchRL's rewrites the target reaches {_percent(ours['target']['mean'])} % "
            f"with general skills at {_percent(ours['general']['mean'])} %."
        )
        lost = expert["forgetting"]
        if ours["forgetting"]["share_avoided"] is not None:
            told.append(
                f"That avoids {_share(ours['forgetting'])} % of the {_percent(lost['absolute'])} points that plain SFT forgot."
            )
        elif base["general"] == 0:
            told.append("The backbone had nothing of these skills to forget, so this says nothing of forgetting.")
        else:
            points = _with_interval({"mean": lost["absolute"], "ci95": lost["ci95"]})
            told.append(f"Plain SFT forgot {points} points, which may be nothing: there is no share of it to avoid.")
    return " ".join(told)


KIND_NAMES = {"target": "the target task", "general": "general skills"}
COMPARISON_HEADERS = ("Compared", "On", "Verdict", "Difference, points", "p, corrected", "Detectable, points")


MANY_ARMS = 6


def main_arms(result: dict[str, Any]) -> tuple[str, ...]:
    """The arms whose comparisons are told first: plain SFT and RL, of many arms RL alone (plain SFT without it)."""
    found = tuple(arm for arm in ("expert", "rl") if arm in result["arms"])
    return found if len(result["arms"]) <= MANY_ARMS else found[-1:]


def _pairs(result: dict[str, Any], versus: Sequence[str]) -> list[dict[str, Any]]:
    pairs = result.get("comparisons", {}).get("pairs", ())
    return [c for c in pairs if not versus or {c["a"], c["b"]} & set(versus)]


def detectable_sentence(result: dict[str, Any]) -> str:
    """What differences the study was large enough to tell; empty where nothing was compared."""
    found = result.get("comparisons", {}).get("detectable", {})
    known = [f"{_percent(value)} points on {KIND_NAMES[on]}" for on, value in found.items() if value and value < 1]
    if not known:
        return ""
    seeds = "" if len(result["seeds"]) > 1 else " All of this is of one seed; other seeds may differ."
    return f"Differences of {' and '.join(known)} or more show between any two arms (80 % power).{seeds}"


def comparison_rows(result: dict[str, Any], versus: Sequence[str] = ()) -> list[list[str]]:
    """Pairs of arms on target and on general skills, as text under COMPARISON_HEADERS; `versus` as in the sentences."""
    return [
        [
            f"{ARM_NAMES.get(c['a'], c['a'])} – {ARM_NAMES.get(c['b'], c['b'])}",
            KIND_NAMES[c["on"]],
            c["verdict"],
            _with_interval({"mean": c["difference"], "ci95": c["ci95"]}),
            "< 0.001" if c["p_holm"] < 0.001 else f"{c['p_holm']:.3f}",
            "none" if (c["detectable"] or 0) >= 1 else _percent(c["detectable"]),
        ]
        for c in _pairs(result, versus)
    ]


def comparison_sentence(comparison: dict[str, Any]) -> str:
    """One comparison in words: better, worse, or cannot tell and what could have been told."""
    a, b = (ARM_NAMES.get(comparison[side], comparison[side]) for side in ("a", "b"))
    on, by = (
        KIND_NAMES[comparison["on"]],
        _with_interval({"mean": comparison["difference"], "ci95": comparison["ci95"]}),
    )
    if comparison["verdict"] != "cannot tell":
        return f"{a} is {comparison['verdict']} than {b} on {on}: {by} points."
    low, high = comparison["ci95"]
    alone = ", too little after correction for all comparisons" if low > 0 or high < 0 else ""
    detectable = comparison["detectable"]
    if detectable is None:
        return f"Cannot tell {a} from {b} on {on}: no answer differs, or the items are too few to say."
    would = f"a difference of {_percent(detectable)}" if detectable < 1 else "with seeds this far apart, none"
    return f"Cannot tell {a} from {b} on {on}: {by} points{alone}; {would} would have shown."


def comparison_sentences(result: dict[str, Any], versus: Sequence[str] = ()) -> list[str]:
    """Comparisons in words; `versus` keeps those in which one of these arms takes part."""
    return [comparison_sentence(c) for c in _pairs(result, versus)]


SWEEP_HEADERS = ("Arm", "Learning rate", "Chosen by, target %", "Target %", "General %", "")


def sweep_rows(result: dict[str, Any]) -> list[list[str]]:
    """Every arm at every learning rate, as text under SWEEP_HEADERS; none where only one was tried."""
    return [
        [
            ARM_NAMES.get(arm, arm),
            f"{point['rate']:g}",
            _percent(point["validation"]),
            _with_interval(point["target"]),
            _with_interval(point["general"]),
            "compared" if point["chosen"] else "",
        ]
        for arm, values in result["arms"].items()
        for point in values.get("sweep", ())
        if len(values["sweep"]) > 1
    ]


def per_seed_rows(result: dict[str, Any]) -> list[list[str]]:
    """Every seed of every arm: arm, seed, target, general, forgotten points."""
    rows = []
    for arm, values in result["arms"].items():
        general = values["general"]["per_seed"] or [None] * len(result["seeds"])
        for seed, target, skill in zip(result["seeds"], values["target"]["per_seed"], general, strict=True):
            lost = None if skill is None else result["base"]["general"] - skill
            rows.append([ARM_NAMES.get(arm, arm), str(seed), _percent(target), _percent(skill), _percent(lost)])
    return rows


def describe_calibration(open_gate: dict[str, Any]) -> str:
    """How open answers are told apart, in a sentence."""
    pairs = len(open_gate["same"]) + len(open_gate["different"])
    return (
        f"Open answers: a rewrite says what the expert says from a cosine of {open_gate['threshold']:.3f} on, which is "
        f"right for {open_gate['balanced_accuracy']:.0%} of this data's own {pairs} pairs (rewrites of the same and of "
        "another example)."
    )


def warnings(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages among a run's events that warn, in their order."""
    return [event for event in events if event["kind"] == "message" and event["level"] == "warning"]


def lost_groups(event: dict[str, Any]) -> str:
    """What a training step could not learn from, as the end of a line; empty when it was nothing."""
    parts = (
        (event.get("failed_groups"), "without a passing rewrite"),
        (event.get("unscorable_groups"), "without a verdict"),
    )
    return "".join(f", {count} group{'s' if count > 1 else ''} {what}" for count, what in parts if count)


def gain(row: dict[str, Any]) -> float | None:
    """ℓ of the expert solution minus ℓ of the rewrite, in nats per token; None without a score."""
    if row["nll_rewrite"] is None or row["nll_expert"] is None:
        return None
    return row["nll_expert"] - row["nll_rewrite"]


def format_seconds(seconds: float | None) -> str:
    """3 s, 4 min 05 s, 2 h 10 min; a dash for the unknown."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def about_minutes(minutes: float) -> str:
    """An estimate in words."""
    if minutes < 1:
        return "under a minute"
    if minutes < 90:
        return "about a minute" if minutes < 1.5 else f"about {minutes:.0f} minutes"
    return f"about {minutes / 60:.1f} hours"


def study_left(status: dict[str, Any]) -> str:
    """What is left of everything that was asked for; empty before one can tell."""
    seconds, upto = status.get("study_eta_seconds"), status.get("upto", "report")
    if seconds is None:
        return ""
    what = "the study" if upto == "report" else f"the study up to its {upto} stage"
    return f"{about_minutes(seconds / 60)} left of {what}"


def describe_status(status: dict[str, Any]) -> str:
    """One line for a terminal or a page: state, where it is, how far, how long still."""
    where = " · ".join(
        part
        for part in (
            status.get("stage"),
            status.get("arm") if status.get("stage") not in ("train", "scan") else None,
            f"seed {status['seed']}" if status.get("seed") is not None else None,
        )
        if part
    )
    if status["state"] in ("running", "stopping"):
        line = f"{status['state']}: {where or 'starting'}"
        if status.get("total"):
            line += f", {status['done']} of {status['total']}"
            line += f" ({status['note']})" if status.get("note") else ""
            if status.get("eta_seconds") is not None:
                line += f", {format_seconds(status['eta_seconds'])} left in this stage"
        return line + (f"; {left}" if (left := study_left(status)) else "")
    if status["state"] == "queued":
        behind = status.get("ahead") or ()
        return f"queued behind {', '.join(behind)}; it starts by itself" if behind else "queued: starting"
    if status.get("error"):
        return f"{status['state']}: {status['error']}"
    took = (status.get("finished") or time.time()) - status["started"] if status.get("started") else None
    took = took if took is None else took + status.get("worked", 0.0)  # earlier goes of a resumed run
    return f"{status['state']} after {format_seconds(took)}" if took else status["state"]


def number(value: float | None) -> str:
    """Three digits after the point; a dash for what was not scored."""
    return "–" if value is None else f"{value:.3f}"


def verdict_words(row: dict[str, Any]) -> str:
    """The gate's word with a sign and its reason."""
    sign = {True: "✓ passed", False: "✗ failed", None: "? unscorable"}[row["passed"]]
    return f"{sign} ({row['reason']})" if row["reason"] else sign


def group_words(candidates: Sequence[dict[str, Any]]) -> str:
    """A group of rewrites in one sentence: how many pass, and how surprising those are."""
    passing = [c["nll"] for c in candidates if c["passed"] and c["nll"] is not None]
    told = f"{sum(c['passed'] is True for c in candidates)} of {len(candidates)} pass"
    return told + (f"; mean ℓ of those {sum(passing) / len(passing):.3f} nats per token" if passing else "")
