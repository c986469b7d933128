"""Results, verdicts and estimates as sentences, the same for terminal, page and report. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from patchrl.config.arms import display_name
from patchrl.grading.calibration import MIN_SENTENCE_ACCURACY
from patchrl.reporting.samples_table import GATE_WORDS
from patchrl.reporting.tables import KIND_NAMES, comparisons, share_avoided
from patchrl.text import about_minutes, counted, number, percent, points, points_interval

Result = dict[str, Any]
LITTLE = 0.2  # a share of general items answered right, of which little can be forgotten


# --- the result of a study ------------------------------------------------------------------------


def headline(result: Result) -> str:
    """What the study measured, in two or three sentences that a reader can check in the table."""
    base, expert = result["base"], result["arms"]["expert"]
    target = (
        f"Plain SFT on expert data moves the target task from {percent(base['target'])} to "
        f"{percent(expert['target']['mean'])}"
    )
    if base["general"] is None:
        return f"{target}. Forgetting was not measured: no general tasks were named."
    sentences = [
        f"{target} and general skills from {percent(base['general'])} to {percent(expert['general']['mean'])}."
    ]
    if "rl" in result["arms"]:
        rl = result["arms"]["rl"]
        if rl["data"]["accepted"] == 0:
            sentences.append(
                "None of PatchRL's rewrites passed the gate, so RL was trained on the expert's text as it is."
            )
        else:
            sentences += [
                f"On PatchRL's rewrites the target reaches {percent(rl['target']['mean'])} with general skills at "
                f"{percent(rl['general']['mean'])}.",
                _avoided(base, expert["forgetting"], rl["forgetting"]),
            ]
    return " ".join(sentences)


def _avoided(base: Result, expert: Result, arm: Result) -> str:
    if arm["share_avoided"] is not None:
        return f"That avoids {share_avoided(arm)} % of the {points(expert['absolute'])} points that plain SFT forgot."
    if base["general"] < LITTLE:
        return (
            f"The backbone had only {percent(base['general'])} of these skills before, so this study says little about "
            "forgetting; name general tasks that it can do."
        )
    loss = points_interval(expert["absolute"], expert["ci95"])
    return f"Plain SFT forgot {loss} points, which may be nothing, so no share of it can be avoided."


def detectable_sentence(result: Result) -> str:
    """Which differences the study is large enough to detect; empty where nothing was compared."""
    detectable = result.get("comparisons", {}).get("detectable", {})
    differences = [
        f"{points(value)} points on {KIND_NAMES[kind]}" for kind, value in detectable.items() if value and value < 1
    ]
    if not differences:
        return ""
    one_seed = "" if len(result["seeds"]) > 1 else " All of this is one seed; other seeds may differ."
    return f"The study detects differences of {' and '.join(differences)} or more between any two arms (80 % power).{one_seed}"


def comparison_sentences(result: Result, versus: Sequence[str] = ()) -> list[str]:
    """Comparisons in words; `versus` keeps those in which one of these arms takes part."""
    return [comparison_sentence(c) for c in comparisons(result, versus)]


def comparison_sentence(comparison: dict[str, Any]) -> str:
    """One comparison in words: better, worse, or cannot tell and which difference would have been detected."""
    a, b = display_name(comparison["a"]), display_name(comparison["b"])
    kind = KIND_NAMES[comparison["on"]]
    difference = points_interval(comparison["difference"], comparison["ci95"])
    if comparison["verdict"] != "cannot tell":
        return f"{a} is {comparison['verdict']} than {b} on {kind}: {difference} points."
    low, high = comparison["ci95"]
    corrected = ", too little after correction for all comparisons" if low > 0 or high < 0 else ""
    detectable = comparison["detectable"]
    if detectable is None:
        return f"Cannot tell {a} from {b} on {kind}: no answer differs, or the items are too few to say."
    would = f"a difference of {points(detectable)}" if detectable < 1 else "with seeds this far apart, none"
    return f"Cannot tell {a} from {b} on {kind}: {difference} points{corrected}; {would} would have shown."


# --- the gate, groups and training ----------------------------------------------------------------


def verdict_words(row: dict[str, Any]) -> str:
    """The gate's verdict with a sign and its reason."""
    words = GATE_WORDS[row["passed"]]
    return f"{words} ({row['reason']})" if row["reason"] else words


def group_words(candidates: Sequence[dict[str, Any]]) -> str:
    """A group of rewrites in one sentence: how many pass, and the mean ℓ of those."""
    passing = [c["nll"] for c in candidates if c["passed"] and c["nll"] is not None]
    passed = f"{sum(c['passed'] is True for c in candidates)} of {len(candidates)} pass"
    return passed + (f"; mean ℓ of those {number(sum(passing) / len(passing))} nats per token" if passing else "")


def warnings(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The warnings among a run's events, in their order."""
    return [event for event in events if event["kind"] == "message" and event["level"] == "warning"]


def alarms(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The alarms of the monitors among a run's events, in their order."""
    return [event for event in events if event["kind"] == "message" and "monitor" in event]


def lost_groups(event: dict[str, Any]) -> str:
    """The groups a training step could not learn from, as the end of a line; empty without such groups."""
    parts = (
        (event.get("failed_groups"), "without a passing rewrite"),
        (event.get("unscorable_groups"), "without a verdict"),
    )
    return "".join(f", {counted(count, 'group')} {what}" for count, what in parts if count)


def describe_calibration(open_gate: dict[str, Any]) -> str:
    """How the gate tells open answers apart, in a sentence."""
    pairs = len(open_gate["same"]) + len(open_gate["different"])
    return (
        f"Open answers: a rewrite counts as saying what the expert says from a cosine of {number(open_gate['threshold'])} "
        f"on. That is right for {percent(open_gate['balanced_accuracy'], 0)} of this data's own {pairs} pairs (rewrites "
        "of the same and of another example)."
    )


def describe_coverage(coverage_gate: dict[str, Any]) -> str:
    """How the gate tells texts that keep the expert's claims from texts that lose one, in a sentence."""
    pairs = len(coverage_gate["same"]) + len(coverage_gate["different"])
    return (
        f"Coverage: a sentence of the expert counts as kept from {percent(coverage_gate['threshold'], 0)} of its terms on. "
        f"That is right for {percent(coverage_gate['balanced_accuracy'], 0)} of {pairs} texts made from this data (the "
        "expert's with words left out; and without one of its sentences, another row's, and the bare answer)."
    )


def describe_sentences(sentence_gate: dict[str, Any]) -> str:
    """How well embeddings tell sentences of the same meaning from others, and whether they are used."""
    accuracy = sentence_gate["balanced_accuracy"]
    used = (
        "they decide where words do not"
        if accuracy >= MIN_SENTENCE_ACCURACY
        else "too few to decide, so words alone do"
    )
    return f"Embeddings tell {percent(accuracy, 0)} of this data's pairs of sentences apart: {used}."


# --- estimates and the state of a run -------------------------------------------------------------


def first_reading(check: dict[str, Any]) -> str:
    """What the check's one forward pass found."""
    return f"its ℓ is {number(check['first_nll'])} nats per token, read on {check['device']}"


def estimates(check: dict[str, Any]) -> dict[str, str]:
    """Time, disk and memory that the preflight expects, in words."""
    minutes, disk, ram = check["minutes"], check["disk_mb"], check["ram_mb"]
    unknown = "unknown for this backbone"
    return {
        "Time": unknown if minutes is None else f"{about_minutes(minutes)} on two CPU cores",
        "Disk": unknown if disk is None else f"about {number(disk, 0)} MB",
        "RAM": unknown if ram is None else f"about {number(ram, 0)} MB or more",
    }
