"""Compare tab: original and rewritten samples side by side, with every reward and the surprisal of each token."""

from __future__ import annotations

from typing import Any

import gradio as gr

from patchrl.config.arms import display_name
from patchrl.reporting import figures, findings
from patchrl.ui import playground
from patchrl.ui.charts import charts, distribution_slider
from patchrl.ui.reader import Snapshot
from patchrl.ui.rows import dataset_choice, rows_table, table_value
from patchrl.ui.session import Session, no_run

NO_REWRITES = "Rewrites appear here once the rewriter is trained and the dataset is rewritten."


def build(session: Session) -> tuple[gr.Dropdown, gr.Dropdown]:
    """The tab; returns the choice of arm and of seed, which an address may name."""
    with gr.Row():
        arm = gr.Dropdown(
            [(display_name("rl"), "rl")],
            value="rl",
            label="Rewrites of",
            elem_id="arm",
            allow_custom_value=True,
            scale=3,
        )
        seed = gr.Dropdown([], value=None, label="Seed", elem_id="seed", allow_custom_value=True)
    waiting, scanned = gr.HTML("", elem_classes=["maybe"]), gr.HTML("", elem_id="scanned", elem_classes=["maybe"])
    table = rows_table(session)
    over_training = distribution_slider("Mismatch over training")
    texts = charts("Where the texts lie")
    playground.build(session)

    def fill(snapshot: Snapshot, arm: str | None, seed: str | None) -> list[Any]:
        source, number, lists = dataset_choice(snapshot.run, arm, seed)
        value = table_value(snapshot, source, number)
        return ["" if value else no_run(snapshot, NO_REWRITES), value, *lists]

    def draw_map(snapshot: Snapshot) -> dict[str, Any]:
        embedding_map = snapshot.run.embedding_map() if snapshot.run else None
        return {"map": figures.embedding_figure(**embedding_map)} if embedding_map else {}

    def draw_over_training(snapshot: Snapshot, seed: str | None) -> dict[str, Any] | None:
        if snapshot.run is None:
            return None
        return figures.mismatch_over_training(snapshot.events, dataset_choice(snapshot.run, None, seed)[1])

    session.live(fill, [waiting, table, arm, seed], [arm, seed], depends=("run", "samples"))
    session.live(scan_findings, [scanned], depends=("run", "events", "result"))
    session.live(draw_over_training, [over_training], [seed], depends=("run", "events"))
    session.live(draw_map, [texts], depends=("run", "embeddings"))
    return arm, seed


def scan_findings(snapshot: Snapshot) -> str:
    """What the scan of the chosen run says; in sight where the run went no further."""
    scan = snapshot.last("scan")
    if scan is None or snapshot.run is None:
        return ""
    if scan.get("gap") is None:
        return '<p class="note">The scan of this run has no text that it could score.</p>'
    only = snapshot.last("train") is None and snapshot.result is None
    return f"<details{' open' * only}><summary>What the scan says</summary>{findings.as_html(scan)}</details>"
