"""What a scan found, as sentences and tables, for the command line, the page and the report. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from patchrl.reporting import markup
from patchrl.reporting.views import ARM_NAMES, about_minutes, describe_calibration
from patchrl.text import dropped_rows

Scan = dict[str, Any]
Rows = list[list[str]]

SOURCES = {"own": "Backbone's own answers", "prompted": "Prompted rewrites", "expert": "Expert solutions"}
QUANTILE_HEADERS = ("ℓ, nats per token", "5 %", "25 %", "50 %", "75 %", "95 %")
DIVERGENCE_HEADERS = ("On the task, by sampling", "Nats per token", "Nats per answer")
DIVERGENCES = {
    "expert": "Cross-entropy of expert solutions (bounds their KL)",
    "own": "Entropy of the backbone's own answers",
    "excess": "Difference (KL, if the expert varies as much)",
    "prompted": "KL of the prompted backbone from the backbone",
}
WAY_HEADERS = ("To rewrite every example", "Rewrites", "Tokens", "Time here", "Own style expected")
TOKEN_HEADERS = ("Token", "Times", "Mean surprisal, nats", "Part of the gap", "Where it surprises most")
ROW_HEADERS = ("Row", "ℓ", "Expert solution", "Backbone's own answer")
CHOICES = {"prompted": "prompted rewrites", "best-of-k": "best-of-k", "rl": "RL", "instruction": "another instruction"}


def sentences(scan: Scan) -> list[str]:
    """The findings in words; what an older scan did not measure is left out."""
    told = [_rows_sentence(scan)] if "kept" in scan else []
    if scan.get("gap") is None:
        return [*told, "The scan found nothing it could score."]
    told.append(
        f"Expert solutions surprise the backbone by {scan['expert_mean']:.2f} nats per token, its own answers by "
        f"{scan['own_mean']:.2f}: {_with_interval(scan['gap'], scan.get('gap_ci95'), '.1f')} standard deviations apart."
    )
    if scan.get("clipped"):
        told.append(
            f"{scan['clipped']:.0%} of the backbone's own answers were cut off: raise evaluate.max_new_tokens, or their ℓ "
            "is that of beginnings."
        )
    if "open_gate" in scan:
        told.append(describe_calibration(scan["open_gate"]))
    if "own_right" in scan:
        told.append(
            "{passed} of {scorable} of its own answers that could be checked pass the gate.".format(**scan["own_right"])
        )
    if "own_style" in scan:
        told.append(own_style_sentence(scan["own_style"]))
    if "repetition" in scan:
        told.append(repetition_sentence(scan["repetition"]))
    if "advice" in scan:
        told.append(advice_sentence(scan["advice"]))
    if "forecast" in scan:
        told.append(forecast_sentence(scan["forecast"]))
    return told


def _rows_sentence(scan: dict[str, Any]) -> str:
    """How many rows there are, how many of them are trained on, and what was dropped."""
    train = f", {scan['train']:,} of them to train on" if "train" in scan else ""
    return f"{scan['kept']:,} usable rows{train}; dropped: {dropped_rows(scan['dropped'])}."


def own_style_sentence(found: dict[str, Any]) -> str:
    """How often a prompted rewrite is in the backbone's own style."""
    if not found["passed"]:
        return f"Of {found['scorable']} prompted rewrites that could be checked none passes the gate."
    low, high = found["range"]
    return (
        f"{found['passed']} of {found['scorable']} prompted rewrites pass the gate; "
        f"{_with_interval(100 * found['share'], [100 * v for v in found['ci95']], '.0f')} % of those are in the backbone's "
        f"own style, as far as ℓ tells (within {low:.2f} to {high:.2f}, where 95 % of its own answers lie)."
    )


def repetition_sentence(found: dict[str, Any]) -> str:
    """Duplicates, and the template expert solutions follow."""
    told = (
        f"Of {found['rows']} examples {found['repeated_solutions']:.1%} share their solution with another and "
        f"{found['near_duplicates']:.1%} nearly repeat another"
    )
    if not found["phrases"]:
        return f"{told}; no phrase is in a tenth of the solutions."
    first = max(found["phrases"], key=lambda p: (p["share"], len(p["text"])))
    return (
        f"{told}; {found['templated']:.0%} of solutions hold one of the commonest phrases, {first['share']:.0%} hold "
        f"“{first['text']}” (numbers as #)."
    )


def advice_sentence(advice: dict[str, Any]) -> str:
    """The recommendation, and whether it is a close call."""
    if advice["choice"] is None:
        return advice["why"]
    told = f"Advice, a rule of thumb from the nano lab: {CHOICES[advice['choice']]}. {advice['why']}"
    others = [CHOICES[end] for end in advice["at_ends"] if end != advice["choice"]]
    if others:
        low, high = advice["hit_ci95"]
        told += (
            f" A close call: the hit rate of {advice['hit']:.0%} may be {low:.0%} to {high:.0%}, where it would be "
            f"{' or '.join(dict.fromkeys(others))}."
        )
    return told


def forecast_sentence(found: dict[str, Any]) -> str:
    """What the lab's own runs say of forgetting at this gap, or that they say nothing."""
    arm, backbone = (found["left_out"][by] for by in ("arm", "backbone"))
    basis = (
        f"over {found['arms']} arms of the lab's own runs on {found['backbones']} nano backbones a line through the gap of ℓ "
        f"misses the points lost by {100 * arm['line']:.0f} on average for an arm left out and {100 * backbone['line']:.0f} "
        f"for a backbone left out; guessing the mean of the others misses by {100 * arm['mean']:.0f} and "
        f"{100 * backbone['mean']:.0f} (rank correlation {found['rank_correlation']:.2f})"
    )
    if found["drop"] is not None:
        return f"Forecast for plain SFT: {100 * found['drop']:.0f} points of general skill lost; {basis}."
    seen = ", ".join(f"{100 * p['drop']:.0f} points at {p['gap']:.1f} nats" for p in found["experts"])
    return f"No forecast of forgetting, because ℓ hardly foretells it: {basis}. Plain SFT lost {seen}. Measure it."


# --- tables ---------------------------------------------------------------------------------------


def quantile_rows(scan: Scan) -> Rows:
    """Under QUANTILE_HEADERS."""
    found = scan.get("quantiles", {})
    return [[name, *(f"{v:.3f}" for v in found[key].values())] for key, name in SOURCES.items() if found.get(key)]


def divergence_rows(scan: Scan) -> Rows:
    """Under DIVERGENCE_HEADERS."""
    found = scan.get("divergences", {})
    return [
        [name, *(_with_interval(found[key][per]["value"], found[key][per]["ci95"], f) for per, f in _UNITS)]
        for key, name in DIVERGENCES.items()
        if key in found
    ]


_UNITS = (("per_token", ".3f"), ("per_answer", ".1f"))


def way_rows(scan: Scan) -> Rows:
    """Under WAY_HEADERS; RL says how many of its groups show the own style instead."""
    rows = []
    for way in scan.get("advice", {}).get("ways", ()):
        name = ARM_NAMES[way["way"]] if "k" not in way else f"Best-of-{way['k']} rewrite"
        expected = "not known" if way["expected"] is None else f"{'up to ' if 'k' in way else ''}{way['expected']:.0%}"
        if way.get("shown") is not None:
            expected = f"in {way['shown']:.0%} of groups at first"
        rows.append([name, f"{way['rewrites']:,}", f"{way['tokens']:,}", about_minutes(way["minutes"]), expected])
    return rows


def token_rows(scan: Scan) -> Rows:
    """Under TOKEN_HEADERS."""
    return [
        [repr(t["text"]), str(t["count"]), f"{t['mean']:.2f}", f"{t['share']:.0%}", _line(f"{t['before']}⟦{t['text']}⟧{t['after']}")]
        for t in scan.get("tokens", ())
    ]  # fmt: skip


def row_rows(scan: Scan) -> Rows:
    """Under ROW_HEADERS."""
    return [[r["id"], f"{r['nll']:.2f}", _line(r["expert"]), _line(r["own"])] for r in scan.get("rows", ())]


TABLES = (
    ("How surprising the texts are", QUANTILE_HEADERS, quantile_rows),
    ("How far the distributions are apart", DIVERGENCE_HEADERS, divergence_rows),
    ("What each way would cost", WAY_HEADERS, way_rows),
    ("The tokens that make the gap", TOKEN_HEADERS, token_rows),
    ("The rows furthest from the backbone", ROW_HEADERS, row_rows),
)


def tables(scan: Scan) -> list[tuple[str, Sequence[str], Rows]]:
    """Title, headers and rows of every table that has any."""
    return [(title, headers, rows) for title, headers, make in TABLES if (rows := make(scan))]


def as_html(scan: Scan) -> str:
    """Sentences as a list; tables under titles that open."""
    told = "".join(f"<li>{markup.escape(text)}</li>" for text in sentences(scan))
    opened = "".join(
        f"<details><summary>{markup.escape(title)}</summary>{markup.table(headers, rows)}</details>"
        for title, headers, rows in tables(scan)
    )
    return f'<div class="findings"><ul>{told}</ul>{opened}</div>'


def _with_interval(value: float, ci95: Sequence[float] | None, digits: str) -> str:
    if not ci95:
        return format(value, digits)
    return f"{format(value, digits)} [{format(ci95[0], digits)}, {format(ci95[1], digits)}]"


def _line(text: str) -> str:
    return " ".join(text.split())
