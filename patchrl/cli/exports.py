"""Commands that take away what a run made: `export` to a file, `push` to the Hub."""

from __future__ import annotations

import argparse
import sys

from patchrl import api
from patchrl.cli.arguments import AddCommand, add_run, argument_name, open_run
from patchrl.reporting import hub


def add(command: AddCommand) -> None:
    """Add these commands."""
    sub = command("export", "write what a run made to a file: report, results, rewritten dataset, adapter")
    add_run(sub)
    sub.add_argument("kind", metavar="KIND", choices=api.EXPORTS, help=f"one of {', '.join(api.EXPORTS)}")
    _of(sub)
    sub.add_argument(
        "--into", metavar="DIR", type=argument_name, default=".", help="folder to write to (default: this one)"
    )
    sub.set_defaults(do=_export)
    sub = command("push", "publish a rewritten dataset or an adapter on the Hugging Face Hub, with a card; private")
    add_run(sub)
    sub.add_argument("kind", metavar="dataset|adapter", choices=hub.REPO_TYPES, help="what to publish")
    sub.add_argument("repo", metavar="OWNER/NAME", help="the repository; made where it is missing")
    _of(sub)
    sub.add_argument("--public", action="store_true", help="for everyone to see (default: private)")
    sub.set_defaults(do=_push)


def _of(sub: argparse.ArgumentParser) -> None:
    """Options that name one dataset of a run."""
    sub.add_argument("--arm", help="whose rewrites or adapter (default: rl)")
    sub.add_argument("--seed", type=int, help="of which seed (default: the study's first)")


def _export(options: argparse.Namespace) -> int:
    run = open_run(options.run, options.runs_dir)
    print(run.export(options.kind, options.into, arm=options.arm, seed=options.seed))
    return 0


def _push(options: argparse.Namespace) -> int:
    run = open_run(options.run, options.runs_dir)

    def print_step(step: str) -> None:
        print(step, file=sys.stderr, flush=True)

    of = {"arm": options.arm or "rl", "seed": options.seed}
    print(run.push(options.kind, options.repo, private=not options.public, on_step=print_step, **of))
    return 0
