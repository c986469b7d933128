"""The questions whose verdict fine-tuning changed, for page, report, terminal and export. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from patchrl.config.arms import display_name
from patchrl.evaluation.changes import ArmChanges, ChangeCounts, ChangedQuestion
from patchrl.reporting import markup
from patchrl.reporting.samples_table import by_value, excerpt
from patchrl.reporting.tables import task_name
from patchrl.text import compact, counted

Row = ChangedQuestion
CHANGE_NAMES = {"right_to_wrong": "right → wrong", "wrong_to_right": "wrong → right"}
# Column -> (heading, its text)
COLUMNS: dict[str, tuple[str, Callable[[Row], str]]] = {
    "question": ("Question", lambda row: row["question"]),
    "reference": ("Right answer", lambda row: row["reference"]),
    "backbone_answer": ("Backbone", lambda row: row["backbone_answer"]),
    "answer": ("After fine-tuning", lambda row: row["answer"]),
    "arm": ("Arm", lambda row: display_name(row["arm"])),
    "seed": ("Seed", lambda row: str(row["seed"])),
    "task": ("Skill", lambda row: task_name(row["task"])),
    "change": ("Change", lambda row: CHANGE_NAMES[row["change"]]),
}
SEARCHED = ("id", "question", "reference", "backbone_answer", "answer")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
REPORTED_PER_KIND = 5
SHARED_TASK_FILTERS = {"general/": "General skills", "target/": "Target task", "": "All questions"}


def address(row: Row) -> dict[str, str]:
    """What names a row in the page's address."""
    where = {"arm": row["arm"], "seed": str(row["seed"]), "rate": compact(row["rate"])}
    return where | {"question": f"{row['task']}/{row['id']}"}


def task_filters(rows: Iterable[Row]) -> dict[str, str]:
    """What a list can be filtered by: kinds of questions, then each skill in it."""
    tasks = dict.fromkeys(row["task"] for row in rows)
    kinds = {prefix: title for prefix, title in SHARED_TASK_FILTERS.items() if any(t.startswith(prefix) for t in tasks)}
    return kinds | {task: task_name(task) for task in sorted(tasks)}


def select(
    rows: Sequence[Row],
    *,
    task: str = "",
    arm: str = "",
    seed: str = "",
    change: str = "",
    search: str = "",
    sort: str | None = None,
    descending: bool = False,
) -> list[Row]:
    """Rows that pass every filter and hold a text, sorted by a column; without one in the order they came.

    An empty filter lets all pass; a `task` that ends with / lets a whole kind pass.
    """
    needle = search.strip().lower()
    chosen = [
        row
        for row in rows
        if (row["task"].startswith(task) if not task or task.endswith("/") else row["task"] == task)
        and arm in ("", row["arm"])
        and seed in ("", str(row["seed"]))
        and change in ("", row["change"])
        and (not needle or any(needle in row[key].lower() for key in SEARCHED))  # type: ignore[literal-required]
    ]
    return by_value(chosen, lambda row: COLUMNS[sort][1](row).lower(), descending) if sort in COLUMNS else chosen


def cells(row: Row) -> list[str]:
    """A row's texts under COLUMNS, each the beginning on one line."""
    return [excerpt(text(row)) for _, text in COLUMNS.values()]


def counts_sentence(changes: Sequence[ArmChanges], kind: str = "general") -> str:
    """How many right answers one arm lost over its seeds, and how many it gained."""
    counts = sum((one.counts[kind] for one in changes), ChangeCounts())
    seeds = f", {len(changes)} seeds" if len(changes) > 1 else ""
    return (
        f"{display_name(changes[0].arm)}{seeds}: {counts.right_to_wrong:,} of {counts.right:,} right answers went wrong, "
        f"{counted(counts.wrong_to_right, 'wrong answer')} came right"
    )


def by_arm(changes: Sequence[ArmChanges]) -> dict[str, list[ArmChanges]]:
    """The fine-tunings of each arm."""
    arms: dict[str, list[ArmChanges]] = {}
    for one in changes:
        arms.setdefault(one.arm, []).append(one)
    return arms


def counts_html(changes: Sequence[ArmChanges]) -> str:
    """A line for each arm; of the target's questions where no general ones were asked."""
    kind = "general" if any(one.counts["general"].scored for one in changes) else "target"
    lines = "".join(f"<li>{markup.escape(counts_sentence(runs, kind))}.</li>" for runs in by_arm(changes).values())
    return f"<h3>What was forgotten, one by one</h3><p>Of the {kind} questions:</p><ul>{lines}</ul>" if lines else ""


# --- one question in full -------------------------------------------------------------------------


def first_difference(one: str, other: str) -> int | None:
    """Where the first word begins in which two texts differ; None where they are the same."""
    if one == other:
        return None
    index = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    inside_word = any(not text[index : index + 1].isspace() for text in (one, other) if len(text) > index)
    while inside_word and index and not one[index - 1].isspace():
        index -= 1
    return index


def marked(text: str, index: int | None) -> str:
    """A text as HTML, with the word at an index marked; the text's end is marked where it ends there."""
    if index is None:
        return markup.escape(text)
    word = re.search(r"\S+|$", text[index:])
    start, end = (index + word.start(), index + word.end()) if word else (index, index)
    shown = markup.escape(text[start:end]) or "(ends here)"
    return f'{markup.escape(text[:start])}<mark class="first">{shown}</mark>{markup.escape(text[end:])}'


def _verdict(passed: bool | float | None, no_answer: bool = False) -> str:
    if passed is None:
        return '<span class="verdict unsure">? cannot be decided</span>'
    if passed == 1:
        return '<span class="verdict ok">✓ right</span>'
    words = f"{passed:g} of 1" if passed else "wrong"
    return f'<span class="verdict bad">✗ {words}</span>' + (
        ' <span class="note">no answer to read in it</span>' if no_answer else ""
    )


def detail(row: Row, other: Mapping[str, Any] | None = None, other_arm: str = "") -> str:
    """One question: the right answer, the backbone's and the tuned model's answers side by side.

    Args:
        row: The question.
        other: Prediction row of another arm for the same question, which is shown beside them.
        other_arm: That arm.
    """
    backbone, was_right = row["backbone_answer"], row["change"] == "right_to_wrong"
    place = first_difference(backbone, row["answer"])
    columns = [
        (display_name("base"), _verdict(was_right), marked(backbone, place)),
        (display_name(row["arm"]), _verdict(row["passed"], row["no_answer"]), marked(row["answer"], place)),
    ]
    if other is not None:
        text = marked(other["answer"], first_difference(other["answer"], backbone))
        columns.append((display_name(other_arm), _verdict(other["passed"], other["no_answer"]), text))
    cards = "".join(
        f'<article class="card"><header>{markup.escape(title)} {verdict}</header><pre>{text}</pre></article>'
        for title, verdict, text in columns
    )
    return (
        f'<div class="detail"><p><b>Question.</b> {markup.escape(row["question"])}</p>'
        f"<p><b>Right answer.</b> {markup.escape(row['reference'])} "
        f'<span class="note">{markup.escape(task_name(row["task"]))}, seed {row["seed"]}</span></p><div class="cards three">{cards}</div>'
        '<p class="note">Marked: the first word in which an answer differs from the backbone\'s.</p></div>'
    )


# --- report and export ----------------------------------------------------------------------------


def report_section(changes: Sequence[ArmChanges]) -> str:
    """For each arm, how many general answers changed and the first few of each kind, of its first seed; empty without any."""
    parts = []
    for runs in by_arm(changes).values():
        parts.append(f"<h3>{markup.escape(counts_sentence(runs))}.</h3>")
        for change, name in CHANGE_NAMES.items():
            rows = select(runs[0].questions, task="general/", change=change)
            if rows:
                shown = rows[:REPORTED_PER_KIND]
                first = f"the first {len(shown)} of {len(rows):,}" if len(rows) > len(shown) else f"all {len(rows)}"
                title = f"{name}, {first}" + (f" (seed {runs[0].seed})" if len(runs) > 1 else "")
                parts.append(f"<details><summary>{title}</summary>{''.join(map(detail, shown))}</details>")
    note = "<p class='note'>Of the general questions; all of them: <code>patchrl export RUN changed-csv</code>.</p>"
    return "".join(parts) + note if parts else ""


def to_csv(rows: Sequence[Row]) -> str:
    """Changed questions as CSV. A text that a spreadsheet would run as a formula begins with an apostrophe."""
    out = io.StringIO()
    # Quoted: a carriage return in a bare text begins a row.
    columns = list(ChangedQuestion.__annotations__)
    writer = csv.DictWriter(out, columns, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows({key: spreadsheet_cell(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def spreadsheet_cell(value: Any) -> Any:
    """A cell's value; a text that begins as a formula gets an apostrophe in front, a number stays as it is."""
    is_formula = isinstance(value, str) and value.startswith(FORMULA_STARTS)
    return f"'{value}" if is_formula and not re.fullmatch(r"[+-]?\d+(\.\d+)?", value) else value
