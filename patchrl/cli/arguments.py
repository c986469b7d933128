"""What the commands share: a parser whose errors are one sentence, and arguments that name a run."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from patchrl import api
from patchrl.config.fields import file_name, text_problem
from patchrl.text import printable

QUEUE_HELP = "begin when the runs of this folder that were started earlier are over"
AddCommand = Callable[[str, str], argparse.ArgumentParser]  # name and help of a command


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


def add_run(sub: argparse.ArgumentParser, name: str = "run") -> None:
    """An argument that names a run."""
    sub.add_argument(name, type=argument_name, metavar="RUN")


def open_run(name: str, runs_dir: str | None) -> api.Run:
    """A run by its id or, with a slash in it, by its folder."""
    return api.open_run(Path(name) if "/" in name else name, runs_dir=runs_dir)
