"""Training tab: alarms, live curves, and the newest group."""

from __future__ import annotations

from typing import Any

import gradio as gr

from patchrl.reporting import curves, markup
from patchrl.ui.charts import charts
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session, no_run

MAX_OVERLAYS = 4
NO_CURVES = "Curves appear after the first training step."
TERMS = markup.note(
    "Reward: what GRPO raises. Gate: right answer and valid reasoning. ℓ: mean surprisal of a text's tokens to the frozen "
    "backbone, which sees the question alone. As likely as own answers: no more surprising, as a whole, than nearly all of "
    "the backbone's own answers."
)


def build(session: Session) -> None:
    """The tab."""
    alarms = gr.HTML("", elem_id="alarms", elem_classes=["maybe"])
    main = charts("Training curves", "large")
    terms = gr.HTML("", elem_classes=["maybe"])
    with gr.Row(elem_classes=["choices"]):
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
    with gr.Accordion("More curves", open=False):
        more = charts("More training curves")
    with gr.Accordion("The newest group, as it was scored", open=False):
        group = gr.HTML(markup.group_cards(None), elem_id="group")

    def fill(snapshot: Snapshot, axis: str, weight: float, log: bool, runs: list[str] | None) -> list[Any]:
        overlays = {
            run_id: session.reader.snapshot(snapshot.visitor, run_id).events
            for run_id in (runs or [])[:MAX_OVERLAYS]
            if snapshot.run is not None and run_id != snapshot.run.id
        }
        reward = snapshot.run.config.reward if snapshot.run else None
        drawn = curves.training_figures(
            snapshot.events, x=axis, smoothing=weight, log_y=log, overlays=overlays, reward=reward
        )
        below = TERMS + markup.messages(snapshot.events) if drawn else no_run(snapshot, NO_CURVES)
        first = {name: figure for name, figure in drawn.items() if name in curves.MAIN_CURVES}
        rest = {name: figure for name, figure in drawn.items() if name not in first}
        return [markup.alarms(snapshot.events), first, below, rest, markup.group_cards(snapshot.last("group"))]

    shown = [alarms, main, terms, more, group]
    session.live(fill, shown, [x, smoothing, log_y, others], depends=("run", "events"))
    session.live(session.listed, [others], depends=("runs",))
