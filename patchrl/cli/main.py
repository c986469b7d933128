"""The command line: `python -m patchrl COMMAND`, or `patchrl COMMAND` once installed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from patchrl.cli import exports, fetch_command, reference, runs, studies, try_command
from patchrl.cli.arguments import Parser, argument_name
from patchrl.errors import PatchRLError
from patchrl.text import printable
from patchrl.version import __version__


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

    for group in (studies, runs, exports, fetch_command, try_command, reference):
        group.add(command)
    sub = command("ui", "open the app")
    sub.add_argument("--port", type=int, help="port (default: 7860, or the next free one)")
    sub.add_argument("--host", help="address to listen on (default: $GRADIO_SERVER_NAME, or this machine only)")
    sub.add_argument("--root-path", help="path or address that a proxy serves the page at (default: $GRADIO_ROOT_PATH)")
    sub.add_argument(
        "--public", action="store_true", help="for strangers: each visitor sees own runs only, within limits"
    )
    sub.set_defaults(do=_ui)
    return top


def _ui(options: argparse.Namespace) -> int:
    from patchrl.ui.serving import launch

    launch(options.runs_dir, options.port, options.host, options.root_path, options.public)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 done, 1 a run failed, 2 the command cannot be done, 130 stopped)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ℓ or ✓ shows a question mark
    options = parser().parse_args(arguments)
    try:
        return options.do(options)
    except PatchRLError as error:
        print(f"patchrl: {printable(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
