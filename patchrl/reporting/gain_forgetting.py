"""The plane of learned and forgotten, as a Plotly figure. Pure: plain dicts in, plain dicts out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from patchrl.config.arms import display_name
from patchrl.reporting.figures import Event, Figure, arm_style, errors, layout, rgba
from patchrl.text import compact

Result = dict[str, Any]
Point = tuple[float, float]

MAX_LABELS = 6  # arms from which on a legend names them: labels would lie over each other
MARGIN = 0.16  # room around the points, as a share of their spread; the labels are in it
MIN_SPREAD = 10.0  # points; arms that lie closer are drawn close
# The names at the points, shorter than those in tables.
LABELS = {"expert": "Plain SFT", "rl": "RL rewrites", "prompted": "Prompted", "best-of-k": "Best of K"}
# A label's size as a share of the plot on a narrow panel, and where it may stand: its middle from the point.
CHARACTER, LINE = 0.026, 0.085
PLACES = {
    "top center": (0.0, 0.08),
    "bottom center": (0.0, -0.08),
    "middle right": (0.03, 0.0),
    "middle left": (-0.03, 0.0),
}
BETTER = (0.87, 0.95)  # where the corner's word is


def gain_forgetting_figure(result: Result) -> Figure:
    """Target score against general score: an arrow from the backbone to each arm, with 95 % intervals and every seed as a
    small point. `result` may be of a study that is not finished (`so_far`)."""
    base = result["base"]
    if base["general"] is None:
        return {"data": [], "layout": layout("No general tasks were measured", "", "")}
    arms = {arm: values for arm, values in result["arms"].items() if values["general"]["mean"] is not None}
    points = {arm: (100 * v["target"]["mean"], 100 * v["general"]["mean"]) for arm, v in arms.items()}
    points["base"] = (100 * base["target"], 100 * base["general"])
    ranges = [_range([point[axis] for point in points.values()]) for axis in (0, 1)]
    labelled = len(arms) < MAX_LABELS
    places = (
        label_places(points, ranges, [_sweep_points(v.get("sweep", ())) for v in arms.values()]) if labelled else {}
    )
    traces: list[Figure] = []
    for arm, values in arms.items():
        colour, symbol = arm_style(arm)
        if len(values["target"]["per_seed"]) > 1:
            traces.append(_seeds(arm, values, colour, symbol))
        if len(values.get("sweep", ())) > 1:
            traces.append(_front(arm, values["sweep"], colour, symbol))
        traces.append(_point(arm, points[arm], values["target"], values["general"], places.get(arm)))
    target, general = ({"mean": base[kind], "ci95": base.get(f"{kind}_ci95")} for kind in ("target", "general"))
    traces.append(_point("base", points["base"], target, general, places.get("base")))
    look = layout(
        "Further right: learned more. Further down: forgot more.",
        "target task, % right: learned →",
        "general skills, % right: kept →",
        height=400,
        showlegend=not labelled,
        xaxis={"range": ranges[0]},
        yaxis={"range": ranges[1]},
        shapes=[
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": points["base"][1],
                "y1": points["base"][1],
                "line": {"color": "#7f7f7f", "width": 1, "dash": "dot"},
            }
        ],
        annotations=[
            *(_arrow(points["base"], points[arm], arm_style(arm)[0]) for arm in arms),
            {"text": "<i>better</i> ↗", "xref": "paper", "yref": "paper", "x": 1, "y": 1, "showarrow": False},
        ],
    )
    return {"data": traces, "layout": look}


def so_far(events: Sequence[Event]) -> Result | None:
    """A result of what a study has evaluated so far, without intervals; None before the backbone and one arm are in.

    Of several learning rates an arm stands at the one with the best validation score so far; `sweep` has all.
    """
    found: dict[str, dict[float, list[Event]]] = {}
    for event in events:
        if event["kind"] == "evaluation":
            found.setdefault(event["arm"], {}).setdefault(event.get("rate") or 0.0, []).append(event)
    base = found.pop("base", None)
    if not base or not found:
        return None
    (before,) = base[0.0][-1:]
    arms = {}
    for arm, rates in found.items():
        best = max(rates, key=lambda rate: _mean(map(_validation, rates[rate])) or 0.0)
        sweep = [{"rate": rate} | _scores_so_far(rates[rate]) for rate in sorted(rates)]
        arms[arm] = _scores_so_far(rates[best]) | {"sweep": sweep}
    return {"base": {kind: before[kind] for kind in ("target", "general", "by_task")}, "arms": arms}


def _scores_so_far(evaluations: Sequence[Event]) -> dict[str, Any]:
    known = {kind: [e[kind] for e in evaluations if e[kind] is not None] for kind in ("target", "general")}
    return {kind: {"mean": _mean(scores), "per_seed": scores, "ci95": None} for kind, scores in known.items()}


def _validation(evaluation: Event) -> float | None:
    return _mean(score for task, score in evaluation["by_task"].items() if task.startswith("validation/"))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _range(values: Sequence[float]) -> list[float]:
    """An axis around percentages that has room for labels and no tick beyond 0 and 100."""
    low, high = min(values), max(values)
    spread = max(high - low, MIN_SPREAD)
    middle = (low + high) / 2
    return [max(-4.0, middle - spread * (0.5 + MARGIN)), min(104.0, middle + spread * (0.5 + 1.9 * MARGIN))]


def label_places(
    points: dict[str, Point], ranges: Sequence[Sequence[float]], fronts: Sequence[Sequence[Point]] = ()
) -> dict[str, str]:
    """Where each point's label stands, in Plotly's words: the place where it covers least of the points, the other labels,
    the arrows, and the `fronts`: each arm at its rates, in their order."""
    spots = {arm: _spot(point, ranges) for arm, point in points.items()}
    taken = [(*BETTER, 0.26, LINE), *((x, y, 0.05, 0.06) for x, y in spots.values())]
    bx, by = spots["base"]
    for x, y in spots.values():  # along the arrows
        taken += [(bx + (x - bx) * part / 10, by + (y - by) * part / 10, 0.06, 0.06) for part in range(1, 10)]
    for front in fronts:
        for (x, y), (to_x, to_y) in pairwise(_spot(point, ranges) for point in front):
            taken += [(x + (to_x - x) * part / 10, y + (to_y - y) * part / 10, 0.04, 0.04) for part in range(11)]
    places = {}
    for arm, (x, y) in spots.items():
        wide = CHARACTER * len(LABELS.get(arm, display_name(arm)))
        boxes = {}
        for place, (dx, dy) in PLACES.items():
            shift = (wide / 2) * ((dx > 0) - (dx < 0))
            boxes[place] = (x + dx + shift, y + dy, wide, LINE)
        cost = {place: sum(_overlap(box, other) for other in taken) + _outside(box) for place, box in boxes.items()}
        places[arm] = min(cost, key=lambda place: cost[place])
        taken.append(boxes[places[arm]])
    return places


def _spot(point: Point, ranges: Sequence[Sequence[float]]) -> Point:
    """A point as shares of the plot's width and height."""
    (x0, x1), (y0, y1) = ranges
    return (point[0] - x0) / (x1 - x0), (point[1] - y0) / (y1 - y0)


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """The area that two boxes (middle, width, height) share."""
    sides = [min(one[i] + one[i + 2] / 2, other[i] + other[i + 2] / 2) for i in (0, 1)]
    sides = [sides[i] - max(one[i] - one[i + 2] / 2, other[i] - other[i + 2] / 2) for i in (0, 1)]
    return max(0.0, sides[0]) * max(0.0, sides[1])


def _outside(box: Sequence[float]) -> float:
    """The area of a box that lies outside the plot."""
    return box[2] * box[3] - _overlap(box, (0.5, 0.5, 1.0, 1.0))


def _arrow(start: Sequence[float], end: Sequence[float], colour: str) -> Figure:
    axes = {"xref": "x", "yref": "y", "axref": "x", "ayref": "y"}
    ends = {"x": end[0], "y": end[1], "ax": start[0], "ay": start[1]}
    look = {"arrowhead": 2, "arrowsize": 1.1, "arrowwidth": 2, "arrowcolor": rgba(colour, 0.75)}
    return {**axes, **ends, **look, "text": "", "showarrow": True, "standoff": 8, "startstandoff": 7}


def _point(arm: str, point: Sequence[float], target: Result, general: Result, place: str | None) -> Figure:
    """An arm's point with its intervals, and its name beside it where it has a `place`."""
    colour, symbol = arm_style(arm)
    name = display_name(arm)
    text = (
        {"mode": "markers+text", "text": [LABELS.get(arm, name)], "textposition": place, "cliponaxis": False}
        if place
        else {}
    )
    light = {"color": rgba(colour, 0.45), "width": 0}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "legendgroup": arm,
        "x": [point[0]],
        "y": [point[1]],
        "error_x": (errors(target) or {}) | light,
        "error_y": (errors(general) or {}) | light,
        "marker": {"size": 13, "color": colour, "symbol": symbol},
        "hovertemplate": "target %{x:.1f} %<br>general %{y:.1f} %<extra>%{fullData.name}</extra>",
        **text,
    }


def _seeds(arm: str, values: Result, colour: str, symbol: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "showlegend": False,
        "legendgroup": arm,
        "x": [100 * v for v in values["target"]["per_seed"]],
        "y": [100 * v for v in values["general"]["per_seed"]],
        "marker": {"size": 6, "color": colour, "opacity": 0.5, "symbol": symbol},
        "hovertemplate": "target %{x:.1f} %<br>general %{y:.1f} %<extra>" + f"{arm}, one seed</extra>",
    }


def _sweep_points(sweep: Sequence[dict[str, Any]]) -> list[Point]:
    """An arm's scores in per cent at each learning rate, in their order."""
    points = sorted(sweep, key=lambda point: point["rate"])
    return [(100 * point["target"]["mean"], 100 * point["general"]["mean"]) for point in points]


def _front(arm: str, sweep: Sequence[dict[str, Any]], colour: str, symbol: str) -> Figure:
    """An arm at every learning rate, joined in their order."""
    points = _sweep_points(sweep)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "showlegend": False,
        "legendgroup": arm,
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "text": [f"learning rate {compact(rate)}" for rate in sorted(point["rate"] for point in sweep)],
        "line": {"color": colour, "width": 1, "dash": "dot"},
        "marker": {"size": 8, "color": colour, "symbol": symbol, "opacity": 0.7},
        "hovertemplate": "%{text}<br>target %{x:.1f} %<br>general %{y:.1f} %<extra>" + f"{arm}</extra>",
    }
