"""Answers kept from earlier evaluations, so that the same weights are never asked the same thing twice."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from patchrl.runs.folder import RunFolder

CACHE_VERSION = 1  # of how answers come about; raise it with every change to generation that can change an answer
Key = dict[str, Any]


class Evaluations:
    """One file for each (weights, task, settings). Files are whole or absent, and are never changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: Key) -> Path:
        """The file of a key with `weights` (hex), `task` and whatever else decides the answers, as plain data."""
        digest = hashlib.sha256(json.dumps([CACHE_VERSION, key], sort_keys=True).encode()).hexdigest()
        task = re.sub(r"[^\w-]+", "-", key["task"])[:60]
        return self.folder / key["weights"][:16] / f"{task}-{digest[:24]}.json"

    def get(self, key: Key) -> list[dict[str, Any]] | None:
        """The rows kept under a key, None without them."""
        try:
            return RunFolder.read_json(self.path(key))
        except ValueError:  # damaged from outside; it is made again
            return None

    def put(self, key: Key, rows: list[dict[str, Any]]) -> None:
        RunFolder.write_json(self.path(key), rows)
