"""Commands that list what can be set: `settings` and `arms`."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap

from patchrl.cli.arguments import AddCommand
from patchrl.cli.terminal import columns
from patchrl.config import arms, settings


def add(command: AddCommand) -> None:
    """Add these commands."""
    command("arms", "list what an arm can be made of: sources, losses, on-policy methods, tunings").set_defaults(
        do=_arms
    )
    command("settings", "list every setting with its default and help").set_defaults(do=_settings)


def _arms(options: argparse.Namespace) -> int:
    rows = [[name, "source", "", source.help] for name, source in arms.SOURCES.items()]
    for kind, parts in (("loss", arms.LOSSES), ("on-policy", arms.ON_POLICY), ("tuning", arms.TUNINGS)):
        for name, part in parts.items():
            number = "" if part.number is None else f"={part.default:g} ({part.number})"
            rows.append([name, kind, number, part.help])
    print(columns(("Part", "Kind", "Number", "What it is"), rows))
    print("\nAn arm is a source + a loss + tunings: rl, expert+dft, rl+lora, wise-ft=0.3. Left out: expert, nll, full.")
    return 0


def _settings(options: argparse.Namespace) -> int:
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
