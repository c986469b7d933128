"""The questions that fine-tuning changed, one by one: a table on the Forgetting tab, and one question in full."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.config.arms import display_name
from patchrl.evaluation.changes import ArmChanges
from patchrl.jobs.owners import Visitor
from patchrl.reporting import changed, markup
from patchrl.text import compact
from patchrl.ui.reader import Snapshot
from patchrl.ui.rows import Choice, PagedTable, Query, paged_table
from patchrl.ui.session import Session

COMPARED_RATE, NO_ARM = "compared", "none"  # values of filters
PREFERRED_BESIDE = ("rl", "expert")


def changed_table(session: Session) -> gr.HTML:
    """The component; its value is that of `table_value`."""

    def read(visitor: Visitor, query: Query) -> tuple[api.Run, str, list[ArmChanges]]:
        """The run, the learning rate in words of the filter, and what changed at it."""
        run = session.reader.open(visitor, query.text("run"))
        rates = _rate_options(run)
        name = query.text("rate") or query.find.get("rate", "")
        name = name if name in rates else next(iter(rates))
        at = next((rate for rate in run.config.finetune.learning_rate if compact(rate) == name), None)
        return run, name, session.reader.changes(run, at)

    def choose(visitor: Visitor, query: Query) -> Choice:
        run, rate, changes = read(visitor, query)
        rows = [row for one in changes for row in one.questions]
        arms, seeds = list(changed.by_arm(changes)), sorted({one.seed for one in changes})
        options = {
            "task": changed.task_filters(rows),
            "arm": {"": "All arms"} | {arm: display_name(arm) for arm in arms},
            "seed": {"": "All seeds"} | {str(seed): str(seed) for seed in seeds} if len(seeds) > 1 else {},
            "rate": _rate_options(run),
            "change": {"": "Both directions"} | changed.CHANGE_NAMES,
            "beside": {arm: display_name(arm) for arm in _beside_first(arms)} | {NO_ARM: "No other arm"},
        }
        filters = {name: query.text(name) for name in options}
        # A question that an address names may be of any kind; else the forgotten skills come first.
        first = {"task": ""} if query.find else {}
        for name, values in options.items():
            if filters[name] not in values or name not in query.values:
                filters[name] = first.get(name, next(iter(values), ""))
        filters["rate"] = rate
        chosen = changed.select(
            rows,
            task=filters["task"],
            arm=filters["arm"],
            seed=filters["seed"],
            change=filters["change"],
            search=query.text("search"),
            **query.sort(list(changed.COLUMNS)),
        )
        return Choice(chosen, len(rows), changed.counts_html(changes), options, filters)

    def detail(visitor: Visitor, query: Query) -> str:
        run, _, changes = read(visitor, query)
        wanted = {key: query.text(key) for key in ("arm", "seed", "question") if query.text(key)}
        rows = (row for one in changes for row in one.questions)
        row = next((row for row in rows if wanted.items() <= changed.address(row).items()), None)
        if row is None:
            return markup.note("That question did not change here; choose one in the table.")
        arms = [arm for arm in _beside_first(changed.by_arm(changes)) if arm != row["arm"]]
        beside = query.text("beside")
        other = beside if beside in arms else next(iter(arms), NO_ARM)
        if NO_ARM in (beside, other):
            return changed.detail(row)
        answers = run.predictions(other, row["seed"], None if run.result() else row["rate"])
        same = (p for p in answers if (p["task"], str(p["id"])) == (row["task"], row["id"]))
        return changed.detail(row, next(same, None), other)

    return paged_table(
        session,
        PagedTable(
            "changed",
            "What was forgotten, one by one",
            [(name, title, False) for name, (title, _) in changed.COLUMNS.items()],
            [
                ("task", "Skill", {}, False),
                ("arm", "Arm", {}, False),
                ("seed", "Seed", {}, False),
                ("rate", "Learning rate", {}, False),
                ("change", "Change", {}, False),
                ("beside", "Beside it", {}, True),
            ],
            "text in question or answers",
            "Choose a question (click, or arrow keys) to see the answers side by side.",
            ["question", "arm", "seed", "rate"],
            choose,
            changed.cells,
            changed.address,
            detail,
        ),
    )


def table_value(snapshot: Snapshot) -> dict[str, Any]:
    """Whose questions the table shows; the stamp changes when an evaluation ends. Empty before an arm is evaluated."""
    run, answers = snapshot.run, snapshot.stamps.get("predictions", "")
    if run is None or answers.count(",") < 1:  # the backbone's answers alone change nothing
        return {}
    digest = hashlib.blake2b(f"{answers} {snapshot.stamps['result']}".encode(), digest_size=8).hexdigest()
    return {"run": run.id, "source": {}, "stamp": f"{run.id} {digest}"}


def _rate_options(run: api.Run) -> dict[str, str]:
    """The learning rates to choose from: what the results compare first, once they are there."""
    rates = {compact(rate): compact(rate) for rate in run.config.finetune.learning_rate}
    if len(rates) > 1 and run.result():
        return {COMPARED_RATE: "the one compared"} | rates
    return rates


def _beside_first(arms: Sequence[str] | dict[str, Any]) -> list[str]:
    """Arms in the order in which they stand beside another: RL and plain SFT first."""
    return sorted(
        arms, key=lambda arm: PREFERRED_BESIDE.index(arm) if arm in PREFERRED_BESIDE else len(PREFERRED_BESIDE)
    )


CHANGED_CSS = """
.rows-bar label[hidden]{display:none}.rows-head ul{margin:.2em 0 .8em;padding-left:1.2em}.rows-head p{margin:.2em 0}.rows-head h3{margin:.6em 0 .3em;font-size:1.1em;font-weight:600}
.rows .column-arm{width:180px}.rows .column-task,.rows .column-change{width:116px}.rows .column-seed{width:60px}
.rows .column-backbone_answer,.rows .column-answer{width:auto}.rows .column-reference{width:110px}
"""
