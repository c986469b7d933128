"""Report tab: what one takes home."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from patchrl.errors import PatchRLError
from patchrl.reporting import markup, run_status, sentences
from patchrl.text import duration
from patchrl.ui import pushing
from patchrl.ui.reader import Snapshot
from patchrl.ui.rows import dataset_choice
from patchrl.ui.session import Session, no_run

EXPORT_TITLES = {
    "report": "Report (HTML, opens offline)",
    "csv": "Results, every number (CSV)",
    "json": "Results (JSON)",
    "latex": "Results table (LaTeX)",
    "changed-csv": "What was forgotten, one by one (CSV)",
    "changed-jsonl": "What was forgotten, one by one (JSONL)",
    "jsonl": "Rewritten dataset (JSONL)",
    "parquet": "Rewritten dataset (Parquet)",
    "adapter": "Rewriter adapter (zip)",
}


def build(session: Session) -> None:
    """The tab."""
    summary = gr.HTML("", elem_id="summary")
    with gr.Row():
        kind = gr.Dropdown(
            [(title, name) for name, title in EXPORT_TITLES.items()], value="report", label="File", elem_id="file"
        )
        arm = gr.Dropdown([], value=None, label="Rewrites of", elem_id="file-arm", allow_custom_value=True)
        seed = gr.Dropdown([], value=None, label="Seed", elem_id="file-seed", allow_custom_value=True)
    make = gr.Button("Prepare the file", elem_id="prepare")
    file = gr.File(label="Download", interactive=False, elem_id="download", visible=False)
    pushing.build(session, arm, seed)

    def fill(snapshot: Snapshot) -> str:
        if snapshot.run is None:
            return no_run(snapshot, "Choose a run above.")
        parts = [
            f"<p><b>{markup.escape(snapshot.run.id)}</b>: {markup.escape(run_status.describe_status(snapshot.status))}</p>"
        ]
        if snapshot.result:
            seconds = snapshot.result.get("seconds", {})
            parts.append(f'<p class="headline">{markup.escape(sentences.headline(snapshot.result))}</p>')
            parts.append(markup.table(("Where the time went", "Time"), [[k, duration(v)] for k, v in seconds.items()]))
        return "".join(parts)

    def list_datasets(snapshot: Snapshot, arm: str | None, seed: str | None) -> list[Any]:
        return dataset_choice(snapshot.run, arm, seed)[2]

    session.live(fill, [summary], depends=("run", "status", "result"))
    session.live(list_datasets, [arm, seed], [arm, seed], depends=("run",))

    def prepare(request: gr.Request, run_id: str | None, kind: str, arm: str | None, seed: str | None) -> Any:
        try:
            run = session.reader.open(session.visitor(request), run_id)
            folder = Path(tempfile.mkdtemp(prefix="patchrl-"))
            if kind.startswith("changed-"):
                return gr.File(str(run.export(kind, folder)), visible=True)
            source, number, _ = dataset_choice(run, arm, seed)
            path = run.export(kind, folder, arm=source, seed=number)
            return gr.File(str(path), visible=True)
        except PatchRLError as error:
            raise gr.Error(str(error), print_exception=False) from None

    make.click(prepare, [session.run, kind, arm, seed], file, api_visibility="private")
