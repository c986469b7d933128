"""In the drawer of a new study: the button that fetches the model that PatchRL knows by name."""

from __future__ import annotations

import re
from typing import Any

import gradio as gr

from patchrl.config import SMOLLM2
from patchrl.jobs.fetching import fetch_state, start_fetch
from patchrl.models.fetch import SIZE
from patchrl.reporting import markup

POLL_SECONDS = 1.0
PROGRESS = re.compile(r"(\d+) of (\d+) MB$")


def build() -> None:
    """The button and what it shows; the fetch itself runs in a process of its own."""
    with gr.Row():
        button = gr.Button(f"Fetch {SMOLLM2}", elem_id="fetch", scale=0, min_width=220)
        shown = gr.HTML(status(), elem_id="fetched")
    timer = gr.Timer(POLL_SECONDS, active=fetch_state(SMOLLM2).going)

    def begin_fetch() -> tuple[str, Any]:
        start_fetch(SMOLLM2)
        return status(), gr.Timer(active=True)

    def poll_fetch() -> tuple[str, Any]:
        return status(), gr.Timer(active=fetch_state(SMOLLM2).going)

    button.click(begin_fetch, None, [shown, timer], api_visibility="private")
    timer.tick(
        poll_fetch, None, [shown, timer], api_visibility="private", show_progress="hidden", concurrency_limit=None
    )


def status() -> str:
    """What the page says of the model: here, on its way, failed, or what it would take."""
    state = fetch_state(SMOLLM2)
    if state.here:
        return markup.note(f"✓ {SMOLLM2}, a real chat model, is on this machine: choose one of its presets.")
    if state.going:
        progress = PROGRESS.search(state.line)
        bar = f' <progress value="{progress[1]}" max="{progress[2]}"></progress>' if progress else ""
        return f'<p role="status">{markup.escape(state.line or "starting")}{bar}</p>'
    if state.line.startswith("patchrl: "):
        return markup.error(state.line.removeprefix("patchrl: "))
    return markup.note(f"A real chat model (SmolLM2-135M-Instruct): {SIZE}. It is fetched once.")
