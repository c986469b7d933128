"""The drawer with the settings of the chosen run, which a new study may take over."""

from __future__ import annotations

from typing import Any

import gradio as gr

from patchrl.config import to_toml
from patchrl.errors import PatchRLError
from patchrl.reporting import markup
from patchrl.ui.forms import Form
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import OPEN_DRAWER, QUIET, Session, no_run
from patchrl.ui.setup import drawer_head


def build(session: Session) -> gr.Button:
    """The drawer; returns the button that copies the run's settings into a new study."""
    drawer_head("Settings of this run")
    clone = gr.Button("Use these for a new study", variant="primary", elem_id="clone")
    settings = gr.HTML("", elem_id="run-settings")

    def fill(snapshot: Snapshot) -> str:
        if snapshot.run is None:
            return no_run(snapshot, "Choose a run above.")
        text = to_toml(snapshot.run.config) or "# every setting has its default value"
        return f'<pre class="code" tabindex="0">{markup.escape(text)}</pre>'

    session.live(fill, [settings], depends=("run",))
    return clone


def wire(session: Session, form: Form, clone: gr.Button, preset: gr.Dropdown) -> None:
    """Connect the copy, once all fields are made."""

    def copy(request: gr.Request, run_id: str | None) -> list[Any]:
        try:
            config = session.reader.open(session.visitor(request), run_id).config
        except PatchRLError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return [None, *form.values(config)]

    copied = clone.click(copy, session.run, [preset, *form.inputs()], **QUIET)
    copied.success(None, js=OPEN_DRAWER)
