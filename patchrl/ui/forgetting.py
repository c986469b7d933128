"""Forgetting tab: what was learned and what was lost, question by question, and the tuned models to ask."""

from __future__ import annotations

from typing import Any

import gradio as gr

from patchrl.reporting import curves, figures, markup, sentences, tables
from patchrl.reporting.gain_forgetting import gain_forgetting_figure
from patchrl.ui import changed, chat
from patchrl.ui.charts import charts
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session, no_run

NO_RESULT = "The table and the gain–forgetting plot appear when every arm is fine-tuned and evaluated."


def build(session: Session) -> None:
    """The tab."""
    headline = gr.HTML("", elem_id="headline")
    table = gr.HTML("", elem_id="results")
    plane = charts("Gain and forgetting")
    questions = changed.changed_table(session)
    chat.build(session)
    losses = charts("Fine-tuning losses and tasks")

    def fill(snapshot: Snapshot) -> list[Any]:
        loss = curves.loss_figure(snapshot.events)
        lower = ({"tuning": loss} if loss else {}) | curves.practice_figures(snapshot.events)
        if snapshot.result is None:
            return [_progress(snapshot), {}, "", lower]
        lower = {"tasks": figures.task_figure(snapshot.result)} | lower
        below = markup.table(tables.RESULT_HEADERS, tables.result_rows(snapshot.result))
        seeds = markup.table(tables.SEED_HEADERS, tables.seed_rows(snapshot.result))
        headline_html = f'<p class="headline">{markup.escape(sentences.headline(snapshot.result))}</p>'
        more = f"<details><summary>Every seed</summary>{seeds}</details>"
        if changes := tables.change_rows(snapshot.result):
            more += f"<details><summary>What changed</summary>{markup.table(tables.CHANGE_HEADERS, changes)}</details>"
        if sweep := tables.rate_rows(snapshot.result):
            more += (
                f"<details><summary>Every learning rate</summary>{markup.table(tables.RATE_HEADERS, sweep)}</details>"
            )
        compared = sentences.comparison_sentences(snapshot.result, tables.main_arms(snapshot.result))
        if compared:
            pairs = markup.table(tables.COMPARISON_HEADERS, tables.comparison_rows(snapshot.result))
            compared.append(sentences.detectable_sentence(snapshot.result))
            words = "".join(f"<li>{markup.escape(text)}</li>" for text in compared)
            more = f"<details><summary>Which arm is better</summary><ul>{words}</ul>{pairs}</details>{more}"
        return [headline_html, {"plane": gain_forgetting_figure(snapshot.result)}, below + more, lower]

    session.live(fill, [headline, plane, table, losses], depends=("run", "events", "result"))
    session.live(changed.table_value, [questions], depends=("run", "predictions", "result"))


def _progress(snapshot: Snapshot) -> str:
    """Evaluations that are in so far, while the rest is still running."""
    rows = tables.evaluation_rows(snapshot.events)
    if not rows:
        return no_run(snapshot, NO_RESULT)
    return markup.table(("Evaluated so far", "Seed", "Target %", "General %"), rows)
