"""The report of a run: one HTML file with its figures inside, readable without a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from patchrl import curves, figures, markup, samples, views
from patchrl.arms import parse, sources_in_order
from patchrl.config import StudyConfig, to_toml
from patchrl.results import read_rows
from patchrl.runs import embeddings
from patchrl.runs.events import read_events
from patchrl.runs.folder import RunFolder

SHOWN = 3

PAGE_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--ink:#1c2430}@media(prefers-color-scheme:dark){:root{--bg:#12161c;--ink:#e3e7ed}}
body{margin:0 auto;max-width:1080px;padding:24px 18px 60px;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
h1{font-size:1.7em;margin:.2em 0}h2{margin-top:2em}.figures{display:grid;gap:12px;grid-template-columns:repeat(auto-fill,minmax(310px,1fr))}
.wide{width:100%}.lead{font-size:1.1em}pre.code{white-space:pre-wrap;background:rgba(128,128,128,.14);padding:12px;border-radius:8px}
"""
DRAW = """
const ink = getComputedStyle(document.body).color;
for (const node of document.querySelectorAll('[data-figure]')) {
  const figure = figures[node.dataset.figure];
  figure.layout.font = {color: ink, size: 12};
  Plotly.newPlot(node, figure.data, figure.layout, {responsive: true, displaylogo: false,
    modeBarButtons: [['toImage', 'zoom2d', 'pan2d', 'resetScale2d']]});
}
if (played) patchrlPlayer(document.getElementById('player'))(played);
"""


def report_of(config: StudyConfig, folder: RunFolder, result: dict[str, Any]) -> str:
    """The page of a run, from what its folder holds and its result; examples are of its first seed."""
    seed = config.study.seeds[0]
    sources = [source for source in sources_in_order(map(parse, config.study.arms)) if source != "expert"]
    rewrites = {source: read_rows(folder.samples(source, seed)) for source in sources}
    return build_report(config, read_events(folder.events), result, rewrites, embeddings.embedding_map(folder))


def build_report(
    config: StudyConfig,
    events: Sequence[dict[str, Any]],
    result: dict[str, Any],
    rewrites: dict[str, list[dict[str, Any]]],
    embedding_map: dict[str, Any] | None = None,
) -> str:
    """The whole page as one string; plotly.js and all data are inside. `rewrites`: arm -> rows."""
    from plotly.offline import get_plotlyjs

    scans = [e for e in events if e["kind"] == "scan"]
    accepted = {
        arm: [r["nll_rewrite"] for r in rows if r["decision"] == "accepted" and r["nll_rewrite"] is not None]
        for arm, rows in rewrites.items()
    }
    drawn = {
        "plane": figures.gain_forgetting_figure(result),
        "tasks": figures.task_figure(result),
        "mismatch": figures.mismatch_figure(scans[-1] if scans else None, accepted),
        "map": figures.embedding_figure(**embedding_map) if embedding_map else None,
        "loss": curves.loss_figure(events),
        **{f"curve-{name}": figure for name, figure in curves.training_figures(events).items()},
    }
    drawn = {name: figure for name, figure in drawn.items() if figure}
    played = figures.mismatch_over_training(events)
    shown_curves = "".join(_slot(name) for name in drawn if name.startswith("curve-"))
    seconds = [[stage, views.format_seconds(s)] for stage, s in result.get("seconds", {}).items()]
    sections = [
        f"<h1>PatchRL report</h1><p class='note'>backbone {markup.escape(result['backbone'])} · dataset "
        f"{markup.escape(result['dataset'])} · seeds {markup.escape(', '.join(map(str, result['seeds'])))}</p>",
        f"<p class='lead'>{markup.escape(views.headline(result))}</p>",
        _slot("plane", "wide"),
        markup.table(views.RESULT_HEADERS, views.result_rows(result)),
        "<p class='note'>Brackets: 95 % paired bootstrap over items and seeds. Forgotten in points: backbone − tuned, "
        "mean over general tasks. Relative: (backbone − tuned) / backbone, mean over tasks. Drop avoided: 1 − (drop of "
        "the arm) / (drop of plain SFT). No answer: nothing readable as an answer, which is a lost format rather than "
        "lost knowledge. Data cost: seconds to make the arm's targets, training of the rewriter included.</p>",
        *_sweep(result),
        *_comparisons(result),
        "<h2>Every task</h2>" + _slot("tasks", "wide"),
        "<h2>Every seed</h2>"
        + markup.table(("Arm", "Seed", "Target %", "General %", "Forgotten, points"), views.per_seed_rows(result)),
        "<h2>Mismatch</h2>" + (_slot("mismatch", "wide") if "mismatch" in drawn else "<p>Not scanned.</p>"),
        "<div id='player'></div>" if played else "",
        _slot("map", "wide") if "map" in drawn else "",
        f"<h2>Training of the rewriter</h2><div class='figures'>{shown_curves}</div>" if shown_curves else "",
        "<h2>Fine-tuning</h2>" + _slot("loss", "wide") if "loss" in drawn else "",
        *(_examples(arm, rows) for arm, rows in rewrites.items()),
        "<h2>Where the time went</h2>" + markup.table(("Stage", "Time"), seconds),
        "<h2>How to repeat it</h2><p>Save as study.toml, then <code>python -m patchrl run study.toml</code>.</p>"
        f"<pre class='code'>{markup.escape(to_toml(config))}</pre>",
    ]
    data = json.dumps([drawn, played], ensure_ascii=False).replace("<", "\\u003c")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' "
        "content='width=device-width, initial-scale=1'><title>PatchRL report</title>"
        f"<style>{PAGE_STYLE}{markup.STYLE}</style><script>{get_plotlyjs()}</script></head>"
        f"<body>{''.join(sections)}<script>{markup.PLAYER}const [figures, played] = {data};{DRAW}</script></body></html>"
    )


def _sweep(result: dict[str, Any]) -> list[str]:
    rows = views.sweep_rows(result)
    if not rows:
        return []
    return [
        "<h2>Every learning rate</h2>" + markup.table(views.SWEEP_HEADERS, rows),
        "<p class='note'>Arms are compared at their own best rate: the lowest whose target score on a third of the "
        "held-out examples is within one standard error of the arm's best there. Those examples are reported nowhere "
        "else.</p>",
    ]


def _comparisons(result: dict[str, Any]) -> list[str]:
    """Which arm is better: sentences on plain SFT and on RL, and the table of all pairs."""
    rows = views.comparison_rows(result)
    if not rows:
        return []
    sentences = [*views.comparison_sentences(result, views.main_arms(result)), views.detectable_sentence(result)]
    return [
        "<h2>Which arm is better</h2>",
        "<ul>" + "".join(f"<li>{markup.escape(text)}</li>" for text in sentences) + "</ul>",
        markup.table(views.COMPARISON_HEADERS, rows),
        f"<p class='note'>{markup.escape(result['comparisons']['method'])}</p>",
    ]


def _slot(name: str, kind: str = "") -> str:
    return f"<div class='{kind}' data-figure='{name}'></div>"


def _examples(arm: str, rows: list[dict[str, Any]]) -> str:
    gains = samples.select(rows, keep="accepted", sort="gain", descending=True)[:SHOWN]
    failures = samples.select(rows, keep="fallback")[:SHOWN]
    parts = [f"<h2>{markup.escape(views.ARM_NAMES.get(arm, arm))}: examples</h2>"]
    for title, chosen in (("Biggest gains", gains), ("Fell back to the expert", failures)):
        if chosen:
            parts.append(f"<h3>{title}</h3>" + "".join(markup.sample_detail(row, None) for row in chosen))
    return "".join(parts)
