"""A journal of a stage's work: each piece is appended when it is finished, so that a stage that died goes on with what it has."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from patchrl.errors import StopRequested
from patchrl.text import parse_json
from patchrl.types import Recorder
from patchrl.version import __version__

HEAD = re.compile(rb'\{"key": "(\w{32})", "seconds": (\d{1,9}(?:\.\d{1,9})?), "piece": ')
T = TypeVar("T")


class Journal:
    """Finished pieces of work by what they were made from, one JSON line each; a torn last line is cut off.

    Between pieces the recorder is asked whether to stop. Several threads may keep pieces.

    Attributes:
        seconds_before: What the pieces took that were there when the journal was opened.
        seconds: What the pieces took that were asked for since, whenever they were made.
    """

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self.path, self.recorder = path, recorder
        self.seconds_before = self.seconds = 0.0
        self._pieces: dict[str, tuple[int, int]] = {}  # offset and length of a line
        self._end = 0
        self._lock, self._counted_until = threading.Lock(), 0.0
        if path.is_file():
            self._read()

    def _read(self) -> None:
        with self.path.open("r+b") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(self._end)
                    return
                if head := HEAD.match(line):
                    self._pieces[head[1].decode()] = self._end, len(line)
                    self.seconds_before += float(head[2])
                self._end += len(line)

    def keep(self, source: Any, make: Callable[[], T]) -> T:
        """The piece that is made from a `source`: as it was kept, else made now and kept.

        Args:
            source: All that decides the piece, as plain data.
            make: Makes it, as plain data.

        Raises StopRequested where a piece has to be made and somebody asked to stop.
        """
        key = hashlib.sha256(json.dumps([__version__, source], sort_keys=True).encode()).hexdigest()[:32]
        if key in self._pieces and (kept := self._kept(*self._pieces[key])) is not None:
            self.seconds += kept["seconds"]
            return kept["piece"]
        if self.recorder.stop_requested():
            raise StopRequested("Stopped; resume goes on with the rows that are finished.")
        started = time.monotonic()
        piece = make()
        with self._lock:
            now = time.monotonic()
            # Of pieces that were made at the same time, each second counts once.
            seconds = round(now - max(started, self._counted_until), 4)
            self._counted_until = now
            self.seconds += seconds
            line = json.dumps({"key": key, "seconds": seconds, "piece": piece})
            self._append(key, line.encode() + b"\n")
        return piece

    def _append(self, key: str, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.write(line)
        self._pieces[key] = self._end, len(line)
        self._end += len(line)

    def _kept(self, offset: int, length: int) -> dict[str, Any] | None:
        """The line of a piece; None where somebody else cut it, and the piece is made again."""
        with self.path.open("rb") as file:
            file.seek(offset)
            try:
                line = parse_json(file.read(length))
            except ValueError:
                return None
        return line if isinstance(line, dict) and "piece" in line else None
