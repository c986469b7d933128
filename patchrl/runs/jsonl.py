"""JSON-lines files of a run, one object a line: written whole, read whole or one row at a time by its id."""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from patchrl.errors import RunError, first_line
from patchrl.runs.shapes import shape_problem
from patchrl.text import parse_json

ROW_ID = re.compile(rb'\{"id": ("(?:[^"\\]|\\.)*"|-?\d+)')


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows to a temporary name and move it into place, so that a reader sees all of them or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    temporary.replace(path)


def read_rows(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """Every row of a file.

    Args:
        path: the file.
        kind: of `patchrl.runs.shapes`, which each row has to be; rows of any fields without it.

    Raises FileNotFoundError where the file is absent, RunError for a row that cannot be read.
    """
    rows = []
    try:
        with path.open("rb") as file:
            for line in file:
                row = parse_json(line)
                problem = (
                    "it is not an object" if not isinstance(row, dict) else shape_problem(kind, row) if kind else None
                )
                if problem:
                    raise ValueError(problem)
                rows.append(row)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        where = f", row {len(rows) + 1}" if isinstance(error, ValueError) else ""
        raise RunError(
            f"{path.parent.name}/{path.name}{where} is damaged: {first_line(error)[:120]}; delete the file and resume."
        ) from None
    return rows


def readable_rows(path: Path, kind: str) -> list[dict[str, Any]]:
    """The rows of a file that can be used; none where it is absent or no file."""
    rows = []
    try:
        with path.open("rb") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    row = parse_json(line)
                    if isinstance(row, dict) and not shape_problem(kind, row):
                        rows.append(row)
    except OSError:
        return []
    return rows


@functools.lru_cache(maxsize=16)
def _positions(path: Path, stamp: int, size: int) -> dict[str, tuple[int, int]]:
    """Offset and length of every row, by id; `stamp` and `size` tell one version of the file from the next."""
    positions: dict[str, tuple[int, int]] = {}
    offset = 0
    with path.open("rb") as file:
        for line in file:
            if start := ROW_ID.match(line):
                with contextlib.suppress(ValueError):
                    positions[str(parse_json(start[1]))] = offset, len(line)
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
            row = parse_json(file.read(position[1]))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) else None
