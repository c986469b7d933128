"""Commands that start or continue a study: a stage each, `check` and `resume`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from patchrl import api
from patchrl.cli.arguments import QUEUE_HELP, AddCommand, add_run, argument_name, open_run
from patchrl.cli.terminal import Progress, describe_check, print_result, print_scan, say
from patchrl.cli.trackers import add_tracker, check_tracker, tracker
from patchrl.config import StudyConfig, apply_overrides, is_preset, load_config, resolve
from patchrl.data.readers import is_data_file
from patchrl.errors import ConfigError, RunError
from patchrl.jobs import together
from patchrl.reporting import run_status
from patchrl.text import json_line, parse_json

STAGE_COMMANDS = {
    "run": ("report", "run a whole study: scan, train, rewrite, fine-tune, evaluate, report"),
    "scan": ("scan", "measure how far the expert data is from the backbone; trains nothing"),
    "train": ("train", "train the rewriter (and scan first)"),
    "rewrite": ("rewrite", "… and rewrite the dataset for every arm"),
    "finetune": ("finetune", "… and fine-tune every arm"),
    "evaluate": ("evaluate", "… and evaluate every arm"),
    "report": ("report", "… and write result.json and report.html"),
}
WEBHOOK_HELP = "post a message there when the run ends or a monitor warns; set PATCHRL_WEBHOOK instead where others see your processes"
FORMAT_HELP = {"json": "JSON", "csv": "CSV, every number a row", "latex": "a LaTeX table (booktabs)"}


def add(command: AddCommand) -> None:
    """Add these commands."""
    for name, (_, help) in STAGE_COMMANDS.items():
        sub = command(name, help)
        target = "a TOML file or the name of a preset"
        target += "" if name == "run" else " starts a new run; a run id continues that run"
        target += "; a JSONL, JSON, CSV or Parquet file is scanned at the default settings" if name == "scan" else ""
        sub.add_argument("target", type=argument_name, metavar="CONFIG" if name == "run" else "CONFIG|RUN", help=target)
        _set(sub)
        sub.add_argument("--name", help="name of a new run (default: study.name)")
        sub.add_argument("--detach", action="store_true", help="start it and return at once; watch with `tail -f`")
        sub.add_argument("--queue", action="store_true", help=QUEUE_HELP)
        sub.add_argument("--webhook", metavar="URL", help=WEBHOOK_HELP)
        add_tracker(sub)
        if name == "report":
            form = sub.add_mutually_exclusive_group()
            for kind, description in FORMAT_HELP.items():
                help = f"print the results of a finished RUN as {description}"
                form.add_argument(f"--{kind}", dest="table", action="store_const", const=kind, help=help)
        sub.set_defaults(do=_stage)
    sub = command("resume", "continue a stopped, cancelled or failed run")
    add_run(sub)
    sub.add_argument("--detach", action="store_true", help="start it and return at once")
    sub.add_argument("--queue", action="store_true", help=QUEUE_HELP)
    sub.add_argument("--webhook", metavar="URL", help=WEBHOOK_HELP)
    add_tracker(sub)
    sub.set_defaults(do=_resume)
    sub = command("check", "check a config before anything loads: rows, columns, problems, time, disk")
    sub.add_argument(
        "target", type=argument_name, metavar="CONFIG", help="a TOML file, the name of a preset, or a data file"
    )
    _set(sub)
    sub.add_argument("--json", action="store_true", help="print as JSON")
    sub.add_argument("--no-model", action="store_true", help="do not load the backbone to read the first example")
    sub.set_defaults(do=_check)


def _set(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", help="change one setting; repeatable"
    )


def _stage(options: argparse.Namespace) -> int:
    if together.is_follower():
        return together.follow()
    if getattr(options, "table", None):
        print(open_run(options.target, options.runs_dir).table(options.table), end="")
        return 0
    check_tracker(options)
    upto = STAGE_COMMANDS[options.command][0]
    is_file = options.target.endswith(".toml") or is_data_file(options.target) or Path(options.target).is_file()
    if is_file or is_preset(options.target) or options.command == "run":
        config = _config(options)
        run = api.start(
            config,
            runs_dir=options.runs_dir,
            name=options.name,
            upto=upto,
            queue=options.queue,
            webhook_url=options.webhook,
        )
    else:
        if options.set or options.name:
            raise RunError("--set and --name belong to a new run; a run that exists keeps its settings.")
        run = open_run(options.target, options.runs_dir)
        run.resume(upto, queue=options.queue, webhook_url=options.webhook)
    return _started(run, options)


def _resume(options: argparse.Namespace) -> int:
    if together.is_follower():
        return together.follow()
    check_tracker(options)
    run = open_run(options.run, options.runs_dir)
    if run.status()["state"] == "done":
        print(f"{run.id}: it was finished; steps that are missing up to the report are done now", file=sys.stderr)
    run.resume(queue=options.queue, webhook_url=options.webhook)
    return _started(run, options)


def _check(options: argparse.Namespace) -> int:
    report = api.check(_config(options), model=not options.no_model)
    if options.json:
        print(json_line(report))
    else:
        say(describe_check(report))
    return 0 if report["ok"] else 2


def _config(options: argparse.Namespace) -> StudyConfig:
    """The settings of a TOML file, or the defaults around a bare dataset."""
    if options.command in ("check", "scan") and _is_data(Path(options.target)):
        return resolve(apply_overrides({"data": {"dataset": options.target}}, options.set))
    if _is_data(Path(options.target)):
        raise ConfigError(
            f"{options.target} is a file of rows and {options.command} needs settings; write them into a TOML file with "
            f'[data] dataset = "{options.target}", or try `patchrl scan {options.target}`.'
        )
    return load_config(options.target, options.set)


def _is_data(path: Path) -> bool:
    """Whether a file contains rows. A JSON file contains settings if it is one object of sections."""
    if path.suffix == ".json" and path.is_file():
        try:
            value = parse_json(path.read_bytes())
        except ValueError:
            return True
        return not (
            isinstance(value, dict) and any(isinstance(value.get(name), dict) for name in StudyConfig.model_fields)
        )
    return is_data_file(str(path))


def _started(run: api.Run, options: argparse.Namespace) -> int:
    print(f"run {run.id}\nfolder {run.path}", flush=True)
    if options.detach:
        print(f"follow it with: patchrl tail -f {run.id}")
        return 0
    with tracker(options.report_to, run) as take:
        return watch(run, take)


def watch(run: api.Run, take: Callable[[dict[str, Any]], None]) -> int:
    """Show progress, and hand every event to `take`, until the run ends; Ctrl-C stops and saves, a second one cancels."""
    view = Progress()
    interrupts = 0

    def show(event: dict[str, Any]) -> None:
        view.event(event)
        take(event)

    while True:
        try:
            status = run.wait(timeout=0.5, on_event=show)
            view.status(status)
            if status["state"] not in ("queued", "running", "stopping"):
                break
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts == 1:
                view.say("Stopping after this step (Ctrl-C again to cancel now).")
                run.stop()
            else:
                run.cancel()
    view.close()
    result = run.result()
    if status["state"] == "done":
        if result:
            print_result(result)
            if run.report_path:
                print(f"\nreport {run.report_path}")
        elif run.status().get("upto") == "scan" and (scan := run.scan()):
            print_scan(scan)
        return 0
    say(run_status.describe_status(status), file=sys.stderr)
    if status["state"] in ("stopped", "cancelled"):
        print(f"continue with: patchrl resume {run.id}", file=sys.stderr)
        return 130
    print(f"log: {run.path / 'log.txt'}", file=sys.stderr)
    return 1
