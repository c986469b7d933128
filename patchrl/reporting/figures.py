"""Events and results as Plotly figures. Pure: plain dicts in, plain dicts out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from patchrl.config.arms import display_name, parse
from patchrl.reporting.tables import task_name
from patchrl.text import number, percent

Figure = dict[str, Any]
Event = dict[str, Any]
End = tuple[float, str, str]  # of a line: its last value, its name, its colour
Reference = tuple[float, str]  # a value on the vertical axis, and what has it

# Okabe and Ito's palette: told apart with any kind of colour vision; symbols repeat what colours say.
ARM_COLOURS = {
    "base": "#7f7f7f",
    "expert": "#D55E00",
    "prompted": "#CC79A7",
    "best-of-k": "#0072B2",
    "rl": "#009E73",
    "own": "#7f7f7f",
}
ARM_SYMBOLS = {
    "base": "x",
    "expert": "square",
    "prompted": "diamond",
    "best-of-k": "triangle-up",
    "rl": "circle",
    "own": "cross",
}
# Colour says the source, the symbol how it departs from the plain arm of that source.
SOURCE_COLOURS = ARM_COLOURS | {
    "rl-paper": "#0B5D45",
    "rl-mean": "#66C2A5",
    "rl-no-alignment": "#56B4E9",
    "rl-no-diversity": "#E69F00",
    "rl-drop": "#44BB99",
    "rl-best-of-k": "#117733",
    "clean": "#F0A366",
    "mind-the-gap": "#8C6D31",
    "self": "#444444",
    "self-resampled": "#222255",
}
SOURCE_SYMBOLS = ARM_SYMBOLS | {
    "rl-paper": "triangle-up-open",
    "rl-mean": "circle-open-dot",
    "rl-no-alignment": "triangle-down",
    "rl-no-diversity": "triangle-left",
    "rl-drop": "circle-open",
    "rl-best-of-k": "triangle-up",
    "clean": "square-open",
    "mind-the-gap": "star-diamond",
    "self": "hexagon",
    "self-resampled": "hexagon-open",
}
# On-policy arms have a family of their own, told apart by lightness.
ON_POLICY_COLOURS = {"grpo": "#3F007D", "sft-then-rl": "#7B3FA0", "dypo": "#A97FCB", "sdft": "#C9A9E3"}
PART_SYMBOLS = {
    "dft": "star",
    "eaft": "cross",
    "kl": "pentagon",
    "grpo": "hexagram",
    "sft-then-rl": "star-square",
    "dypo": "octagon",
    "sdft": "star-triangle-up",
    "low-lr": "triangle-right",
    "replay": "bowtie",
    "wise-ft": "hourglass",
    "lora": "diamond-tall",
}
# The same for bars, which have no symbol.
PART_PATTERNS = {
    "dft": "/",
    "eaft": "\\",
    "kl": "x",
    "low-lr": "-",
    "replay": "|",
    "wise-ft": "+",
    "lora": ".",
}
# Where a text comes from, as against the arm it is a target of.
SOURCE_NAMES = {
    "expert": "Expert solutions",
    "own": "Backbone's own answers",
    "prompted": "Prompted rewrites",
    "rl": "Rewriter's rewrites",
}
SOURCE_DASHES = {"expert": "dash", "own": "dot", "prompted": "dashdot", "best-of-k": "longdash", "rl": "solid"}


def layout(title: str, x: str, y: str, **extra: Any) -> Figure:
    """The look all figures share; colours of text and grid are left to the page's theme."""
    base: Figure = {
        "title": {"text": title, "font": {"size": 14}, "x": 0, "xref": "paper"},
        "margin": {"l": 52, "r": 12, "t": 36, "b": 42},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {
            "title": {"text": x, "standoff": 4},
            "automargin": True,
            "gridcolor": "rgba(128,128,128,.18)",
            "zeroline": False,
        },
        "yaxis": {"title": {"text": y}, "gridcolor": "rgba(128,128,128,.18)", "zeroline": False},
        # At the bottom of the whole figure, which reserves its rows there however narrow the page is.
        "legend": {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "rgba(128,128,128,.7)", "activecolor": "#009E73"},
        "uirevision": "keep",
        "height": 260,
    }
    for key, value in extra.items():
        base[key] = base[key] | value if isinstance(base.get(key), dict) and isinstance(value, dict) else value
    return base


def reference_lines(references: Sequence[Reference]) -> list[Figure]:
    """Dotted lines across a figure, each with its words on it; as `shapes` of a layout."""
    highest = max((value for value, _ in references), default=0.0)
    return [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": value,
            "y1": value,
            "line": {"color": "rgba(128,128,128,.9)", "width": 1.5, "dash": "dot"},
            # The words of the highest are below it: what is above may be cut off.
            "label": {
                "text": words,
                "textposition": "start" if value == highest else "middle",
                "yanchor": "top" if value == highest else "bottom",
            },
        }
        for value, words in references
    ]


LABEL_HEIGHT, LABEL_WIDTH = 15, 6.6  # pixels that a line of text and a letter take


def label_ends(figure: Figure, ends: Sequence[End]) -> None:
    """Write the names of lines at their ends, in place of a legend; labels that would touch move apart."""
    look = figure["layout"]
    is_log = look["yaxis"].get("type") == "log"

    def height(y: float) -> float:
        return math.log10(y) if is_log else y

    drawn = [y for trace in figure["data"] for y in trace["y"] if y is not None]
    drawn += [line["y0"] for line in look.get("shapes", ())] + look["yaxis"].get("range", [])
    drawn += [0.0] if look["yaxis"].get("rangemode") == "nonnegative" else []
    heights = [height(y) for y in drawn if y > 0 or not is_log]
    ends = sorted(end for end in ends if end[0] > 0 or not is_log)
    if not ends:
        return
    pixels = (look["height"] - look["margin"]["t"] - look["margin"]["b"]) / (max(heights) - min(heights) or 1.0)
    shifts: list[float] = []
    for i, (y, _, _) in enumerate(ends):
        below = pixels * (height(y) - height(ends[i - 1][0])) - shifts[-1] if i else LABEL_HEIGHT
        shifts.append(max(0.0, LABEL_HEIGHT - below))
    centre = sum(shifts) / len(shifts)
    look["annotations"] = [
        {
            "xref": "paper",  # at the edge: a label at the line's own end would widen the axis
            "x": 1,
            "y": height(y),
            "text": name,
            "font": {"color": colour},
            "showarrow": False,
            "xanchor": "left",
            "xshift": 4,
            "yshift": round(shift - centre, 1),
        }
        for (y, name, colour), shift in zip(ends, shifts, strict=True)
    ]
    look["margin"] = look["margin"] | {"r": round(16 + LABEL_WIDTH * max(len(name) for _, name, _ in ends))}


def arm_style(name: str) -> tuple[str, str]:
    """Colour and symbol of an arm."""
    if name in SOURCE_COLOURS:
        return SOURCE_COLOURS[name], SOURCE_SYMBOLS.get(name, "circle")
    arm = parse(name)
    return ON_POLICY_COLOURS.get(arm.loss, SOURCE_COLOURS[arm.source]), PART_SYMBOLS.get(_part(name), "circle")


def arm_pattern(name: str) -> str:
    """What fills the bars of an arm, in Plotly's words; nothing for a plain arm."""
    return PART_PATTERNS.get("" if name in SOURCE_COLOURS else _part(name), "")


def _part(name: str) -> str:
    """The part by which an arm departs from the plain one of its source; empty for that one."""
    arm = parse(name)
    return next((part for part in (*arm.tunings, arm.loss) if part in PART_SYMBOLS), "")


def rgba(colour: str, alpha: float) -> str:
    """A colour `#rrggbb` with an opacity, for Plotly."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def significant(value: float | None) -> float | None:
    """Five significant digits: more than a screen shows, half the bytes."""
    return None if value is None else float(f"{value:.5g}")


BINS = 36
AXIS_NLL = "ℓ, nats per token"


def _shares(values: Sequence[float], top: float) -> list[float]:
    """Share of values in each of BINS equal bins from 0 to `top`; what lies above counts into the last."""
    counts = [0] * BINS
    for value in values:
        counts[max(0, min(BINS - 1, int(value / top * BINS)))] += 1
    return [significant(count / len(values)) or 0.0 for count in counts]


def _centres(top: float) -> list[float]:
    return [significant((i + 0.5) * top / BINS) or 0.0 for i in range(BINS)]


def mismatch_figure(scan: dict[str, Any] | None, rewrites: dict[str, list[float]]) -> Figure | None:
    """Distributions of ℓ: the backbone's own answers, expert solutions, and each arm's rewrites."""
    series = {"own": scan["own_nll"], "expert": scan["expert_nll"]} if scan else {}
    series |= rewrites
    series = {arm: values for arm, values in series.items() if values}
    if not series:
        return None
    top = max(max(values) for values in series.values()) * 1.02 or 1.0
    traces = [
        # The expert is here as text, not as the arm of that name.
        _outline(
            arm,
            SOURCE_NAMES["expert"] if arm == "expert" else display_name(arm),
            _centres(top),
            _shares(values, top),
        )
        for arm, values in series.items()
    ]
    return {
        "data": traces,
        "layout": layout("How surprising each text is to the backbone", AXIS_NLL, "share of texts", height=320),
    }


def mismatch_over_training(events: Sequence[Event], seed: int | None = None) -> dict[str, Any] | None:
    """What `distribution_slider.js` shows: ℓ of the rewriter's passing rewrites at each recorded step, over the still
    distributions of the scan, whose means are marked. Without a recorded step `frames` is empty; None before the scan too.
    """
    spreads = [e for e in events if e["kind"] == "spread" and e["nll"]]
    seed = spreads[0]["seed"] if spreads and seed is None else seed
    spreads = [e for e in spreads if e["seed"] == seed]
    scan: Event = next((e for e in reversed(events) if e["kind"] == "scan"), {})
    still = {name: scan[f"{name}_nll"] for name in ("own", "expert", "prompted") if scan.get(f"{name}_nll")}
    if not spreads and not still:
        return None
    top = max(max(values) for values in [*still.values(), *(e["nll"] for e in spreads)]) * 1.02 or 1.0
    frames = [
        {
            "step": e["step"],
            "y": _shares(e["nll"], top),
            "mean": significant(_mean(e["nll"])),
            "caption": f"ℓ of {len(e['nll'])} passing rewrites is {number(_mean(e['nll']), 2)} nats on average",
        }
        for e in spreads
    ]
    means = ", ".join(f"{SOURCE_NAMES[name].lower()} {number(_mean(v), 2)}" for name, v in still.items())
    highest = max(max(shares) for shares in [*(f["y"] for f in frames), *(_shares(v, top) for v in still.values())])
    marks = [_mark(name, _mean(still[name])) for name in ("own", "expert", "prompted") if name in still]
    return {
        "frames": frames,
        "still": [
            _outline(name, SOURCE_NAMES[name], _centres(top), _shares(values, top)) for name, values in still.items()
        ],
        "moving": _outline("rl", SOURCE_NAMES["rl"], _centres(top), []),
        "mark": _mark("rl", 0.0),
        "caption": f"For comparison: {means}." if means else "",
        "layout": layout(
            "Mismatch over training",
            AXIS_NLL,
            "share of texts",
            height=330,
            yaxis={"range": [0, 1.3 * highest]},  # the marks' words stand over the histograms
            shapes=[mark["shape"] for mark in marks],
            annotations=[mark["annotation"] for mark in marks],
        ),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# How high the words of each source's mean stand, as a share of the plot: means that are near do not share a line.
MARK_HEIGHTS = {"own": 1.0, "expert": 0.91, "rl": 0.82, "prompted": 0.73}
MARK_WORDS = {"own": "own answers", "expert": "expert", "rl": "rewrites", "prompted": "prompted"}


def _mark(source: str, mean: float) -> Figure:
    """A line at the mean ℓ of a source, and its name."""
    height, colour = MARK_HEIGHTS[source], SOURCE_COLOURS[source]
    line = {"color": colour, "width": 2, "dash": SOURCE_DASHES[source]}
    place = {"xref": "x", "yref": "paper"}
    return {
        "shape": {"type": "line", **place, "x0": mean, "x1": mean, "y0": 0, "y1": height, "line": line},
        "annotation": {
            **place,
            "x": mean,
            "y": height,
            "xanchor": "right" if source == "expert" else "left",
            "yanchor": "top",
            "xshift": -3 if source == "expert" else 3,
            "text": MARK_WORDS[source],
            "showarrow": False,
        },
    }


def _outline(source: str, name: str, xs: list[float], ys: list[float]) -> Figure:
    """A histogram as a stepped line: several can lie over each other, and dashes repeat what colours say."""
    colour = ARM_COLOURS.get(source, "#56B4E9")
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": xs,
        "y": ys,
        "fill": "tozeroy",
        "fillcolor": rgba(colour, 0.18),
        "line": {"shape": "hvh", "color": colour, "width": 2, "dash": SOURCE_DASHES.get(source, "solid")},
        "hovertemplate": "ℓ about %{x:.2f}<br>share %{y:.1%}<extra>%{fullData.name}</extra>",
    }


def embedding_figure(
    points: dict[str, Sequence[Sequence[float]]], ids: dict[str, list[str]], explained: Sequence[float]
) -> Figure:
    """The map of embeddings: every source's points, and a thin line from each expert solution to its rewrite."""
    traces: list[Figure] = []
    rewrite_point = dict(zip(ids.get("rl", []), points.get("rl", []), strict=True))
    pairs = [
        (a, rewrite_point[i])
        for i, a in zip(ids.get("expert", []), points.get("expert", []), strict=True)
        if i in rewrite_point
    ]
    if pairs:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "expert to rewrite",
                "x": [significant(x) for a, b in pairs for x in (a[0], b[0], None)],
                "y": [significant(y) for a, b in pairs for y in (a[1], b[1], None)],
                "line": {"width": 0.6, "color": "rgba(128,128,128,.4)"},
                "hoverinfo": "skip",
            }
        )
    for source, places in points.items():
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": SOURCE_NAMES.get(source, display_name(source)),
                "x": [significant(point[0]) for point in places],
                "y": [significant(point[1]) for point in places],
                "customdata": ids[source],
                "marker": {
                    "size": 7,
                    "opacity": 0.75,
                    "color": ARM_COLOURS.get(source, "#56B4E9"),
                    "symbol": ARM_SYMBOLS.get(source, "circle"),
                },
                "hovertemplate": "example %{customdata}<extra>%{fullData.name}</extra>",
            }
        )
    axes = [f"component {n + 1}, {percent(share, 0)} of the variance" for n, share in enumerate(explained)]
    return {"data": traces, "layout": layout("Where the texts lie (embeddings)", *axes, height=420)}


def errors(value: dict[str, Any]) -> Figure | None:
    """Error bars of a score with its 95 % interval; None without one."""
    if not value.get("ci95"):
        return None
    low, high = value["ci95"]
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, 100 * (high - value["mean"]))],
        "arrayminus": [max(0.0, 100 * (value["mean"] - low))],
        "thickness": 1.2,
    }


def task_figure(result: dict[str, Any]) -> Figure:
    """Score on every task: the backbone and each arm, mean over seeds, with 95 % intervals."""
    tasks = sorted(result["base"]["by_task"], key=lambda task: (not task.startswith("target/"), task))
    labels = [task_name(task) for task in tasks]
    bars = {"base": result["base"], **result["arms"]}
    traces = [
        {
            "type": "bar",
            "name": display_name(arm),
            "x": labels,
            "y": [None if values["by_task"].get(task) is None else 100 * values["by_task"][task] for task in tasks],
            "error_y": _task_errors(values, tasks),
            "marker": {"color": arm_style(arm)[0], "pattern": {"shape": arm_pattern(arm), "size": 5}},
            "hovertemplate": "%{x}: %{y:.1f} %<extra>%{fullData.name}</extra>",
        }
        for arm, values in bars.items()
    ]
    look = layout("Every task", "", "% correct", barmode="group", height=340, yaxis={"range": [0, 100]})
    return {"data": traces, "layout": look}


def _task_errors(values: dict[str, Any], tasks: Sequence[str]) -> Figure | None:
    """Error bars of one arm's tasks; none for a result from before they were measured."""
    intervals = values.get("by_task_ci95")
    if not intervals:
        return None
    bounds = [errors({"mean": values["by_task"].get(t), "ci95": intervals.get(t)}) for t in tasks]
    sides = {side: [b[side][0] if b else 0.0 for b in bounds] for side in ("array", "arrayminus")}
    return {"type": "data", "symmetric": False, **sides, "thickness": 1, "width": 2, "color": "rgba(128,128,128,.9)"}
