"""Which files of a run cannot be used, and why. A file is read again only where it has changed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from patchrl.runs.checkpoints import MARK_FILE, whole_checkpoint
from patchrl.runs.embeddings import read_vectors
from patchrl.runs.events import parse_event
from patchrl.runs.folder import RunFolder
from patchrl.runs.journal import HEAD
from patchrl.runs.shapes import SHAPES, shape_problem
from patchrl.text import parse_json

ENDED_STATES = ("done", "failed", "stopped", "cancelled")
MAX_KNOWN_FILES = 256


@dataclass
class CheckedLines:
    """How far a file of lines has been checked, and what was wrong so far."""

    stamp: tuple[int, int] = (0, 0)  # time of the last change, bytes
    offset: int = 0
    last: bytes = b""  # line before the offset; another one there means that the file was written anew
    lines: int = 0
    damaged: int = 0
    first: str = ""  # the first damaged line, and why

    @property
    def problem(self) -> str:
        more = f" and {self.damaged - 1} more lines" if self.damaged > 1 else ""
        return self.first + more if self.damaged else ""


_checked: dict[Path, CheckedLines] = {}


def damage(folder: RunFolder) -> list[str]:
    """Files of a run that exist and cannot be used, each with what is wrong."""
    return [f"{path.relative_to(folder.path)} is damaged: {problem}" for path, problem in _problems(folder)]


def list_damage(folder: RunFolder) -> list[str]:
    """The same of the two files that a list of runs reads."""
    files = ((folder.status, "status"), (folder.result, "result"))
    problems = [(path, _json_problem(folder, path, kind)) for path, kind in files]
    return [f"{path.name} is damaged: {problem}" for path, problem in problems if problem]


def _problems(folder: RunFolder) -> Iterator[tuple[Path, str]]:
    for path, check in _checks(folder):
        if not path.exists():
            continue
        problem = check(path)
        if problem:
            yield path, problem


def _checks(folder: RunFolder) -> Iterator[tuple[Path, Callable[[Path], str | None]]]:
    """Every file to check, with what finds its problem."""

    def of_json(kind: str) -> Callable[[Path], str | None]:
        return lambda path: _json_problem(folder, path, kind)

    yield from ((folder.status, of_json("status")), (folder.scan, of_json("scan")), (folder.result, of_json("result")))
    yield folder.events, _lines_check(_event_problem)
    for path in sorted(folder.samples_dir.glob("*-seed*.json*")):
        if path.name.endswith(".summary.json"):
            if "replay" not in path.name:
                yield path, of_json("summary")
        elif path.suffix == ".jsonl":
            kind = (
                "surprisal" if path.name.endswith(".surprisal.jsonl") else None if "replay" in path.name else "sample"
            )
            yield path, _lines_check(functools.partial(_row_problem, kind))
    for path in sorted(folder.path.glob("arms/**/predictions.jsonl")):
        yield path, _lines_check(functools.partial(_row_problem, "prediction"))
    for path in sorted(folder.path.glob("embeddings/*.npz")):
        yield path, _vectors_problem
    for path in sorted(folder.journals.glob("*.jsonl")):
        yield path, _lines_check(_piece_problem, may_be_empty=True)
    status = folder.read_status()
    if status is None or status["state"] in ENDED_STATES:  # a worker deletes old checkpoints file by file
        for home in ("adapter", "arms"):
            for mark in sorted(folder.path.glob(f"{home}/**/checkpoint-*/{MARK_FILE}")):
                yield mark.parent, _checkpoint_problem


def _json_problem(folder: RunFolder, path: Path, kind: str) -> str | None:
    if not path.exists():
        return None
    if path.is_dir():
        return "it is a folder"
    value = folder.read_json(path)
    if kind == "status" and isinstance(value, dict):
        value = folder.read_status() or value
    return "it is not JSON" if value is None else shape_problem(kind, value)


def _lines_check(
    line_problem: Callable[[bytes], str | None], may_be_empty: bool = False
) -> Callable[[Path], str | None]:
    """What finds the first damaged line of a file. A last line without an end is being written."""

    def check(path: Path) -> str | None:
        if path.is_dir():
            return "it is a folder"
        stat = path.stat()
        if stat.st_size == 0:
            return None if may_be_empty else "it is empty"
        stamp, known = (stat.st_mtime_ns, stat.st_size), _checked.pop(path, CheckedLines())
        if known.stamp != stamp:
            known = _check_on(path, known, line_problem)
            known.stamp = stamp
        _checked[path] = known  # the last one checked comes last
        while len(_checked) > MAX_KNOWN_FILES:
            del _checked[next(iter(_checked))]
        return known.problem

    return check


def _check_on(path: Path, known: CheckedLines, line_problem: Callable[[bytes], str | None]) -> CheckedLines:
    """What is known after the lines that came since are checked; all lines of a file that was written anew."""
    with path.open("rb") as file:
        file.seek(known.offset - len(known.last))
        if file.read(len(known.last)) != known.last:
            known = CheckedLines()
            file.seek(0)
        for line in file:
            if not line.endswith(b"\n"):
                break
            known.offset += len(line)
            known.last = line
            known.lines += 1
            if problem := line_problem(line):
                known.damaged += 1
                known.first = known.first or f"line {known.lines}: {problem}"
    return known


def _event_problem(line: bytes) -> str | None:
    return None if parse_event(line) else "it is not an event"


def _row_problem(kind: str | None, line: bytes) -> str | None:
    """Why a line is not a row of a kind in `patchrl.runs.shapes`, of any object without a kind."""
    try:
        if kind is not None:
            SHAPES[kind].validate_json(line, strict=True)
            return None
    except ValidationError:
        pass  # the reader's own way says what is wrong
    try:
        row: Any = parse_json(line)
    except ValueError:
        return "it is not JSON"
    if not isinstance(row, dict):
        return "it is not an object"
    return shape_problem(kind, row) if kind else None


def _piece_problem(line: bytes) -> str | None:
    return _row_problem(None, line) or (None if HEAD.match(line) else "it is not a finished piece of work")


def _vectors_problem(path: Path) -> str | None:
    if path.is_dir():
        return "it is a folder"
    stat = path.stat()
    return _archive_problem(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=MAX_KNOWN_FILES)
def _archive_problem(path: Path, changed: int, size: int) -> str | None:
    return None if read_vectors(path) else "it is not an archive of embeddings"


def _checkpoint_problem(path: Path) -> str | None:
    return None if whole_checkpoint(path) else f"its files are not those that {MARK_FILE} names"
