"""The command line: `python -m patchrl COMMAND`, or `patchrl COMMAND` once installed."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from patchrl import api
from patchrl.cli.fetch_command import fetch_model
from patchrl.cli.terminal import Progress, columns, describe_check, print_result, print_scan
from patchrl.cli.try_command import try_rewrite
from patchrl.config import StudyConfig, apply_overrides, arms, differences, is_preset, load_config, resolve, settings
from patchrl.config.fields import file_name, text_problem
from patchrl.data.readers import is_data_file
from patchrl.errors import ConfigError, PatchRLError, RunError
from patchrl.reporting import hub, run_status, sentences
from patchrl.runs.folder import default_runs_dir
from patchrl.text import parse_json, printable
from patchrl.version import __version__

STAGE_COMMANDS = {
    "run": ("report", "run a whole study: scan, train, rewrite, fine-tune, evaluate, report"),
    "scan": ("scan", "measure how far the expert data is from the backbone; trains nothing"),
    "train": ("train", "train the rewriter (and scan first)"),
    "rewrite": ("rewrite", "… and rewrite the dataset for every arm"),
    "finetune": ("finetune", "… and fine-tune every arm"),
    "evaluate": ("evaluate", "… and evaluate every arm"),
    "report": ("report", "… and write result.json and report.html"),
}
FORMAT_HELP = {"json": "JSON", "csv": "CSV, every number a row", "latex": "a LaTeX table (booktabs)"}
QUEUE_HELP = "begin when the runs of this folder that were started earlier are over"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence; the usage of some commands is longer than a screen."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register("type", None, argument_text)
        self.register("type", int, whole_number)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"patchrl: {printable(message)}; `{self.prog} --help` lists what can be given.\n")


def argument_text(text: str) -> str:
    """An argument as it is. Raises ArgumentTypeError for one that no command can use."""
    if problem := text_problem(text):
        raise argparse.ArgumentTypeError(f"{problem} (found {text!r:.60})")
    return text


def argument_name(text: str) -> str:
    """An argument that may name a file. Raises ArgumentTypeError for one that no file can have."""
    try:
        return file_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def whole_number(text: str) -> int:
    """A whole number that fits into 64 bits, as everything that takes one needs."""
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise argparse.ArgumentTypeError(f"a whole number of at most 18 digits is needed (found {text!r:.60})")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = Parser(prog="patchrl", description="Rewrite SFT data the way the backbone answers.")
    top.add_argument("--version", action="version", version=f"patchrl {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.add_argument(
            "--runs-dir",
            metavar="DIR",
            type=argument_name,
            help="where runs are kept (default: $PATCHRL_RUNS_DIR or your data folder)",
        )
        return sub

    for name, (_, help) in STAGE_COMMANDS.items():
        sub = command(name, help)
        target = "a TOML file or the name of a preset"
        target += "" if name == "run" else " starts a new run; a run id continues that run"
        target += "; a JSONL, JSON, CSV or Parquet file is scanned at the default settings" if name == "scan" else ""
        sub.add_argument("target", type=argument_name, metavar="CONFIG" if name == "run" else "CONFIG|RUN", help=target)
        sub.add_argument(
            "--set", action="append", default=[], metavar="section.key=value", help="change one setting; repeatable"
        )
        sub.add_argument("--name", help="name of a new run (default: study.name)")
        sub.add_argument("--detach", action="store_true", help="start it and return at once; watch with `tail -f`")
        sub.add_argument("--queue", action="store_true", help=QUEUE_HELP)
        if name == "report":
            form = sub.add_mutually_exclusive_group()
            for kind, description in FORMAT_HELP.items():
                help = f"print the results of a finished RUN as {description}"
                form.add_argument(f"--{kind}", dest="table", action="store_const", const=kind, help=help)
    command("list", "list runs, newest first")
    sub = command("show", "show a run: settings, state, results")
    sub.add_argument("run", type=argument_name, metavar="RUN")
    sub.add_argument("--json", action="store_true", help="print result.json and the status as one JSON object")
    sub = command("diff", "show the settings in which two runs differ")
    sub.add_argument("run", type=argument_name, metavar="RUN")
    sub.add_argument("other", type=argument_name, metavar="RUN")
    sub = command("tail", "print a run's events as JSON lines")
    sub.add_argument("run", type=argument_name, metavar="RUN")
    sub.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    sub = command("stop", "stop within a minute, keeping what is finished")
    sub.add_argument("run", type=argument_name, metavar="RUN")
    sub.add_argument("--cancel", action="store_true", help="end the process now; what the last minute did is lost")
    sub = command("resume", "continue a stopped, cancelled or failed run")
    sub.add_argument("run", type=argument_name, metavar="RUN")
    sub.add_argument("--detach", action="store_true", help="start it and return at once")
    sub.add_argument("--queue", action="store_true", help=QUEUE_HELP)
    sub = command("export", "write what a run made to a file: report, results, rewritten dataset, adapter")
    sub.add_argument("run", type=argument_name, metavar="RUN")
    sub.add_argument("kind", metavar="KIND", choices=api.EXPORTS, help=f"one of {', '.join(api.EXPORTS)}")
    _of(sub)
    sub.add_argument(
        "--into", metavar="DIR", type=argument_name, default=".", help="folder to write to (default: this one)"
    )
    sub = command("push", "publish a rewritten dataset or an adapter on the Hugging Face Hub, with a card; private")
    sub.add_argument("run", type=argument_name, metavar="RUN")
    sub.add_argument("kind", metavar="dataset|adapter", choices=hub.REPO_TYPES, help="what to publish")
    sub.add_argument("repo", metavar="OWNER/NAME", help="the repository; made where it is missing")
    _of(sub)
    sub.add_argument("--public", action="store_true", help="for everyone to see (default: private)")
    sub = command("check", "check a config before anything loads: rows, columns, problems, time, disk")
    sub.add_argument(
        "target", type=argument_name, metavar="CONFIG", help="a TOML file, the name of a preset, or a data file"
    )
    sub.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", help="change one setting; repeatable"
    )
    sub.add_argument("--json", action="store_true", help="print as JSON")
    sub.add_argument("--no-model", action="store_true", help="do not load the backbone to read the first example")
    sub = command("fetch", "bring a model into PatchRL's cache: smollm2-135m, or a GGUF file, folder or Hub id")
    sub.add_argument(
        "model", type=argument_name, metavar="MODEL", help="smollm2-135m, or what backbone.model names as GGUF"
    )
    command("arms", "list what an arm can be made of: sources, losses, on-policy methods, tunings")
    sub = command("try", "rewrite one solution now, with every reward: by the prompted backbone and a run's rewriters")
    sub.add_argument(
        "target",
        type=argument_name,
        metavar="CONFIG|RUN",
        nargs="?",
        help="whose backbone and settings (default: nano lab)",
    )
    sub.add_argument("--question", help="default: a word problem of the nano lab")
    sub.add_argument("--solution", help="the expert solution to rewrite")
    sub.add_argument("--reference", default="", help="the right answer (default: read out of the solution)")
    sub.add_argument("--task", help="math, choice, exact or open (default: as in the config)")
    sub.add_argument("-k", "--group-size", type=int, help="rewrites by each writer (default: as in the config)")
    sub.add_argument("--temperature", type=float, help="sampling temperature (default: as in the config)")
    sub.add_argument("--instruction", help="a named rewriting instruction or your own (default: as in the config)")
    sub.add_argument("--max-new-tokens", type=int, help="longest rewrite (default: as in the config)")
    sub.add_argument("--seed", type=int, default=0, help="of the sampling (default: 0)")
    sub.add_argument("--json", action="store_true", help="print every event as a JSON line")
    command("settings", "list every setting with its default and help")
    sub = command("ui", "open the app")
    sub.add_argument("--port", type=int, help="port (default: 7860, or the next free one)")
    sub.add_argument("--host", help="address to listen on (default: $GRADIO_SERVER_NAME, or this machine only)")
    sub.add_argument("--root-path", help="path or address that a proxy serves the page at (default: $GRADIO_ROOT_PATH)")
    sub.add_argument(
        "--public", action="store_true", help="for strangers: each visitor sees own runs only, within limits"
    )
    return top


def _of(sub: argparse.ArgumentParser) -> None:
    """Options that name one dataset of a run."""
    sub.add_argument("--arm", default="rl", help="whose rewrites or adapter (default: rl)")
    sub.add_argument("--seed", type=int, help="of which seed (default: the study's first)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 done, 1 a run failed, 2 the command cannot be done, 130 stopped)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ℓ or ✓ shows a question mark
    options = parser().parse_args(arguments)
    try:
        return dispatch(options)
    except PatchRLError as error:
        print(f"patchrl: {printable(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0


def dispatch(options: argparse.Namespace) -> int:
    """Do what the parsed options say."""
    if getattr(options, "table", None):
        print(_open(options.target, options.runs_dir).table(options.table), end="")
        return 0
    if options.command in STAGE_COMMANDS:
        return _stage(options)
    if options.command == "ui":
        from patchrl.ui.serving import launch

        launch(options.runs_dir, options.port, options.host, options.root_path, options.public)
        return 0
    if options.command == "check":
        return _check(options)
    if options.command == "settings":
        return _settings()
    if options.command == "arms":
        return _arms()
    if options.command == "fetch":
        return fetch_model(options.model)
    if options.command == "try":
        return try_rewrite(options)
    if options.command == "list":
        return _list(options.runs_dir)
    run = _open(options.run, options.runs_dir)
    if options.command == "show":
        return _show(run, options.json)
    if options.command == "diff":
        rows = differences(run.config, _open(options.other, options.runs_dir).config)
        print(columns(("Setting", run.id, options.other), rows) if rows else "Both runs have the same settings.")
        return 0
    if options.command == "export":
        print(run.export(options.kind, options.into, arm=options.arm, seed=options.seed))
        return 0
    if options.command == "push":
        return _push(run, options)
    if options.command == "tail":
        return _tail(run, options.follow)
    state = run.status()["state"]
    if options.command == "stop":
        if state in ("done", "failed", "stopped", "cancelled"):
            print(f"{run.id}: nothing to stop, it is {state}")
            return 0
        run.cancel() if options.cancel else run.stop()
        print(f"{run.id}: {'cancelled' if options.cancel else 'will stop within a minute'}")
        return 0
    if state == "done":
        print(f"{run.id}: it was finished; steps that are missing up to the report are done now", file=sys.stderr)
    run.resume(queue=options.queue)
    return _started(run, options.detach)


def _stage(options: argparse.Namespace) -> int:
    upto = STAGE_COMMANDS[options.command][0]
    is_file = options.target.endswith(".toml") or is_data_file(options.target) or Path(options.target).is_file()
    if is_file or is_preset(options.target) or options.command == "run":
        config = _config(options)
        run = api.start(config, runs_dir=options.runs_dir, name=options.name, upto=upto, queue=options.queue)
    else:
        if options.set or options.name:
            raise RunError("--set and --name belong to a new run; a run that exists keeps its settings.")
        run = _open(options.target, options.runs_dir)
        run.resume(upto, queue=options.queue)
    return _started(run, options.detach)


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


def _open(name: str, runs_dir: str | None) -> api.Run:
    """A run by its id or, with a slash in it, by its folder."""
    return api.open_run(Path(name) if "/" in name else name, runs_dir=runs_dir)


def _started(run: api.Run, detach: bool) -> int:
    print(f"run {run.id}\nfolder {run.path}", flush=True)
    if detach:
        print(f"follow it with: patchrl tail -f {run.id}")
        return 0
    return watch(run)


def watch(run: api.Run) -> int:
    """Show progress until the run ends; Ctrl-C stops and saves, a second one cancels."""
    view = Progress()
    interrupts = 0
    while True:
        try:
            status = run.wait(timeout=0.5, on_event=view.event)
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
    print(run_status.describe_status(status), file=sys.stderr)
    if status["state"] in ("stopped", "cancelled"):
        print(f"continue with: patchrl resume {run.id}", file=sys.stderr)
        return 130
    print(f"log: {run.path / 'log.txt'}", file=sys.stderr)
    return 1


def _list(runs_dir: str | None) -> int:
    rows: list[list[str]] = []
    for run in api.list_runs(runs_dir):
        status, damage = run.status(), run.damage()
        started = status.get("first_started", status.get("started"))
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(started)) if started else "–"
        state = "; ".join([run_status.describe_status(status).splitlines()[0][:90], *damage])
        rows.append([run.id, when, state])
    rows += [[run_id, "–", f"damaged: {problem}"] for run_id, problem in api.damaged_runs(runs_dir).items()]
    print(
        columns(("Run", "Started", "State"), rows)
        if rows
        else f"No runs in {runs_dir or default_runs_dir()} yet; start one with `patchrl run nano`."
    )
    print(f"{api.RECORDED_ID} ships with PatchRL; `patchrl show {api.RECORDED_ID}` shows its results.", file=sys.stderr)
    return 0


def _show(run: api.Run, as_json: bool) -> int:
    status, result = run.status(), run.result()
    if as_json:
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
    from patchrl.config import to_toml

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


def _tail(run: api.Run, follow: bool) -> int:
    def show(event: dict[str, Any]) -> None:
        print(json.dumps(event, ensure_ascii=False), flush=True)

    if not follow:
        for event in run.events()[0]:
            show(event)
        return 0
    try:
        status = run.wait(on_event=show)
    except KeyboardInterrupt:
        return 130
    print(run_status.describe_status(status), file=sys.stderr)
    return 0 if status["state"] == "done" else 1


def _push(run: api.Run, options: argparse.Namespace) -> int:
    def print_step(step: str) -> None:
        print(step, file=sys.stderr, flush=True)

    of = {"arm": options.arm, "seed": options.seed}
    print(run.push(options.kind, options.repo, private=not options.public, on_step=print_step, **of))
    return 0


def _check(options: argparse.Namespace) -> int:
    report = api.check(_config(options), model=not options.no_model)
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        print(describe_check(report))
    return 0 if report["ok"] else 2


def _arms() -> int:
    rows = [[name, "source", "", source.help] for name, source in arms.SOURCES.items()]
    for kind, parts in (("loss", arms.LOSSES), ("on-policy", arms.ON_POLICY), ("tuning", arms.TUNINGS)):
        for name, part in parts.items():
            number = "" if part.number is None else f"={part.default:g} ({part.number})"
            rows.append([name, kind, number, part.help])
    print(columns(("Part", "Kind", "Number", "What it is"), rows))
    print("\nAn arm is a source + a loss + tunings: rl, expert+dft, rl+lora, wise-ft=0.3. Left out: expert, nll, full.")
    return 0


def _settings() -> int:
    width = shutil.get_terminal_size().columns
    for title, basic in (("Basic settings", True), ("Advanced settings", False)):
        print(f"# {title}\n")
        for setting in settings():
            if setting.basic == basic:
                unit = f"  ({setting.unit})" if setting.unit else ""
                print(f"{setting.path} = {json.dumps(setting.default, ensure_ascii=False)}{unit}")
                indent = "    "
                print(
                    textwrap.fill(
                        setting.help, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
                    )
                )
        print()
    return 0
