"""Compare tab: original and rewritten samples side by side, with every reward and the surprisal of each token."""

from __future__ import annotations

from typing import Any

import gradio as gr

from patchrl import api, figures, markup, views
from patchrl.ui import playground
from patchrl.ui.charts import charts
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session, no_run

HEADERS = ["id", "question", "expert", "rewrite", "gate", "ℓ expert", "ℓ rewrite", "gain", "reward", "decision"]
WAITING = "Rewrites appear here once the rewriter is trained and the dataset is rewritten."


def build(session: Session) -> None:
    """The tab."""
    with gr.Row():
        arm = gr.Dropdown(
            [(views.ARM_NAMES[a], a) for a in ("rl", "best-of-k", "prompted")], value="rl", label="Rewrites of"
        )
        seed = gr.Dropdown([], value=None, label="Seed", info="Empty: the first.", allow_custom_value=True)
        keep = gr.Dropdown(list(views.SAMPLE_FILTERS), value="all", label="Show")
        order = gr.Dropdown(list(views.SAMPLE_ORDERS), value="biggest gain", label="Order")
        search = gr.Textbox("", label="Search", placeholder="text in question, expert or rewrite")
    waiting = gr.HTML("")
    table = gr.Dataframe(
        headers=HEADERS, interactive=False, wrap=True, max_height=420, label="Rewritten dataset (select a row)",
        column_widths=["90px", "220px", "260px", "260px", "90px", "80px", "80px", "80px", "80px", "90px"],
        elem_id="samples",
    )  # fmt: skip
    detail = gr.HTML(
        '<p class="note">Select a row to see both texts, the verdict and the surprisal of every token.</p>',
        elem_id="detail",
    )
    mismatch = charts("Mismatch")
    playground.build(session)

    def chosen(snapshot: Snapshot, arm: str, seed: str | None) -> list[dict[str, Any]]:
        if snapshot.run is None:
            return []
        return session.reader.samples(snapshot.run, arm, seed_of(snapshot.run, seed))

    def fill(snapshot: Snapshot, arm: str, seed: str | None, keep: str, order: str, search: str) -> list[Any]:
        rows = views.select_samples(chosen(snapshot, arm, seed), keep=keep, order=order, search=search)
        told = "" if rows else no_run(snapshot, WAITING if not search and keep == "all" else "No row fits this filter.")
        seeds = [str(s) for s in snapshot.run.config.study.seeds] if snapshot.run else []
        return [told, _frame(rows), _mismatch(snapshot), gr.update(choices=seeds)]

    def _mismatch(snapshot: Snapshot) -> dict[str, Any]:
        rewrites = {}
        for name in ("prompted", "best-of-k", "rl"):
            values = [r["nll_rewrite"] for r in chosen(snapshot, name, None) if r["decision"] == "accepted"]
            rewrites[name] = [v for v in values if v is not None]
        figure = figures.mismatch_figure(snapshot.last("scan"), rewrites)
        return {"mismatch": figure} if figure else {}

    session.live(fill, [waiting, table, mismatch, seed], [arm, seed, keep, order, search])

    def opened(run_id: str | None, arm: str, seed: str | None, event: gr.SelectData) -> str:
        snapshot = session.reader.snapshot(run_id)
        wanted = str(event.row_value[0])
        row = next((r for r in chosen(snapshot, arm, seed) if str(r["id"]) == wanted), None)
        if snapshot.run is None or row is None:
            return no_run(snapshot, "That row is no longer there.")
        return markup.sample_detail(row, snapshot.run.surprisal(arm, seed_of(snapshot.run, seed), wanted))

    table.select(opened, [session.run, arm, seed], detail, api_visibility="private")


def seed_of(run: api.Run, chosen: str | None) -> int:
    """The chosen seed, or the run's first where none (or none of its own) is chosen."""
    seeds = run.config.study.seeds
    return next((seed for seed in seeds if str(seed) == chosen), seeds[0])


def _frame(rows: list[dict[str, Any]]) -> dict[str, Any]:
    gate = {True: "✓ passed", False: "✗ failed", None: "? unscorable"}

    def number(value: float | None) -> float | None:
        return None if value is None else round(value, 3)

    data = [
        [
            str(row["id"]), row["question"], row["expert"], row["rewrite"], gate[row["passed"]], number(row["nll_expert"]),
            number(row["nll_rewrite"]), number(views.gain(row)), number(row["reward"]), row["decision"],
        ]
        for row in rows
    ]  # fmt: skip
    return {"headers": HEADERS, "data": data}
