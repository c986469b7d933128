"""Studies that one can start by name. Each is a TOML file in this folder with a title and a description."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PRESET_TABLE = "preset"  # the table of a config file that describes it and sets nothing


@dataclass(frozen=True)
class Preset:
    """A study by its name; `values` are its settings, by section."""

    name: str
    title: str
    description: str
    path: Path
    values: dict[str, dict[str, Any]]


@functools.cache
def presets() -> dict[str, Preset]:
    """Every preset by its name, those of the nano lab first: they need no download.

    Example:
        >>> from patchrl.config import presets
        >>> presets()["nano-quick"].title
        'Quick look: under a minute, too short for the effect'
    """
    paths = sorted(FOLDER.glob("*.toml"), key=lambda path: (not path.stem.startswith("nano"), path.stem))
    return {path.stem: _read(path) for path in paths}


def _read(path: Path) -> Preset:
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    label = values.pop(PRESET_TABLE)
    return Preset(path.stem, label["title"], label["description"], path, values)
