"""The runs that ship with PatchRL. Each is a run's folder, named by its id, with a title and a sentence about it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

HOME = Path(__file__).parent
ABOUT = "recording.json"  # in a recording's folder: `title`, which lists show, and `about`, one sentence on what it is
LAB = "recorded-nano"  # the lab's, which the lesson plays


@cache
def folders() -> dict[str, Path]:
    """The folders of the recordings by run id: those of real models first, the lab's last."""
    paths = sorted(path.parent for path in HOME.glob(f"*/{ABOUT}"))
    return {path.name: path for path in sorted(paths, key=lambda path: path.name == LAB)}


def is_recording(path: Path) -> bool:
    """Whether a run's folder is one of those that ship with PatchRL."""
    return path in folders().values()


def about(path: Path) -> dict[str, str]:
    """`title` and `about` of a recording; empty for any other run's folder."""
    return json.loads((path / ABOUT).read_text(encoding="utf-8")) if is_recording(path) else {}
