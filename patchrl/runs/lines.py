"""Rows of a JSON-lines file by their id: found once, then read one at a time."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

ROW_ID = re.compile(rb'\{"id": ("(?:[^"\\]|\\.)*"|-?\d+)')


@functools.lru_cache(maxsize=16)
def _places(path: Path, stamp: int, size: int) -> dict[str, tuple[int, int]]:
    """Offset and length of every row, by id; `stamp` and `size` tell one version of the file from the next."""
    places: dict[str, tuple[int, int]] = {}
    offset = 0
    with path.open("rb") as file:
        for line in file:
            if found := ROW_ID.match(line):
                places[str(json.loads(found[1]))] = offset, len(line)
            offset += len(line)
    return places


def row_by_id(path: Path, row_id: str) -> dict[str, Any] | None:
    """The row whose first key is `"id": row_id`; None where there is no such row or no file."""
    try:
        stat = path.stat()
        place = _places(path, stat.st_mtime_ns, stat.st_size).get(row_id)
        if place is None:
            return None
        with path.open("rb") as file:
            file.seek(place[0])
            return json.loads(file.read(place[1]))
    except FileNotFoundError:
        return None
