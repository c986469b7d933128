"""Plotly charts that keep zoom, legend and hover while their data changes."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

# gr.Plot would build a new node on every update; the script updates the one it has. Plotly itself comes
# from its own package: no outside request.
CHARTS = Path(__file__).with_name("charts.js").read_text(encoding="utf-8")
# The slider's script is in the page's head, see app.py.
SLIDER = """
const root = document.createElement('div');
let show = null;
const fill = () => {
  if (!root.isConnected) element.appendChild(root);
  root.hidden = !props.value;
  if (!props.value) return;
  if (!window.Plotly || !window.patchrlDistributionSlider) { setTimeout(fill, 100); return; }
  show = show || window.patchrlDistributionSlider(root);
  show(props.value);
};
watch('value', fill);
fill();
"""


def charts(label: str, look: str = "") -> gr.HTML:
    """A grid of charts, of two columns if `look` is "large"; its value is a dict of name -> Plotly figure."""
    return gr.HTML(
        value={}, html_template="<div></div>", js_on_load=CHARTS, label=label, elem_classes=["patchrl-figure", look],
        apply_default_css=False,
    )  # fmt: skip


def distribution_slider(label: str, elem_id: str = "distribution-slider") -> gr.HTML:
    """A chart with a slider and a play button; its value is that of `figures.mismatch_over_training`."""
    return gr.HTML(
        value=None,
        html_template="<div></div>",
        js_on_load=SLIDER,
        label=label,
        elem_id=elem_id,
        apply_default_css=False,
    )


def plotly_script() -> str:
    """The script tag that brings plotly.js, and the folder Gradio must be allowed to serve it from."""
    import plotly

    folder = Path(plotly.__file__).parent / "package_data"
    gr.set_static_paths([folder])
    return f'<script src="gradio_api/file={(folder / "plotly.min.js").as_posix()}"></script>'
