"""Plotly charts that keep zoom, legend and selection while their data changes."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

# The drawn nodes are made once and handed to Plotly.react: gr.Plot would build a new one on every
# update and lose the reader's zoom. The script comes from plotly's own package: no outside request.
DRAW = """
const grid = document.createElement('div');
grid.className = 'patchrl-charts';
const nodes = {};
const draw = () => {
  if (!window.Plotly) { setTimeout(draw, 100); return; }
  if (!grid.isConnected) element.appendChild(grid);
  const figures = props.value || {};
  for (const name of Object.keys(nodes)) {
    if (!(name in figures)) { Plotly.purge(nodes[name]); nodes[name].remove(); delete nodes[name]; }
  }
  const ink = getComputedStyle(element).color;
  for (const [name, figure] of Object.entries(figures)) {
    if (!nodes[name]) {
      nodes[name] = document.createElement('div');
      nodes[name].dataset.chart = name;
      grid.appendChild(nodes[name]);
    }
    const look = Object.assign({}, figure.layout, {font: {color: ink, size: 12}, autosize: true});
    Plotly.react(nodes[name], figure.data, look, {responsive: true, displaylogo: false});
  }
};
const fit = () => { for (const node of Object.values(nodes)) if (node.offsetWidth) Plotly.Plots.resize(node); };
new ResizeObserver(fit).observe(element);
watch('value', draw);
draw();
"""


def charts(label: str) -> gr.HTML:
    """A grid of charts; its value is a dict of name -> Plotly figure."""
    return gr.HTML(value={}, html_template="<div></div>", js_on_load=DRAW, label=label, elem_classes=["patchrl-figure"])


def plotly_script() -> str:
    """The script tag that brings plotly.js, and the folder Gradio must be allowed to serve it from."""
    import plotly

    folder = Path(plotly.__file__).parent / "package_data"
    gr.set_static_paths([folder])
    return f'<script src="gradio_api/file={(folder / "plotly.min.js").as_posix()}"></script>'
