"""JSON-lines files of a run, one object a line: written whole, read whole or one row at a time by its id."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROW_ID = re.compile(rb'\{"id": ("(?:[^"\\]|\\.)*"|-?\d+)')


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows to a temporary name and move it into place, so that a reader sees all of them or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    temporary.replace(path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Every row of a file; raises FileNotFoundError where it is absent."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@functools.lru_cache(maxsize=16)
def _positions(path: Path, stamp: int, size: int) -> dict[str, tuple[int, int]]:
    """Offset and length of every row, by id; `stamp` and `size` tell one version of the file from the next."""
    positions: dict[str, tuple[int, int]] = {}
    offset = 0
    with path.open("rb") as file:
        for line in file:
            if start := ROW_ID.match(line):
                positions[str(json.loads(start[1]))] = offset, len(line)
            offset += len(line)
    return positions


def row_by_id(path: Path, row_id: str) -> dict[str, Any] | None:
    """The row whose first key is `"id": row_id`; None without such a row or file."""
    try:
        stat = path.stat()
        position = _positions(path, stat.st_mtime_ns, stat.st_size).get(row_id)
        if position is None:
            return None
        with path.open("rb") as file:
            file.seek(position[0])
            return json.loads(file.read(position[1]))
    except FileNotFoundError:
        return None
