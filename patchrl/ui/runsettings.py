"""Settings of the chosen run: shown, copied into the form, and compared with another run's."""

from __future__ import annotations

from typing import Any

import gradio as gr

from patchrl.config import differences, to_toml
from patchrl.errors import PatchRLError
from patchrl.reporting import markup
from patchrl.ui.forms import Form
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session, no_run


def build(session: Session) -> gr.Button:
    """The accordion; returns the button that copies the run's settings into the form."""
    with gr.Accordion("Settings of this run", open=False, elem_id="settings"):
        settings = gr.HTML("", elem_id="run-settings")
        with gr.Row():
            other = gr.Dropdown([], value=None, label="Compare its settings with those of", elem_id="diff-with")
            clone = gr.Button("Copy its settings into the form", elem_id="clone")
        difference = gr.HTML("", elem_id="run-diff")

    def fill(snapshot: Snapshot) -> str:
        if snapshot.run is None:
            return no_run(snapshot, "Choose a run above.")
        text = to_toml(snapshot.run.config) or "# every setting has its default value"
        return f'<pre class="code" tabindex="0">{markup.escape(text)}</pre>'

    def compare(snapshot: Snapshot, name: str | None) -> str:
        if snapshot.run is None or not name:
            return ""
        try:
            second = session.reader.open(snapshot.visitor, name)
        except PatchRLError as error:
            return f'<p class="note">{markup.escape(error)}</p>'
        rows = differences(snapshot.run.config, second.config)
        if not rows:
            return '<p class="note">Both runs have the same settings.</p>'
        return markup.table(("Setting", "This run", name), rows)

    session.live(fill, [settings], depends=("run",))
    session.live(compare, [difference], [other], depends=("run",))
    session.live(session.listed, [other], depends=("runs",))
    return clone


def wire(session: Session, form: Form, clone: gr.Button) -> None:
    """Connect the copy, once all fields are made."""

    def copy(request: gr.Request, run_id: str | None) -> list[Any]:
        try:
            config = session.reader.open(session.visitor(request), run_id).config
        except PatchRLError as error:
            raise gr.Error(str(error), print_exception=False) from None
        gr.Info("The form on all tabs now holds this run's settings.")
        return form.values(config)

    clone.click(copy, session.run, form.inputs(), api_visibility="private", show_progress="hidden")
