"""Commands about runs that exist: list, show, diff, tail, stop, rename, delete."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from patchrl import api
from patchrl.cli.arguments import AddCommand, add_run, argument_name, open_run
from patchrl.cli.terminal import columns, print_changes, print_result, print_scan, say
from patchrl.cli.trackers import add_tracker, check_tracker, tracker
from patchrl.config import differences, to_toml
from patchrl.errors import RunError
from patchrl.reporting import run_status, run_summary, sentences
from patchrl.runs.folder import MAX_NAME, default_runs_dir
from patchrl.text import MISSING, json_line, one_line


def add(command: AddCommand) -> None:
    """Add these commands."""
    command("list", "list runs, newest first").set_defaults(do=_list)
    sub = command("show", "show a run: settings, state, results")
    add_run(sub)
    sub.add_argument("--json", action="store_true", help="print result.json and the status as one JSON object")
    sub.add_argument("--changed", action="store_true", help="show the questions that fine-tuning turned right or wrong")
    sub.add_argument("--arm", help="with --changed: of one arm (default: all)")
    sub.add_argument("--seed", type=int, help="with --changed: of one seed (default: all)")
    sub.set_defaults(do=_show)
    sub = command("diff", "show the settings in which runs differ, and their results in one table")
    add_run(sub)
    sub.add_argument("others", type=argument_name, metavar="RUN", nargs="+")
    sub.set_defaults(do=_diff)
    sub = command("rename", "call a run something; its id stays")
    add_run(sub)
    sub.add_argument(
        "name", metavar="NAME", help=f"any text up to {MAX_NAME} characters; an empty one takes the name away"
    )
    sub.set_defaults(do=_rename)
    sub = command("delete", "delete runs with everything that they made")
    sub.add_argument("runs", type=argument_name, metavar="RUN", nargs="+")
    sub.add_argument("--yes", action="store_true", help="do not ask first")
    sub.set_defaults(do=_delete)
    sub = command("tail", "print a run's events as JSON lines")
    add_run(sub)
    sub.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    add_tracker(sub)
    sub.set_defaults(do=_tail)
    sub = command("stop", "stop within a minute, keeping what is finished")
    add_run(sub)
    sub.add_argument("--cancel", action="store_true", help="end the process now; what the last minute did is lost")
    sub.set_defaults(do=_stop)


def _list(options: argparse.Namespace) -> int:
    listed = api.summaries(options.runs_dir)
    rows = []
    for run in listed:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started)) if run.started else MISSING
        name = run.name if run.name != run.id else ""
        rows.append([run.id, name, run.settings, when, *run.scores, run.line])
    if rows:
        say(columns(("Run", "Name", "Settings", "Started", "Plain SFT %", "RL %", "State"), rows))
        print(
            "Settings are equal where their letters are, names and seeds aside; scores are target / general.",
            file=sys.stderr,
        )
    else:
        say(f"No runs in {options.runs_dir or default_runs_dir()} yet; start one with `patchrl run nano`.")
    for run_id in api.recordings():
        print(f"{run_id} ships with PatchRL; `patchrl show {run_id}` shows its results.", file=sys.stderr)
    return 0


def _show(options: argparse.Namespace) -> int:
    run = open_run(options.run, options.runs_dir)
    if options.changed:
        return _show_changed(run, options)
    status, result = run.status(), run.result()
    if options.json:
        print(
            json.dumps(
                {
                    "id": run.id,
                    "status": status,
                    "config": run.config.model_dump(mode="json"),
                    "scan": run.scan(),
                    "result": result,
                }
            )
        )
        return 0
    say(
        f"run {run.id}{f' ({run.name})' if run.name != run.id else ''}\nfolder {run.path}\n{run_status.describe_status(status)}\n\n{to_toml(run.config)}"
    )
    warnings = sentences.warnings(run.events()[0])
    texts = [event["text"] for event in warnings] + run.damage()
    for text in texts:
        say(f"warning: {one_line(text)}")
    if result:
        print_result(result)
        if run.report_path:
            print(f"\nreport {run.report_path}")
    elif scan := run.scan():
        print_scan(scan)
    return 0


def _show_changed(run: api.Run, options: argparse.Namespace) -> int:
    changes = run.changes(options.arm, options.seed)
    if options.json:
        for one in changes:
            for row in one.questions:
                print(json_line(row))
    elif changes:
        print_changes(changes)
    else:
        raise RunError(f"{run.id}: no arm is evaluated yet; finish it with `patchrl report {run.id}`.")
    return 0


def _diff(options: argparse.Namespace) -> int:
    runs = [open_run(name, options.runs_dir) for name in (options.run, *options.others)]
    rows = differences(*(run.config for run in runs))
    same = f"{'Both' if len(runs) == 2 else 'All'} runs have the same settings."
    say(columns(("Setting", *(run.name for run in runs)), rows) if rows else same)
    results = [(run.name, result) for run in runs if (result := run.result())]
    if results:
        say("\n" + columns(run_summary.RESULT_HEADERS, run_summary.result_rows(results)))
    return 0


def _rename(options: argparse.Namespace) -> int:
    run = open_run(options.run, options.runs_dir)
    run.rename(options.name)
    say(f"{run.id} is called {run.name}")
    return 0


def _delete(options: argparse.Namespace) -> int:
    names = [Path(name) if "/" in name else name for name in options.runs]
    if not options.yes:
        say(f"Delete {', '.join(options.runs)} with everything in it? This cannot be undone. [y/N] ", end="")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("Nothing was deleted.")
            return 0
    for name in names:
        api.delete_run(name, options.runs_dir)
        say(f"{name} is deleted")
    return 0


def _tail(options: argparse.Namespace) -> int:
    check_tracker(options)
    run = open_run(options.run, options.runs_dir)
    with tracker(options.report_to, run) as take:

        def show(event: dict[str, Any]) -> None:
            print(json_line(event), flush=True)
            take(event)

        if not options.follow:
            for event in run.events()[0]:
                show(event)
            return 0
        try:
            status = run.wait(on_event=show)
        except KeyboardInterrupt:
            return 130
    say(run_status.describe_status(status), file=sys.stderr)
    return 0 if status["state"] == "done" else 1


def _stop(options: argparse.Namespace) -> int:
    run = open_run(options.run, options.runs_dir)
    state = run.status()["state"]
    if state in ("done", "failed", "stopped", "cancelled"):
        print(f"{run.id}: nothing to stop, it is {state}")
        return 0
    run.cancel() if options.cancel else run.stop()
    print(f"{run.id}: {'cancelled' if options.cancel else 'will stop within a minute'}")
    return 0
