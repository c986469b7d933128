"""Tables and findings for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from patchrl import findings, samples, views

SCAN_ROWS = 8  # of each table; the report and the page have all


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A text table with aligned columns."""
    cells = [list(headers), *[list(map(str, row)) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def print_scan(scan: dict[str, Any]) -> None:
    """What a scan found: sentences, then the beginnings of its tables."""
    print("\n" + "\n".join(f"- {text}" for text in findings.sentences(scan)))
    for title, headers, rows in findings.tables(scan):
        print(f"\n{title}\n" + columns(headers, [[samples.excerpt(cell) for cell in row] for row in rows[:SCAN_ROWS]]))


def print_result(result: dict[str, Any]) -> None:
    """The result table, every seed, where the time went, and the finding in words."""
    print("\n" + columns(views.RESULT_HEADERS, views.result_rows(result)))
    if len(result["seeds"]) > 1:
        print(
            "\n" + columns(("Arm", "Seed", "Target %", "General %", "Forgotten, points"), views.per_seed_rows(result))
        )
    sweep = views.sweep_rows(result)
    if sweep:
        print("\n" + columns(views.SWEEP_HEADERS, sweep))
    compared, every = views.comparison_rows(result, views.main_arms(result)), views.comparison_rows(result)
    if compared:
        print("\n" + columns(views.COMPARISON_HEADERS, compared))
        more = f" All {len(every)} comparisons are in the report." if len(every) > len(compared) else ""
        print(views.detectable_sentence(result) + more)
    spent = result.get("seconds", {})
    told = ", ".join(f"{stage} {views.format_seconds(s)}" for stage, s in spent.items())
    print(f"\nTime: {told}; {views.format_seconds(sum(spent.values()))} in all.")
    print(views.headline(result))


def describe_check(found: dict[str, Any]) -> str:
    """The preflight card as text."""
    lines = [f"✗ {problem}" for problem in found["problems"]] + [f"⚠ {warning}" for warning in found["warnings"]]
    if found.get("rows"):
        dropped = ", ".join(f"{n} {why}" for why, n in found["dropped"].items()) or "none"
        lines += [
            f"rows      {found['rows']['train']} to train on, {found['rows']['eval']} held out; dropped: {dropped}",
            f"columns   {', '.join(f'{role} = {name}' for role, name in found['columns'].items())}; task {found['task']}",
            f"first     {found['first']['question']!r:.150}",
            f"expert    {found['first']['solution']!r:.150}",
            f"answer    {found['first']['reference']!r:.80}",
        ]
    if found.get("tokens"):
        counts = {part: len(tokens) for part, tokens in found["tokens"].items()}
        lines.append(f"tokens    {counts['prompt']} of prompt, {counts['completion']} of solution in the first example")
    minutes = (
        "unknown for this backbone"
        if found["minutes"] is None
        else f"{views.about_minutes(found['minutes'])} on two CPU cores"
    )
    ram = "unknown for this backbone" if found["ram_mb"] is None else f"about {found['ram_mb']:.0f} MB or more"
    disk = "unknown for this backbone" if found["disk_mb"] is None else f"about {found['disk_mb']:.0f} MB"
    lines += [f"time      {minutes}", f"disk      {disk}", f"RAM       {ram}"]
    lines.append("✓ ready to run" if found["ok"] else "✗ this would not work; see above")
    return "\n".join(lines)
