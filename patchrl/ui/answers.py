"""What the playground's process answers, as HTML: groups of rewrites, or the answers of a chat."""

from __future__ import annotations

from typing import Any

from patchrl.playground.client import FINAL_KINDS
from patchrl.reporting import changed, markup, sentences


class AnswerView:
    """Collects the events of one request; `status` and `body` are what a page shows of them."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names  # of the writers that were asked, by key, in the order asked
        self.texts: dict[str, list[str]] = {}
        self.last: dict[str, Any] = {"kind": "asked"}

    def add(self, event: dict[str, Any]) -> None:
        self.last = event
        if event["kind"] == "writing":
            self.texts[event["writer"]] = event["texts"]

    def body(self) -> str:
        """The answers so far."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        return self.last["kind"] in FINAL_KINDS

    def status(self, seconds: float) -> str:
        """One line: what is going on, or how it ended."""
        last = self.last
        if last["kind"] == "error":
            return markup.error(last["text"])
        texts = {
            "asked": f"Starting the model's process … {seconds:.0f} s (about 10 s the first time).",
            "waiting": f"In line: {last.get('ahead')} ahead of you.",
            "loading": f"Loading {last.get('model')} … {seconds:.0f} s.",
            "cancelled": "■ Cancelled.",
            "done": f"✓ Done in {seconds:.1f} s.",
        }.get(last["kind"], f"Writing … {seconds:.0f} s.")
        return f'<p class="note" role="status">{markup.escape(texts)}</p>'


class AnswerCards(AnswerView):
    """The expert's text, then one column of candidates for each writer."""

    def __init__(self, names: dict[str, str]) -> None:
        super().__init__(names)
        self.expert: dict[str, Any] | None = None
        self.groups: dict[str, list[dict[str, Any]]] = {}

    def add(self, event: dict[str, Any]) -> None:
        super().add(event)
        if event["kind"] == "expert":
            self.expert = event
        elif event["kind"] == "group":
            self.groups[event["writer"]] = event["candidates"]

    def body(self) -> str:
        if self.expert is None:
            return ""
        columns = "".join(self._column(key) for key in self.names if key in self.groups or key in self.texts)
        return f'<div class="answers">{self._expert(self.expert)}<div class="writers">{columns}</div></div>'

    def _expert(self, row: dict[str, Any]) -> str:
        return (
            f'<article class="card"><header>The expert solution {markup.verdict(row)}</header>'
            f"<pre>{markup.escape(row['text'])}</pre>{self._mismatch(row)}"
            '<p class="note">ℓ: the shorter the bar, the nearer to the backbone\'s own words.</p>'
            f"{tokens(row)}</article>"
        )

    def _column(self, key: str) -> str:
        title = f"<h4>{markup.escape(self.names[key])}</h4>"
        if key not in self.groups:
            cards = "".join(
                f'<article class="card"><header>Writing …</header><pre>{markup.escape(text) or "…"}</pre></article>'
                for text in self.texts[key]
            )
            return f"<section>{title}<p class='note'>The gate judges whole rewrites.</p>{cards}</section>"
        group = self.groups[key]
        cards = "".join(self._card(row) for row in sorted(group, key=lambda row: -(row["reward"] or 0.0)))
        summary = f'<p class="note">{markup.escape(sentences.group_words(group))}. Their rewards compare these {len(group)} with one another only.</p>{self._likeness(key)}'
        return f"<section>{title}{summary}{cards}</section>"

    def _likeness(self, key: str) -> str:
        """A note where a rewriter wrote what the prompted backbone did: both sample with the same random numbers."""
        prompted = {row["text"] for row in self.groups.get("backbone", [])}
        texts = [row["text"] for row in self.groups[key]]
        same = sum(text in prompted for text in texts)
        if key == "backbone" or 2 * same < len(texts) or not same:
            return ""
        return (
            f'<p class="note">⚠ {same} of {len(texts)} are word for word the prompted backbone\'s (same sampling seed): '
            "this rewriter hardly differs from it yet. More training steps would part them.</p>"
        )

    def _card(self, row: dict[str, Any]) -> str:
        cut = '<p class="note">⚠ Cut off by the length limit.</p>' if row.get("clipped") else ""
        return (
            f'<article class="card"><header>{markup.verdict(row)}</header><pre>{markup.escape(row["text"])}</pre>'
            f"{cut}{self._mismatch(row)}{markup.reward_bars(row)}{tokens(row)}</article>"
        )

    def _mismatch(self, row: dict[str, Any]) -> str:
        """ℓ on the scale all texts of this answer share."""
        rows = [self.expert or row, *(c for group in self.groups.values() for c in group)]
        return mismatch_bar(row["nll"], max((r["nll"] or 0.0 for r in rows), default=0.0))


class ChatCards(AnswerView):
    """One answer of each model, side by side; the first is the backbone, from which the others are marked."""

    def __init__(self, names: dict[str, str]) -> None:
        super().__init__(names)
        self.answers: dict[str, dict[str, Any]] = {}

    def add(self, event: dict[str, Any]) -> None:
        super().add(event)
        if event["kind"] == "answer":
            self.answers[event["writer"]] = event

    def body(self) -> str:
        cards = "".join(self._card(key) for key in self.names if key in self.answers or key in self.texts)
        marked = any(key in self.answers for key in list(self.names)[1:])
        note = "Marked: the first word in which an answer differs from the backbone's." if marked else ""
        return f'<div class="cards three">{cards}</div>{markup.note(note) if note else ""}' if cards else ""

    def _card(self, key: str) -> str:
        answer, backbone = self.answers.get(key), self.answers.get(next(iter(self.names)))
        if answer is None:
            text, cut = markup.escape(self.texts[key][0]) + " …", ""
        else:
            place = changed.first_difference(answer["text"], backbone["text"]) if backbone else None
            text = changed.marked(answer["text"], place) or "(nothing)"
            cut = markup.note("⚠ Cut off by the length limit.") if answer["clipped"] else ""
        return (
            f'<article class="card"><header>{markup.escape(self.names[key])}</header><pre>{text}</pre>{cut}</article>'
        )


def mismatch_bar(nll: float | None, top: float) -> str:
    """ℓ as a bar: the shorter, the more like the backbone's own words."""
    return markup.bar("ℓ, nats", nll, top)


def tokens(row: dict[str, Any]) -> str:
    """The text as the backbone reads it, folded."""
    if not row.get("tokens"):
        return ""
    text = markup.surprisal(row["tokens"])
    return f"<details><summary>Token by token</summary>{markup.surprisal_legend()}{text}</details>"


ANSWERS_CSS = """
.answers{display:grid;gap:12px}.writers{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr))}
.writers section{min-width:0;display:grid;gap:8px;align-content:start}.writers h4{margin:4px 0 0;font-size:1.02em;font-weight:600}
.answers details summary{cursor:pointer;font-size:.86em;padding:2px 0}
"""
