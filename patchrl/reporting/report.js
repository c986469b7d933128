// Draws the figures of a report, and draws them again for paper: dark ink, the width of the page.
// `figures`: name -> {data, layout}; `overTraining`: what distribution_slider.js shows, or null. The page defines both before this script.
const nodes = [...document.querySelectorAll("[data-figure]")];
const buttons = [["toImage", "zoom2d", "pan2d", "resetScale2d"]];

function draw() {
  const ink = getComputedStyle(document.body).color;
  for (const node of nodes) {
    const figure = figures[node.dataset.figure];
    const names = node.clientWidth < 480 && figure.layout.barmode ? 120 : 0; // upright under their bars
    const height = figure.layout.height + legendRows(figure, node.clientWidth) * 19 + names;
    const layout = { ...figure.layout, height, font: { color: ink, size: 12 } };
    Plotly.react(node, figure.data, layout, { responsive: true, displaylogo: false, modeBarButtons: buttons });
  }
}

// Rows of a legend beyond the one that figures are made for.
function legendRows(figure, width) {
  const named = figure.data.filter((trace) => trace.name && trace.showlegend !== false).length;
  return figure.layout.showlegend === false ? 0 : Math.max(0, Math.ceil((named * 175) / Math.max(width, 175)) - 1);
}

draw();
if (overTraining) patchrlDistributionSlider(document.getElementById("distribution-slider"))(overTraining);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

const opened = [];
addEventListener("beforeprint", () => {
  // Tables go on paper, further examples do not.
  for (const part of document.querySelectorAll("details:not([open]):has(table)")) opened.push(part), (part.open = true);
  for (const node of document.querySelectorAll(".js-plotly-plot")) {
    const width = node.closest(".figures") ? 335 : 690;
    Plotly.relayout(node, { width, "font.color": "#111111" });
  }
});
addEventListener("afterprint", () => {
  for (const part of opened.splice(0)) part.open = false;
  const ink = getComputedStyle(document.body).color;
  for (const node of document.querySelectorAll(".js-plotly-plot")) {
    Plotly.relayout(node, { width: null, autosize: true, "font.color": ink });
  }
});
