"""Tables, findings and progress for a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from patchrl.evaluation.changes import ArmChanges
from patchrl.reporting import changed, findings, run_status, samples_table, sentences, tables
from patchrl.text import compact, dropped_rows, duration, number, percent, printable

CHANGED_ROWS, CHANGED_WIDTH = 8, 48  # rows of each arm, characters of a cell
SCAN_ROWS = 8  # of each table; the report and the page have all


def say(text: str, **options: Any) -> None:
    """Print lines of text. Control characters, as texts of models and datasets have them, are shown and not obeyed."""
    print("\n".join(map(printable, text.split("\n"))), **options)


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A text table with aligned columns."""
    cells = [[printable(str(cell)) for cell in row] for row in (headers, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def print_scan(scan: dict[str, Any]) -> None:
    """What a scan found: sentences, then the beginnings of its tables."""
    say("\n" + "\n".join(f"- {text}" for text in findings.sentences(scan)))
    for title, headers, rows in findings.tables(scan):
        say(
            f"\n{title}\n"
            + columns(headers, [[samples_table.excerpt(cell) for cell in row] for row in rows[:SCAN_ROWS]])
        )


def print_result(result: dict[str, Any]) -> None:
    """The result table, every seed, where the time went, and the finding in words."""
    say("\n" + columns(tables.RESULT_HEADERS, tables.result_rows(result)))
    if len(result["seeds"]) > 1:
        say("\n" + columns(tables.SEED_HEADERS, tables.seed_rows(result)))
    if changes := tables.change_rows(result):
        say("\n" + columns(tables.CHANGE_HEADERS, changes))
    sweep = tables.rate_rows(result)
    if sweep:
        say("\n" + columns(tables.RATE_HEADERS, sweep))
    compared, every = tables.comparison_rows(result, tables.main_arms(result)), tables.comparison_rows(result)
    if compared:
        say("\n" + columns(tables.COMPARISON_HEADERS, compared))
        more = f" All {len(every)} comparisons are in the report." if len(every) > len(compared) else ""
        say(sentences.detectable_sentence(result) + more)
    spent = result.get("seconds", {})
    stages = ", ".join(f"{stage} {duration(s)}" for stage, s in spent.items())
    say(f"\nTime: {stages}; {duration(sum(spent.values()))} in all.")
    say(sentences.headline(result))


def print_changes(changes: Sequence[ArmChanges]) -> None:
    """How many general answers each arm changed, and the beginnings of the first few."""
    print("Of the general questions:")
    for runs in changed.by_arm(changes).values():
        rows = [row for one in runs for row in changed.select(one.questions, task="general/")]
        print(f"\n{changed.counts_sentence(runs)}.")
        if rows:
            headers = [title for title, _ in changed.COLUMNS.values()]
            shown = [[printable(cell[:CHANGED_WIDTH]) for cell in changed.cells(row)] for row in rows[:CHANGED_ROWS]]
            print(columns(headers, shown))
            print(f"The first {len(shown)} of {len(rows):,}; --json prints all.")


def describe_check(report: dict[str, Any]) -> str:
    """The preflight card as text."""
    lines = [f"✗ {problem}" for problem in report["problems"]] + [f"⚠ {warning}" for warning in report["warnings"]]
    if report.get("rows"):
        lines += [
            f"rows      {report['rows']['train']} to train on, {report['rows']['eval']} held out; dropped: {dropped_rows(report['dropped'])}",
            f"columns   {', '.join(f'{role} = {name}' for role, name in report['columns'].items())}; task {report['task']}",
            f"first     {report['first']['question']!r:.150}",
            f"expert    {report['first']['solution']!r:.150}",
            f"answer    {report['first']['reference']!r:.80}",
        ]
        if report["unused_columns"]:
            lines.append(f"not used  {', '.join(report['unused_columns'])}")
        lines += [f"note      {note}" for note in report["notes"]]
    if row := report.get("row"):
        lines.append(
            f"row       {len(row['prompt'])} tokens of prompt, {len(row['completion'])} of solution, then "
            f"{''.join(row['texts']['end'])!r}; the last {len(row['trained']) - row['labels_from']} are learned"
        )
    lines += [
        f"chosen    {choice['setting']} = {json.dumps(choice['value'])}: {choice['reason']}"
        for choice in report.get("chosen", ())
    ]
    if largest := report.get("largest_request"):
        lines.append(
            f"largest   {largest['rows']:.0f} rollouts of {largest['tokens']:,.0f} tokens in one training pass: "
            f"{largest['memory_mb']:,.0f} MB beside the weights"
        )
    if report.get("origin"):
        lines.append(f"weights   {report['origin']}")
    if report.get("first_nll") is not None:
        lines.append(f"read      {sentences.first_reading(report)}")
    lines += [
        f"{what.lower() if what != 'RAM' else what:<9} {amount}" for what, amount in sentences.estimates(report).items()
    ]
    lines.append("✓ ready to run" if report["ok"] else "✗ this would not work; see above")
    return "\n".join(lines)


class Progress:
    """Progress of a run: a bar per stage, or one line per stage where stderr is not a terminal, and a line per event."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.where: tuple[Any, ...] | None = None
        self.queued_behind: list[str] | None = None

    def say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            say(text, file=sys.stderr, flush=True)

    def event(self, event: dict[str, Any]) -> None:
        if event["kind"] == "evaluation":
            general = "" if event["general"] is None else f", general {percent(event['general'])}"
            seed = "" if event["seed"] is None else f" seed {event['seed']}"
            rate = f" at {compact(event['rate'])}" if event.get("rate") else ""
            self.say(f"  {event['arm']}{seed}{rate}: target {percent(event['target'])}{general}")
        elif event["kind"] == "rewrite":
            self.say(f"  {event['arm']} seed {event['seed']}: {percent(event['accepted'], 0)} of rewrites accepted")
        elif event["kind"] == "train" and event["step"] % 10 == 0:
            self.say(
                f"  {event.get('rewriter', 'rl')} seed {event['seed']} step {event['step']}: reward {number(event['reward'])}, "
                f"gate {percent(event['consistency'], 0)}, ℓ {number(event['nll'])}; outside the reward: as likely as own "
                f"answers {percent(event.get('own_style_share'), 0)}, distance to their wording "
                f"{number(event.get('own_distance'), 2)}{sentences.lost_groups(event)}"
            )
        elif event["kind"] == "message":
            self.say(f"  {event['level']}: {event['text']}")

    def status(self, status: dict[str, Any]) -> None:
        if status.get("queued_behind") and status["queued_behind"] != self.queued_behind:
            self.say(f"  {run_status.describe_status(status)}")
        self.queued_behind = status.get("queued_behind")
        where = (status["stage"], status["arm"], status["seed"])
        if where != self.where:
            self.close()
            self.where = where
            if status["stage"] is not None:
                label = " ".join(str(w) for w in (status["stage"], status["arm"]) if w)
                label += "" if status["seed"] is None else f" seed {status['seed']}"
                self._begin(label, status["total"])
        if self.bar is not None:
            self.bar.total = status["total"] or None
            self.bar.n = status["done"]
            self.bar.set_postfix_str(run_status.time_left(status), refresh=False)
            self.bar.refresh()

    def _begin(self, label: str, total: int) -> None:
        if not sys.stderr.isatty():  # a bar would redraw itself into a file, line after line
            self.say(label)
            return
        from tqdm import tqdm

        self.bar = tqdm(desc=f"{label:<26}", total=total or None, leave=False, dynamic_ncols=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
