"""Commands about runs that exist: list, show, diff, tail, stop."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from patchrl import api
from patchrl.cli.arguments import AddCommand, add_run, open_run
from patchrl.cli.terminal import columns, print_changes, print_result, print_scan
from patchrl.config import differences, to_toml
from patchrl.errors import RunError
from patchrl.reporting import run_status, sentences
from patchrl.runs.folder import default_runs_dir


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
    sub = command("diff", "show the settings in which two runs differ")
    add_run(sub)
    add_run(sub, "other")
    sub.set_defaults(do=_diff)
    sub = command("tail", "print a run's events as JSON lines")
    add_run(sub)
    sub.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    sub.set_defaults(do=_tail)
    sub = command("stop", "stop within a minute, keeping what is finished")
    add_run(sub)
    sub.add_argument("--cancel", action="store_true", help="end the process now; what the last minute did is lost")
    sub.set_defaults(do=_stop)


def _list(options: argparse.Namespace) -> int:
    rows: list[list[str]] = []
    for run in api.list_runs(options.runs_dir):
        status, damage = run.status(), run.damage()
        started = status.get("first_started", status.get("started"))
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(started)) if started else "–"
        state = "; ".join([run_status.describe_status(status).splitlines()[0][:90], *damage])
        rows.append([run.id, when, state])
    rows += [[run_id, "–", f"damaged: {problem}"] for run_id, problem in api.damaged_runs(options.runs_dir).items()]
    print(
        columns(("Run", "Started", "State"), rows)
        if rows
        else f"No runs in {options.runs_dir or default_runs_dir()} yet; start one with `patchrl run nano`."
    )
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
    print(f"run {run.id}\nfolder {run.path}\n{run_status.describe_status(status)}\n\n{to_toml(run.config)}")
    warnings = sentences.warnings(run.events()[0])
    texts = [event["text"] for event in warnings] + run.damage()
    print("".join(f"warning: {text}\n" for text in texts), end="\n" if texts else "")
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
                print(json.dumps(row, ensure_ascii=False))
    elif changes:
        print_changes(changes)
    else:
        raise RunError(f"{run.id}: no arm is evaluated yet; finish it with `patchrl report {run.id}`.")
    return 0


def _diff(options: argparse.Namespace) -> int:
    run = open_run(options.run, options.runs_dir)
    rows = differences(run.config, open_run(options.other, options.runs_dir).config)
    print(columns(("Setting", run.id, options.other), rows) if rows else "Both runs have the same settings.")
    return 0


def _tail(options: argparse.Namespace) -> int:
    run = open_run(options.run, options.runs_dir)

    def show(event: dict[str, Any]) -> None:
        print(json.dumps(event, ensure_ascii=False), flush=True)

    if not options.follow:
        for event in run.events()[0]:
            show(event)
        return 0
    try:
        status = run.wait(on_event=show)
    except KeyboardInterrupt:
        return 130
    print(run_status.describe_status(status), file=sys.stderr)
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
