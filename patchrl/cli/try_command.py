"""`patchrl try`: the playground in a terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from patchrl import api
from patchrl.cli.arguments import AddCommand, argument_name, open_run
from patchrl.cli.terminal import say
from patchrl.config import StudyConfig, is_preset, load_config, resolve
from patchrl.errors import ConfigError, PatchRLError
from patchrl.reporting import sentences
from patchrl.text import json_line, number


def add(command: AddCommand) -> None:
    """Add `try`."""
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
    sub.set_defaults(do=try_rewrite)


def try_rewrite(options: argparse.Namespace) -> int:
    """Let every writer rewrite one solution, and print each scored group as it comes."""
    run, config = _run_and_settings(options.target, options.runs_dir)
    writers = run.writers() if run else [api.prompted()]
    if run and len(writers) == 1:
        print(f"{run.id} has no rewriter on this machine: only the prompted backbone writes.", file=sys.stderr)
    question, solution, reference = options.question, options.solution, options.reference
    if question is None and solution is None:
        example = api.lab_example(options.seed)
        question, solution, reference = example.question, example.solution, example.reference or ""
    if question is None or solution is None:
        raise ConfigError("try: give both --question and --solution, or neither for an example of the nano lab.")
    settings = api.play_settings(
        config,
        task=options.task,
        group_size=options.group_size,
        temperature=options.temperature,
        instruction=options.instruction,
        max_new_tokens=options.max_new_tokens,
    )
    example = api.typed_example(question, solution, reference, settings.data.task or "math")
    playground = api.Playground()
    try:
        answer = playground.rewrite(
            settings,
            example,
            writers,
            seed=options.seed,
            thresholds=run.thresholds if run else None,
        )
        if not options.json:
            say(
                f"question  {example.question}\nexpert    {example.solution}\nanswer    {example.reference or 'unknown'}"
            )
        for event in answer:
            if event["kind"] == "error":
                raise PatchRLError(event["text"])
            if options.json:
                print(json_line(event), flush=True)
            else:
                _print_event(event)
    except KeyboardInterrupt:
        return 130
    finally:
        playground.close()
    return 0


def _run_and_settings(target: str | None, runs_dir: str | None) -> tuple[api.Run | None, StudyConfig]:
    if target is None:
        return None, resolve({})
    if is_preset(target) or target.endswith((".toml", ".json")) or Path(target).is_file():
        return None, load_config(target)
    run = open_run(target, runs_dir)
    return run, run.config


def _print_event(event: dict[str, Any]) -> None:
    if event["kind"] == "loading":
        say(f"loading {event['model']} …", file=sys.stderr, flush=True)
    elif event["kind"] == "expert":
        say(f"          {sentences.verdict_words(event)}, ℓ {number(event['nll'])} nats per token")
    elif event["kind"] == "group":
        say(f"\n{event['name']}")
        for candidate in event["candidates"]:
            parts = ", ".join(f"{name} {number(candidate[name])}" for name in ("reward", "alignment", "diversity"))
            say(f"  {sentences.verdict_words(candidate)}; ℓ {number(candidate['nll'])}, {parts}")
            say(f"    {candidate['text']}")
        say(f"  {sentences.group_words(event['candidates'])}", flush=True)
