"""The hollow reward: two figures, three sentences and three rewrites of the lesson, from `hollow.json`.

`examples/nano_lab/hollow.py` makes the file from a training in the lab.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from patchrl.reporting.curves import ALARM_COLOUR
from patchrl.reporting.figures import Figure, label_ends, layout
from patchrl.reporting.markup import escape
from patchrl.text import number, percent
from patchrl.ui.lesson_pages import card

HOLLOW = Path(__file__).with_name("hollow.json")


def load() -> dict[str, Any]:
    """The figures of the training."""
    return json.loads(HOLLOW.read_text(encoding="utf-8"))


def sentences(hollow: dict[str, Any]) -> list[str]:
    """What the gate misses, what training made of it, and what ends it."""
    first, last = ({key: hollow[key][i] for key in ("reward", "gate", "length", "stepless")} for i in (0, -1))
    late = hollow["late"]
    return [
        "A gate that asks for the right answer and for true equations passes a text that writes no equation at all, and RL "
        "finds it: the reward rises while the text empties.",
        f"Over {len(hollow['reward'])} steps in the lab ({hollow['expert']} expert, no warm start) the mean reward, to which a refused rewrite adds 0, went from "
        f"{number(first['reward'], 2)} to {number(last['reward'], 2)}, the gate from {percent(first['gate'], 0)} to "
        f"{percent(last['gate'], 0)}, the mean length from {number(first['length'], 0)} to {number(last['length'], 0)} tokens, "
        f"and rewrites without a single equation from {percent(first['stepless'], 0)} to {percent(last['stepless'], 0)}; the "
        f"alarm rang at step {hollow['alarm']}.",
        "The gate “derivation”, which a real backbone gets for mathematics, ends it: it asks for steps that lead from the "
        f"question's numbers to the answer, and of the {late['passed']} recorded rewrites that passed in the last "
        f"{late['steps']} steps it lets {late['derived']} pass.",
    ]


def page(hollow: dict[str, Any]) -> str:
    """The sentences; the figures follow."""
    what, course, gate = map(escape, sentences(hollow))
    return f"""<div class="lesson"><h3>The hollow rewrite</h3><p class="lead">{what}</p><p>{course}</p><p>{gate}</p></div>"""


def texts(hollow: dict[str, Any]) -> str:
    """A passing rewrite of middle length at the first step, at the alarm and at the end."""
    cards = "".join(
        card(
            f"Step {text['step']}: reward {number(text['reward'], 2)}",
            text["text"],
            f'<p class="note"><b>Expert.</b> {escape(text["expert"])}</p><p class="note"><b>Gate derivation.</b> '
            f"{'✓ passes' if text['derived'] else '✗ refuses'}: {escape(text['reason'])}</p>",
        )
        for text in hollow["texts"]
    )
    return f'<div class="lesson"><h4>A rewrite that passed, of middle length: at the start, at the alarm, at the end</h4><div class="cards three">{cards}</div></div>'


def curves(hollow: dict[str, Any]) -> dict[str, Figure]:
    """The reward and the gate over training, and beside them what is left of the texts."""
    start = hollow["length"][0]
    return {
        "hollow-reward": _figure(
            "What training sees", hollow, {"reward": (hollow["reward"], "#0072B2"), "gate": (hollow["gate"], "#009E73")}
        ),
        "hollow-text": _figure(
            "What is left of the text",
            hollow,
            {
                "length, of the first": ([round(length / start, 3) for length in hollow["length"]], "#0072B2"),
                "without an equation": (hollow["stepless"], ALARM_COLOUR),
            },
        ),
    }


def _figure(title: str, hollow: dict[str, Any], lines: dict[str, tuple[list[float], str]]) -> Figure:
    """Lines over the steps, named at their ends, with the alarm's step marked."""
    steps = list(range(1, len(hollow["reward"]) + 1))
    mark = {
        "type": "line",
        "yref": "paper",
        "x0": hollow["alarm"],
        "x1": hollow["alarm"],
        "y0": 0,
        "y1": 1,
        "line": {"color": ALARM_COLOUR, "width": 2, "dash": "dash"},
        "label": {"text": "alarm", "textposition": "end", "textangle": 0, "xanchor": "left", "yanchor": "top"},
    }
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": steps,
            "y": ys,
            "line": {"color": colour, "width": 2.5},
            "hovertemplate": f"step %{{x}}<br>%{{y:.2f}}<extra>{name}</extra>",
        }
        for name, (ys, colour) in lines.items()
    ]
    look = layout(title, "step", "", showlegend=False, height=280, shapes=[mark], yaxis={"rangemode": "tozero"})
    figure = {"data": traces, "layout": look}
    label_ends(figure, [(ys[-1], name, colour) for name, (ys, colour) in lines.items()])
    return figure
