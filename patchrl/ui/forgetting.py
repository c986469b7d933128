"""Fine-tune & forgetting tab: losses while it runs, then what was learned and what was lost."""

from __future__ import annotations

from typing import Any

import gradio as gr

from patchrl.reporting import curves, figures, markup, views
from patchrl.ui.charts import charts
from patchrl.ui.forms import Form
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session, no_run

WAITING = "The table and the gain–forgetting plot appear when every arm is fine-tuned and evaluated."


def build(session: Session, form: Form) -> gr.Button:
    """The tab; returns the button that carries the chosen run on to the end."""
    with gr.Row():
        form.fields("finetune", "learning_rate", "epochs", "batch_size")
        form.fields("evaluate", "general_size")
    with gr.Accordion("More settings", open=False):
        with gr.Row():
            form.fields("finetune")
        with gr.Row():
            form.fields("onpolicy")
        with gr.Row():
            form.fields("evaluate")
    finetune = gr.Button("Fine-tune and evaluate the chosen run", elem_id="finetune")
    headline = gr.HTML("", elem_id="headline")
    plane = charts("Gain and forgetting")
    table = gr.HTML("", elem_id="results")
    losses = charts("Fine-tuning losses and tasks")

    def fill(snapshot: Snapshot) -> list[Any]:
        loss = curves.loss_figure(snapshot.events)
        lower = ({"tuning": loss} if loss else {}) | curves.practice_figures(snapshot.events)
        if snapshot.result is None:
            return [_progress(snapshot), {}, "", lower]
        lower = {"tasks": figures.task_figure(snapshot.result)} | lower
        shown = markup.table(views.RESULT_HEADERS, views.result_rows(snapshot.result))
        seeds = markup.table(
            ("Arm", "Seed", "Target %", "General %", "Forgotten, points"), views.per_seed_rows(snapshot.result)
        )
        told = f'<p class="headline">{markup.escape(views.headline(snapshot.result))}</p>'
        more = f"<details><summary>Every seed</summary>{seeds}</details>"
        if sweep := views.sweep_rows(snapshot.result):
            more += (
                f"<details><summary>Every learning rate</summary>{markup.table(views.SWEEP_HEADERS, sweep)}</details>"
            )
        sentences = views.comparison_sentences(snapshot.result, views.main_arms(snapshot.result))
        if sentences:
            pairs = markup.table(views.COMPARISON_HEADERS, views.comparison_rows(snapshot.result))
            sentences.append(views.detectable_sentence(snapshot.result))
            shown += "<ul>" + "".join(f"<li>{markup.escape(text)}</li>" for text in sentences) + "</ul>"
            more = f"<details><summary>Every pair of arms</summary>{pairs}</details>" + more
        return [told, {"plane": figures.gain_forgetting_figure(snapshot.result)}, shown + more, lower]

    session.live(fill, [headline, plane, table, losses], depends=("run", "events", "result"))
    return finetune


def _progress(snapshot: Snapshot) -> str:
    """Evaluations that are in so far, while the rest is still running."""
    rows = [
        [
            views.ARM_NAMES.get(e["arm"], e["arm"]) + (f", rate {e['rate']:g}" if "rate" in e else ""),
            "" if e["seed"] is None else e["seed"],
            f"{100 * e['target']:.1f}",
        ]
        + ["–" if e["general"] is None else f"{100 * e['general']:.1f}"]
        for e in snapshot.events
        if e["kind"] == "evaluation"
    ]
    if not rows:
        return no_run(snapshot, WAITING)
    return markup.table(("Evaluated so far", "Seed", "Target %", "General %"), rows)
