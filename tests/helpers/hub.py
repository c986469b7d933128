"""Local rows in place of Hub data sets: everything else of the loading code stays real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets

SPLITS = ("train", "validation", "dev", "test")


def serve(monkeypatch, **sets: list[dict[str, Any]]) -> None:
    """Let `datasets.load_dataset` find rows under the last part of a data set's id, each row in every split."""
    known = {name.replace("_", "-"): rows for name, rows in sets.items()}

    def load_dataset(path: str, name: str | None = None, **_: Any) -> datasets.DatasetDict:
        rows = known[path.rpartition("/")[2].replace("_", "-")]
        return datasets.DatasetDict(dict.fromkeys(SPLITS, datasets.Dataset.from_list(rows)))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)


def json_lines(path: Path, count: int) -> list[dict[str, Any]]:
    """The first rows of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:count]]
