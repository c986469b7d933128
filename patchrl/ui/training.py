"""Training tab: live curves and the newest group."""

from __future__ import annotations

from typing import Any

import gradio as gr

from patchrl.reporting import curves, markup
from patchrl.ui.charts import charts
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session, no_run

MAX_OVERLAYS = 4
NO_CURVES = "Curves appear after the first training step."


def build(session: Session) -> None:
    """The tab."""
    with gr.Row():
        x = gr.Radio(
            [("steps", "step"), ("rewrites sampled", "samples"), ("minutes", "time")],
            value="step",
            label="Horizontal axis",
        )
        smoothing = gr.Slider(0, 0.95, value=0.5, step=0.05, label="Smoothing", info="0 shows the raw values.")
        log_y = gr.Checkbox(False, label="Logarithmic vertical axis")
        others = gr.Dropdown(
            [], value=[], multiselect=True, max_choices=MAX_OVERLAYS, label="Draw other runs over it", elem_id="overlays",
            info=f"At most {MAX_OVERLAYS}; colours tell runs, dashes seeds.",
        )  # fmt: skip
    waiting = gr.HTML("", elem_classes=["maybe"])
    panels = charts("Training curves")
    group = gr.HTML(markup.group_cards(None), elem_id="group")

    def fill(snapshot: Snapshot, axis: str, weight: float, log: bool, runs: list[str] | None) -> list[Any]:
        overlays = {
            run_id: session.reader.snapshot(snapshot.visitor, run_id).events
            for run_id in (runs or [])[:MAX_OVERLAYS]
            if snapshot.run is not None and run_id != snapshot.run.id
        }
        drawn = curves.training_figures(snapshot.events, x=axis, smoothing=weight, log_y=log, overlays=overlays)
        messages = (
            markup.alarms(snapshot.events) + markup.messages(snapshot.events) if drawn else no_run(snapshot, NO_CURVES)
        )
        return [messages, drawn, markup.group_cards(snapshot.last("group"))]

    session.live(fill, [waiting, panels, group], [x, smoothing, log_y, others], depends=("run", "events"))
    session.live(session.listed, [others], depends=("runs",))
