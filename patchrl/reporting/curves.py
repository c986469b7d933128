"""Training curves as Plotly figures: a line per seed, rewriter and run, smoothed and thinned."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchrl.config import RewardSection
from patchrl.config.arms import display_name
from patchrl.reporting.figures import (
    End,
    Event,
    Figure,
    Reference,
    arm_style,
    label_ends,
    layout,
    reference_lines,
    rgba,
    significant,
)
from patchrl.reporting.sentences import alarms
from patchrl.rewards.group import part_weights
from patchrl.rewards.monitors import OWN_STYLE_QUANTILE
from patchrl.text import compact, number, percent

SEED_COLOURS = ("#009E73", "#0072B2", "#CC79A7", "#E69F00", "#56B4E9", "#D55E00")
SEED_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MAX_POINTS = 500
ALARM_COLOUR = "#D55E00"

# name in the event, title, unit of the axis, whether its spread is drawn
PANELS = (
    ("reward", "Reward", "reward", True),
    ("consistency", "Gate: rewrites that pass", "", False),
    ("nll", "Mismatch ℓ of passing rewrites", "nats per token", False),
    ("own_style_share", "As likely as own answers, of passing rewrites", "", False),
    ("alignment", "Alignment, failed rewrites as 0", "reward part", True),
    ("diversity", "Diversity, failed rewrites as 0", "reward part", True),
    ("own_distance", "Wording, distance to own answers", "energy distance", False),
    ("text_nll", "Surprisal of the whole text (passing)", "nats", False),
    ("max_token_nll", "Most surprising token (passing)", "nats", False),
    ("no_signal", "Groups with no signal", "share of groups", False),
    ("failed_groups", "Groups without a passing rewrite", "groups", False),
    ("unscorable_groups", "Groups without a verdict", "groups", False),
    ("entropy", "Entropy", "nats", False),
    ("length", "Completion length", "tokens", False),
    ("clipped", "Cut off by the length limit", "share of rewrites", False),
    ("kl", "KL to the backbone", "nats per token", False),
    ("ess", "ESS of stale rollouts", "share of rollouts", False),
    ("rate_factor", "Learning rate, ESS-scaled", "factor", False),
    ("loss", "Loss", "loss", False),
    ("step_seconds", "Step time", "seconds", False),
)
MAIN_CURVES = ("reward", "consistency", "nll", "own_style_share")  # large and first, constant or not
SHARES = ("consistency", "own_style_share")
STALENESS_CURVES = ("ess", "rate_factor")  # of every update, where rollouts serve several of them
SIGNED_CURVES = ("loss",)  # may be below zero
X_AXES = {"step": "step", "samples": "rewrites sampled", "time": "minutes"}
MAX_STEP_TICKS = 10


def smooth(values: Sequence[float | None], weight: float) -> list[float | None]:
    """Exponential moving average without start-up bias; gaps stay gaps. `weight` in [0, 1)."""
    mean, mass = 0.0, 0.0
    result: list[float | None] = []
    for value in values:
        if value is None:
            result.append(None)
            continue
        mean = weight * mean + (1 - weight) * value
        mass = weight * mass + (1 - weight)
        result.append(mean / mass)
    return result


def thin(rows: Sequence[Event], limit: int = MAX_POINTS) -> list[Event]:
    """At most `limit` rows, evenly spaced, the first and the newest always among them."""
    if len(rows) <= limit:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (limit - 1))] for i in range(limit)]


def training_figures(
    events: Sequence[Event],
    *,
    x: str = "step",
    smoothing: float = 0.0,
    log_y: bool = False,
    overlays: Mapping[str, Sequence[Event]] | None = None,
    reward: RewardSection | None = None,
) -> dict[str, Figure]:
    """A figure per training curve by name: a line per seed, those of other runs over it, and what to compare them with.

    A curve without values is left out, and one that is constant unless it is among MAIN_CURVES. Around a single line, a band
    is one standard deviation over the step's rewrites.

    Args:
        x: step, samples or time.
        smoothing: weight of the past, in [0, 1).
        overlays: name of another run -> its events; then colours tell runs, dashes seeds.
        reward: the run's own settings, for the reward that the backbone's own answers would earn.
    """
    lines, drawn = _lines(events, overlays or {}), {}
    for name, title, unit, spread in PANELS:
        traces: list[Figure] = []
        ends: list[End] = []
        last = 0.0
        values: set[float] = set()
        for line in lines:
            rows = line.updates if name in STALENESS_CURVES else line.rows
            ys = [significant(y) for y in smooth([row.get(name) for row in rows], smoothing)]
            known = [y for y in ys if y is not None]
            if not known:
                continue
            values.update(known)
            xs = [_minutes(row, line) if x == "time" else row[x] for row in rows]
            if spread and not log_y and len(lines) == 1:
                traces.append(_band(xs, ys, smooth([row.get(f"{name}_std") for row in line.rows], smoothing), line))
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers" if len(line.rows) < 60 else "lines",
                    "name": line.name,
                    "uid": line.uid,
                    "x": xs,
                    "y": ys,
                    "line": {"color": line.colour, "width": 2, "dash": line.dash},
                    "marker": {"size": 4},
                    "hovertemplate": f"{X_AXES[x]} %{{x:.4g}}<br>{title} %{{y:.4f}}<extra>{line.name}</extra>",
                }
            )
            ends.append((known[-1], line.name, line.colour))
            last = max(last, xs[-1])
            if name == "reward":
                traces += _alarm_marks(events if line.of_run else (), line, xs, ys)
        if (name in MAIN_CURVES and values) or len(values) > 1:
            look = layout(title, X_AXES[x], unit, yaxis=_y_axis(name, log_y), showlegend=False, height=280)
            if x == "step" and last <= MAX_STEP_TICKS:
                look["xaxis"]["dtick"] = 1
            look["shapes"] = reference_lines(_references(name, events, reward))
            drawn[name] = figure = {"data": traces, "layout": look}
            if len(lines) > 1:
                label_ends(figure, ends)
    return drawn


def _y_axis(name: str, log_y: bool) -> Figure:
    if log_y:
        return {"type": "log"}
    share = {"tickformat": ".0%", "range": [0, 1.04]} if name in SHARES else {}
    return {"type": "linear", "rangemode": "normal" if name in SIGNED_CURVES else "nonnegative"} | share


def _references(name: str, events: Sequence[Event], reward: RewardSection | None) -> list[Reference]:
    """What a curve is compared with."""
    if name == "nll":
        scan: Event = next((e for e in reversed(events) if e["kind"] == "scan"), {})
        names = {"own_mean": "own answers", "expert_mean": "expert"}
        values = [(scan[key], label) for key, label in names.items() if scan.get(key) is not None]
        return [(value, f"{label} {number(value, 2)}") for value, label in values]
    if name == "own_style_share":
        return [(OWN_STYLE_QUANTILE, f"own answers {percent(OWN_STYLE_QUANTILE)}")]
    if name == "reward" and reward:
        passing, aligned, _ = part_weights(reward)
        if reward.kind == "gain":
            return [(passing + aligned, "own answers that pass"), (passing, "copies of the expert")]
        whose = "all pass, in any style" if reward.alignment_scale == "group" else "own answers that pass"
        return [(passing + aligned / 2, whose)]  # alignment is 1/2 on average
    return []


def _alarm_marks(events: Sequence[Event], line: _Line, xs: Sequence[float], ys: Sequence[float | None]) -> list[Figure]:
    """A mark on the reward curve at each step with an alarm; its words on hover."""
    words: dict[int, list[str]] = {}
    for alarm in alarms(events):
        if "step" in alarm and alarm["seed"] == line.seed and alarm.get("rewriter", "rl") == line.rewriter:
            words.setdefault(alarm["step"], []).append(alarm["text"].replace("<", "&lt;"))
    steps = [row["step"] for row in line.rows]
    at = [max(0, bisect_right(steps, step) - 1) for step in words]
    if not at:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "alarm",
            "x": [xs[i] for i in at],
            "y": [ys[i] for i in at],
            "marker": {
                "symbol": "triangle-down",
                "size": 15,
                "color": ALARM_COLOUR,
                "line": {"width": 1.5, "color": "#fff"},
            },
            "text": ["<br>".join(texts) for texts in words.values()],
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]


@dataclass(frozen=True)
class _Line:
    name: str
    uid: str  # Plotly looks traces up by it in CSS selectors: letters, digits and - only
    rows: list[Event]
    updates: list[Event]  # staleness of every update; there are more of them than rows
    colour: str
    dash: str
    seed: int
    rewriter: str
    of_run: bool  # and not of one that is drawn over it


def _lines(events: Sequence[Event], overlays: Mapping[str, Sequence[Event]]) -> list[_Line]:
    """A line per run, seed and rewriter, thinned. Names reach a page as markup, so `<` is written out."""
    lines = []
    for run, (label, run_events) in enumerate({"": events, **overlays}.items()):
        trainings: dict[str, list[Event]] = {}
        stale: dict[str, list[Event]] = {}
        steps = [event for event in run_events if event["kind"] in ("train", "staleness")]
        several = any("rewriter" in event for event in steps)
        for event in steps:
            which = f"seed {event['seed']}" + (f", {event.get('rewriter', 'rl')}" if several else "")
            (trainings if event["kind"] == "train" else stale).setdefault(which, []).append(event)
        for index, (which, rows) in enumerate(trainings.items()):
            of_run = f"{label}, {which}" if label else f"this run, {which}" if overlays else which
            colour = SEED_COLOURS[(run if overlays else index) % len(SEED_COLOURS)]
            dash = SEED_DASHES[index % len(SEED_DASHES)]
            uid = re.sub(r"\W", "-", f"line-{label}-{which}")
            updates = _with_samples(thin(stale.get(which, [])), rows)
            name, first = of_run.replace("<", "&lt;"), rows[0]
            whose = first["seed"], first.get("rewriter", "rl"), not label
            lines.append(_Line(name, uid, thin(rows), updates, colour, dash, *whose))
    return lines


def _with_samples(updates: Sequence[Event], rows: Sequence[Event]) -> list[Event]:
    """Updates with the rewrites sampled until then, which the newest row up to their step tells."""
    steps = [row["step"] for row in rows]
    return [
        update | {"samples": rows[max(0, bisect_right(steps, update["step"]) - 1)]["samples"]} for update in updates
    ]


def _minutes(row: Event, line: _Line) -> float:
    return round((row["t"] - line.rows[0]["t"]) / 60, 3)


def _band(xs: list[float], ys: list[float | None], spread: list[float | None], line: _Line) -> Figure:
    measured = [(x, y, s) for x, y, s in zip(xs, ys, spread, strict=True) if y is not None and s is not None]
    return {
        "type": "scatter",
        "mode": "lines",
        "fill": "toself",
        "fillcolor": rgba(line.colour, 0.15),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "x": [x for x, _, _ in measured] + [x for x, _, _ in reversed(measured)],
        "y": [significant(y + s) for _, y, s in measured]
        + [significant(max(0.0, y - s)) for _, y, s in reversed(measured)],
    }


def loss_figure(events: Sequence[Event]) -> Figure | None:
    """Fine-tuning loss by step, one line per arm and seed."""
    return _tuning_figure(events, "loss", "Fine-tuning loss", "loss, nats per token")


def practice_figures(events: Sequence[Event]) -> dict[str, Figure]:
    """What on-policy arms did by step: the share of their answers that were right, and their own objective."""
    by_name = {
        "answers": _tuning_figure(events, "reward", "Right answers while practising", "share of answers"),
        "objective": _tuning_figure(events, "objective", "Objective of on-policy arms", "each arm's own"),
    }
    return {name: figure for name, figure in by_name.items() if figure}


def _tuning_figure(events: Sequence[Event], value: str, title: str, unit: str) -> Figure | None:
    """One value of `finetune` events by step, a line per arm, seed and learning rate."""
    lines: dict[tuple[str, int, float | None], list[Event]] = {}
    for event in events:
        if event["kind"] == "finetune" and event.get(value) is not None:
            lines.setdefault((event["arm"], event["seed"], event.get("rate")), []).append(event)
    if not lines:
        return None
    seeds = sorted({seed for _, seed, _ in lines})
    traces = []
    legend_arms: set[str] = set()
    for (arm, seed, rate), rows in lines.items():
        rows, (colour, symbol) = thin(rows), arm_style(arm)
        whose = f"{arm}, seed {seed}" + ("" if rate is None else f", {compact(rate)}")
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": display_name(arm),
                "hovertemplate": f"step %{{x}}: %{{y:.3g}}<extra>{whose}</extra>",
                "legendgroup": arm,
                "showlegend": arm not in legend_arms,
                "x": [row["step"] for row in rows],
                "y": [row[value] for row in rows],
                "marker": {"symbol": symbol, "size": 6, "maxdisplayed": 5},
                "line": {"color": colour, "width": 2, "dash": SEED_DASHES[seeds.index(seed) % len(SEED_DASHES)]},
            }
        )
        legend_arms.add(arm)
    return {"data": traces, "layout": layout(title, "step", unit, height=300)}
