"""What the nano lab's studies found, as Plotly figures: the dial, and RL against best-of-k at equal cost. Pure: plain dicts in, plain dicts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from patchrl.config.arms import display_name
from patchrl.reporting.figures import ARM_COLOURS, Figure, arm_style, layout, rgba, significant


def dial_figures(points: Sequence[dict[str, Any]], own_style: dict[str, Any] | None = None) -> dict[str, Figure]:
    """Target and general score over the lab's dial (`examples.nano_lab.dial.points`), a line per arm, by kind and expert.

    `own_style` is the point of plain SFT on the backbone's own style, a dashed line across.
    """
    figures: dict[str, Figure] = {}
    for kind, title in (("target", "Target task"), ("general", "General skills kept")):
        for expert in dict.fromkeys(point["expert"] for point in points):
            rows = [point for point in points if point["expert"] == expert]
            traces = [
                _dial_line([r for r in rows if r["arm"] == arm], kind) for arm in dict.fromkeys(r["arm"] for r in rows)
            ]
            if own_style:
                traces.append(_level(list(dict.fromkeys(row["setting"] for row in rows)), own_style[kind]["mean"]))
            figures[f"dial-{kind}-{expert}"] = {
                "data": traces,
                "layout": layout(
                    f"{title}, {expert} expert",
                    "own style planted in prompted rewrites",
                    "score, %",
                    xaxis={"type": "category"},
                    height=320,
                ),
            }
    return figures


def _dial_line(rows: Sequence[dict[str, Any]], kind: str) -> Figure:
    colour, symbol = arm_style(rows[0]["arm"])
    name = display_name(rows[0]["arm"])
    at, score, above, below, seeds = [], [], [], [], []
    for row, following in zip(rows, [*rows[1:], rows[-1]], strict=True):
        mean, (low, high) = row[kind]["mean"], row[kind]["ci95"] or (row[kind]["mean"],) * 2
        # Another temperature is another dial: a gap stands between them.
        for value in (mean, None) if row["temperature"] != following["temperature"] else (mean,):
            at.append(row["setting"])
            score.append(None if value is None else significant(100 * value))
            above.append(None if value is None else significant(100 * (high - value)))
            below.append(None if value is None else significant(100 * (value - low)))
            seeds.append(row["seeds"])
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": at,
        "y": score,
        "error_y": {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1},
        "line": {"color": colour, "width": 2},
        "marker": {"symbol": symbol, "size": 8, "color": colour},
        "customdata": seeds,
        "hovertemplate": f"%{{x}}<br>%{{y:.1f}} %, seeds: %{{customdata}}<extra>{name}</extra>",
    }


def _level(settings: Sequence[str], score: float) -> Figure:
    """The score of right answers in the backbone's own style, whatever the setting."""
    name = "own style, right answers"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(settings),
        "y": [significant(100 * score)] * len(settings),
        "line": {"color": ARM_COLOURS["base"], "width": 1.5, "dash": "dash"},
        "hovertemplate": f"%{{y:.1f}} %<extra>{name}</extra>",
    }


# The colours of the arm that is ahead; the words in each field say the same.
OUTCOMES = {
    "better": ("RL", ARM_COLOURS["rl"]),
    "cannot tell": ("cannot tell", ARM_COLOURS["base"]),
    "split": ("split", "#E69F00"),
    "worse": ("best-of-k", ARM_COLOURS["best-of-k"]),
}


def cost_figures(rows: Sequence[dict[str, Any]]) -> dict[str, Figure]:
    """RL against best-of-k with as many tokens or more (`examples.nano_lab.cost_map.as_rows`): a field for each setting of the
    lab's dial and number of rows, by expert."""
    return {
        f"cost-{expert}": _cost_figure([row for row in rows if row["expert"] == expert], expert)
        for expert in dict.fromkeys(row["expert"] for row in rows)
    }


def _cost_figure(rows: Sequence[dict[str, Any]], expert: str) -> Figure:
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    counts = sorted({row["rows"] for row in rows})
    at = {(row["setting"], row["rows"]): row for row in rows}
    table = [[at[setting, count] for count in counts] for setting in settings]
    codes = list(OUTCOMES)
    colours = [
        [edge, rgba(colour, 0.35)]
        for code, (_, colour) in enumerate(OUTCOMES.values())
        for edge in (code / len(codes), (code + 1) / len(codes))
    ]
    heat = {
        "type": "heatmap",
        "x": [_rows_and_k(count, [at[setting, count]["k"] for setting in settings]) for count in counts],
        "y": settings,
        "z": [[codes.index(row["outcome"]) for row in line] for line in table],
        "zmin": -0.5,
        "zmax": len(codes) - 0.5,
        "colorscale": colours,
        "showscale": False,
        "xgap": 3,
        "ygap": 3,
        "text": [[_field(row) for row in line] for line in table],
        "texttemplate": "%{text}",
        "textfont": {"size": 12},
        "customdata": [
            [
                [
                    row["k"],
                    f"{row['affordable_k']:.1f}",
                    f"{100 * row['target']:+z.1f}",
                    f"{100 * row['general']:+z.1f}",
                ]
                for row in line
            ]
            for line in table
        ],
        "hovertemplate": "%{y} own style: RL, whose tokens buy best-of-%{customdata[1]}, less best-of-%{customdata[0]}<br>target %{customdata[2]}, "
        "general %{customdata[3]} points<extra></extra>",
    }
    return {
        "data": [heat],
        "layout": layout(
            f"Who is ahead at equal tokens, {expert} expert",
            "rows to rewrite, and k",
            "own style planted",
            xaxis={"type": "category", "showgrid": False},
            yaxis={"type": "category", "showgrid": False, "automargin": True, "autorange": "reversed"},
            height=130 + 56 * len(settings),
        ),
    }


def _rows_and_k(count: int, ks: Sequence[int]) -> str:
    return f"{count:,}<br>k = {min(ks)}" + (f"–{max(ks)}" if max(ks) > min(ks) else "")


def _field(row: dict[str, Any]) -> str:
    """Who is ahead, and RL's target and general score less best-of-k's in points."""
    return f"<b>{OUTCOMES[row['outcome']][0]}</b><br>{100 * row['target']:+z.0f} / {100 * row['general']:+z.0f}"
