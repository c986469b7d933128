"""HTML fragments shared by the pages and the report. Every text from a model or a dataset is escaped here."""

from __future__ import annotations

import difflib
import html
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from patchrl.reporting import sentences
from patchrl.reporting.samples_table import GATE_WORDS, gain
from patchrl.rewards.monitors import REMEDIES
from patchrl.runs.samples import SampleRow
from patchrl.text import number, percent

SURPRISAL_TOP = 6.0  # nats at which the scale is full
# Five points of the cividis map, light to dark: even for every kind of colour vision, and in grey.
SCALE = ("#fff6c9", "#f0d873", "#c3ad6a", "#67686f", "#3d4d6b")
# Shows `figures.mismatch_over_training` on any page that has Plotly.
DISTRIBUTION_SLIDER = Path(__file__).with_name("distribution_slider.js").read_text(encoding="utf-8")


def escape(text: Any) -> str:
    """Text as HTML; also neutral inside a gr.HTML template, where `${` and `{{` would be read as code."""
    return html.escape(str(text)).replace("$", "&#36;").replace("{", "&#123;").replace("}", "&#125;")


def word_diff(before: str, after: str) -> str:
    """`after` with inserted words marked, and words of `before` that went struck through."""
    old, new = re.findall(r"\s+|\S+", before), re.findall(r"\s+|\S+", after)
    parts = []
    for op, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        removed, added = escape("".join(old[i1:i2])), escape("".join(new[j1:j2]))
        if op == "equal":
            parts.append(added)
            continue
        if removed.strip():
            parts.append(f"<del>{removed}</del> ")
        if added:
            parts.append(f"<ins>{added}</ins>")
    return "".join(parts)


def surprisal(tokens: Sequence[Sequence[Any]], title: str = "Text") -> str:
    """Tokens on the shared surprisal scale; hover or focus shows the value and the likeliest alternatives.

    `tokens`: [text, −log p in nats, [[alternative, probability], …]] each. All tokens are one stop for the
    Tab key, arrow keys move between them (see tokens.js); every token carries its numbers as its label.
    """
    spans: list[str] = []
    for text, nll, alternatives in tokens:
        level = min(int(nll / SURPRISAL_TOP * len(SCALE)), len(SCALE) - 1)
        ink = "#fff" if level >= 3 else "#1b1b1b"
        others = "".join(f"\n{t!r} {percent(p)}" for t, p in alternatives)
        tip = f"{text!r}: {number(nll, 2)} nats, p = {number(math.exp(-nll))}" + (
            f"\nLikeliest here:{others}" if others else ""
        )
        text_html = escape(text).replace("\n", "↵<br>") or "∅"
        spans.append(
            f'<span class="tok" role="img" tabindex="{-1 if spans else 0}" style="background:{SCALE[level]};color:{ink}" '
            f'aria-label="{escape(tip)}">{text_html}</span>'
        )
    mean = sum(t[1] for t in tokens) / len(tokens) if tokens else 0.0
    summary = f"mean {number(mean)} nats per token over {len(tokens)} tokens"
    return (
        f'<div class="tokens" role="group" aria-label="{escape(title)}, {summary}; arrow keys move between tokens">'
        f'{"".join(spans)}</div><p class="note">{summary}</p>'
    )


def surprisal_scale() -> str:
    """The scale that all texts share, in nats."""
    step = SURPRISAL_TOP / len(SCALE)
    return "".join(
        f'<span class="swatch" style="background:{colour};color:{"#fff" if i >= 3 else "#1b1b1b"}">'
        f"{number(step * i, 1)}{'+' if i == len(SCALE) - 1 else ''}</span>"
        for i, colour in enumerate(SCALE)
    )


def surprisal_legend() -> str:
    """The scale, and what it says."""
    return f'<p class="legend">Surprisal in nats: {surprisal_scale()} (dark: the backbone would not have written this). Hover over a token, or move with the arrow keys, for its numbers.</p>'


def bar(name: str, value: float | None, top: float) -> str:
    """One labelled bar; a missing value is said in words."""
    if value is None:
        return f'<div class="bar"><span>{escape(name)}</span><i></i><b>not scored</b></div>'
    width = 0.0 if top <= 0 else max(0.0, min(100.0, 100 * value / top))
    return (
        f'<div class="bar"><span>{escape(name)}</span><i><u class="{escape(name)}" style="width:{width:.1f}%"></u></i>'
        f"<b>{number(value)}</b></div>"
    )


def reward_bars(row: Mapping[str, Any]) -> str:
    """A bar per reward of one rewrite."""
    tops = {"reward": 1.5, "consistency": 1.0, "alignment": 1.0, "diversity": 0.25}
    return "".join(bar(name, row.get(name), top) for name, top in tops.items())


def verdict(row: Mapping[str, Any]) -> str:
    """The gate's word with a sign and a text, never colour alone."""
    kind = {True: "ok", False: "bad", None: "unsure"}[row["passed"]]
    return f'<span class="verdict {kind}">{GATE_WORDS[row["passed"]]}</span> <span class="note">{escape(row["reason"] or "")}</span>'


def error(text: str) -> str:
    """One sentence of error, as HTML."""
    return f'<p class="problem" role="alert">✗ {escape(text)}</p>'


def note(text: str) -> str:
    """A sentence in small print, as HTML."""
    return f'<p class="note">{escape(text)}</p>'


def group_cards(event: dict[str, Any] | None) -> str:
    """The newest scored group: the question, the expert's words, and every candidate with its rewards."""
    if event is None:
        return '<p class="note">The first group appears after the first step.</p>'
    cards = "".join(
        f'<article class="card"><header>{verdict(c)}</header><pre>{escape(c["text"])}</pre>{reward_bars(c)}'
        f'<p class="note">ℓ {number(c["nll"])} nats per token</p></article>'
        for c in event["candidates"]
    )
    return (
        f"<p>Seed {event['seed']}, step {event['step']}</p>"
        f"<p><b>Question.</b> {escape(event['question'])}</p><p><b>Expert.</b> {escape(event['solution'])}</p>"
        f'<div class="cards">{cards}</div>'
    )


def alarms(events: Sequence[dict[str, Any]]) -> str:
    """The monitors' alarms in red, the newest first: what they saw, what to do, and rewrites of that step as they were."""
    by_step: dict[Any, list[dict[str, Any]]] = {}
    for event in sentences.alarms(events):
        by_step.setdefault((event.get("rewriter"), event.get("seed"), event.get("step")), []).append(event)
    *earlier, newest = map(_alarm, by_step.values()) if by_step else [""]
    if earlier:
        newest += f"<details><summary>Earlier alarms ({len(earlier)})</summary>{''.join(earlier[::-1])}</details>"
    return newest


def _alarm(events: Sequence[dict[str, Any]]) -> str:
    """The alarms of one step."""
    words = "".join(f"<p><b>⚠ {escape(event['text'])}</b></p>" for event in events)
    remedies = dict.fromkeys(REMEDIES.get(event["monitor"], "") for event in events)
    words += f"<p><b>What to do.</b> {escape(' '.join(remedies))}</p>"
    newest = events[-1]
    if newest.get("candidates"):
        cards = "".join(
            f'<article class="card"><header>{verdict(c)} reward {number(c.get("reward"), 2)}</header><pre>{escape(c["text"])}</pre></article>'
            for c in newest["candidates"]
        )
        words += (
            f"<p><b>Rewrites of this step, as they were,</b> of “{escape(newest.get('question', ''))}” with the expert's “"
            f'{escape(newest.get("solution", ""))}”:</p><div class="cards">{cards}</div>'
        )
    return f'<section class="alarm">{words}</section>'


def messages(events: Sequence[dict[str, Any]]) -> str:
    """What a run has said beside its alarms, the newest first."""
    signs = {"warning": "⚠", "error": "✗"}
    others = [e for e in reversed(events) if e["kind"] == "message" and "monitor" not in e]
    return "".join(f'<p class="note">{signs.get(e["level"], "·")} {escape(e["text"])}</p>' for e in others)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A plain table that scrolls sideways on a narrow screen."""
    head = "".join(f"<th>{escape(h)}</th>" for h in headers)
    body = "".join("<tr>" + "".join(f"<td>{_cell(c)}</td>" for c in row) + "</tr>" for row in rows)
    # It may scroll, so the keyboard must reach it.
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(headers[0])}"><table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: Any) -> str:
    """A cell's text; an interval in brackets keeps together on a line of its own where the table is tight."""
    text = escape(value)
    number, bracket, interval = text.partition(" [")
    return f'{number} <span class="interval">[{interval}</span>' if bracket and text.endswith("]") else text


def sample_detail(row: SampleRow, tokens: dict[str, Any] | None) -> str:
    """One example in full: expert, word diff, rewrite, verdict, rewards, and surprisal of both texts."""
    mismatch = (
        "not scored"
        if gain(row) is None
        else f"ℓ {number(row['nll_expert'])} → {number(row['nll_rewrite'])} nats per token"
    )
    parts = [
        f'<div class="detail"><p><b>Question.</b> {escape(row["question"])}</p>',
        f"<p>{verdict(row)} · decision: <b>{escape(row['decision'])}</b> · {mismatch} · "
        f"answer read: {escape((row['extracted'] or 'none').rstrip('.'))}, expected: {escape(row['reference'])}</p>",
        '<div class="cards three">',
        f'<article class="card"><header>Expert</header><pre>{escape(row["expert"])}</pre></article>',
        f'<article class="card"><header>Changes</header><pre>{word_diff(row["expert"], row["rewrite"])}</pre></article>',
        f'<article class="card"><header>Rewrite</header><pre>{escape(row["rewrite"])}</pre>{reward_bars(row)}</article>',
        "</div>",
    ]
    if tokens:
        parts += [
            surprisal_legend(),
            '<div class="cards two">',
            f'<article class="card"><header>Expert, as the backbone reads it</header>{surprisal(tokens["expert"], "Expert")}</article>',
            f'<article class="card"><header>Rewrite, as the backbone reads it</header>{surprisal(tokens["rewrite"], "Rewrite")}</article>',
            "</div>",
        ]
    return "".join(parts) + "</div>"


REPORT_CSS = """
td,th,b,small,.tok{unicode-bidi:isolate}
.tokens{line-height:1.9;overflow-wrap:anywhere}.tok,.swatch{padding:2px 1px;border-radius:3px;white-space:pre-wrap}.swatch{padding:2px 7px;margin-right:1px}
.tok:focus{outline:3px solid #0072B2;outline-offset:1px}
.legend{font-size:.86em;margin:.6em 0}.note{opacity:.75;font-size:.86em;margin:.35em 0}.cards{display:grid;gap:10px;grid-template-columns:repeat(auto-fill,minmax(250px,1fr))}
.cards.two{grid-template-columns:repeat(auto-fit,minmax(290px,1fr))}.cards.three{grid-template-columns:repeat(auto-fit,minmax(240px,1fr))}
.card{border:1px solid rgba(128,128,128,.35);border-radius:8px;padding:10px;min-width:0}.card header{font-weight:600;margin-bottom:6px}
.card pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit;margin:0 0 8px;background:none;border:0;padding:0;color:inherit}
ins{background:rgba(0,158,115,.22);text-decoration:underline;text-decoration-thickness:1px}del{background:rgba(213,94,0,.2);opacity:.85}
mark.first{background:rgba(230,159,0,.38);color:inherit;font-weight:600;text-decoration:underline;text-underline-offset:3px;border-radius:3px;padding:0 2px}
.bar{display:grid;grid-template-columns:92px 1fr 76px;gap:8px;align-items:center;font-size:.84em;margin:2px 0}
.bar i{display:block;height:9px;border-radius:4px;background:rgba(128,128,128,.2);overflow:hidden}
.bar u{display:block;height:100%;background:#0072B2}.bar u.reward{background:#009E73}.bar u.alignment{background:#56B4E9}.bar u.diversity{background:#E69F00}
.bar b{font-weight:500;text-align:right;font-variant-numeric:tabular-nums}
.alarm{border-left:4px solid #D55E00;padding:6px 12px;margin:0 0 10px;background:rgba(213,94,0,.12)}.alarm p{margin:.3em 0}.alarm summary{cursor:pointer}
.alarm .card{background:var(--body-background-fill,var(--bg,Canvas))}
.verdict{font-weight:600;padding:1px 7px;border-radius:9px;font-size:.86em}.verdict.ok{background:rgba(0,158,115,.22)}
.verdict.bad{background:rgba(213,94,0,.24)}.verdict.unsure{background:rgba(128,128,128,.28)}
.slider-bar{display:flex;gap:12px;align-items:center}.slider-bar input{flex:1;min-width:0;accent-color:#009E73}.slider-caption{font-size:.9em;margin:.4em 0 1em;min-height:3em}
.slider-play{border:1px solid rgba(128,128,128,.5);border-radius:6px;padding:5px 14px;min-width:96px;background:none;color:inherit;font:inherit;cursor:pointer}
.scroll{overflow-x:auto;margin-bottom:10px}table.plain{border-collapse:collapse;width:100%;font-size:.92em}table.plain th{text-align:left;font-weight:600}
table.plain,table.plain thead,table.plain tbody,table.plain tr{border:0!important}
table.plain td,table.plain th{padding:6px 10px;border:0!important;border-bottom:1px solid rgba(128,128,128,.3)!important;white-space:nowrap;font-variant-numeric:tabular-nums}
table.plain th,table.plain td{white-space:normal}table.plain td{vertical-align:top}table.plain td:first-child{min-width:7em}
table.plain th{vertical-align:bottom}.interval{display:inline-block;white-space:nowrap;opacity:.75;font-size:.92em}
.findings table.plain td{min-width:4em}.findings summary{cursor:pointer;padding:3px 0}
@media(max-width:560px){table.plain td:first-child,table.plain th:first-child{position:sticky;left:0;max-width:38vw;
background:var(--body-background-fill,var(--bg,Canvas))}}
"""
