"""A run's events in bounded memory: what a page draws, however long the run is."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path
from typing import Any

from patchrl.runs.events import parse_event

Event = dict[str, Any]

BLOCK_BYTES = 4 * 2**20  # bytes read at a time
MAX_EVENTS = 1000  # events of one series; at most twice as many are held
KEPT_MESSAGES = 200
# A line begins as `append_event` writes it, with whose curve it is before the step; what is thinned away is never
# parsed further than this.
EVENT_HEAD = re.compile(
    rb'\{"t": [\d.e+]+, "kind": "(\w+)"'
    rb'((?:, "(?:seed|arm|rate|rewriter)": (?:"[^"]*"|[\d.e+-]+|null))*)(?:, "step": (\d+))?'
)
NEWEST_ONLY = ("group",)  # large, and only the newest is shown


class Series:
    """Every n-th event of one curve; n doubles whenever twice the limit is reached."""

    def __init__(self) -> None:
        self.stride, self.count = 1, 0
        self.kept: list[Event] = []
        self.newest: bytes | None = None

    def add(self, line: bytes, step: int) -> None:
        # A resumed run repeats the steps after its checkpoint; the new ones count.
        while self.kept and step <= self.kept[-1]["step"]:
            self.kept.pop()
        if self.count % self.stride == 0 and (event := parse_event(line)) is not None:
            self.kept.append(event)
            if len(self.kept) >= 2 * MAX_EVENTS:
                self.kept, self.stride = self.kept[::2], 2 * self.stride
        self.count += 1
        self.newest = line

    def events(self) -> list[Event]:
        """What is kept, and always the newest."""
        newest = parse_event(self.newest) if self.newest else None
        if newest is None or (self.kept and self.kept[-1]["step"] >= newest["step"]):
            return list(self.kept)
        return [*self.kept, newest]


class Timeline:
    """The events of one events.jsonl, kept up to date by `update`.

    Series with steps are thinned as they come, of groups only the newest stays, of messages the last
    few hundred: memory does not grow with the run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reset()

    def _reset(self) -> None:
        self.offset = 0
        self._series: dict[tuple[bytes, ...], Series] = {}
        self._newest: dict[bytes, bytes] = {}
        self._others: list[Event] = []
        self._messages: deque[Event] = deque(maxlen=KEPT_MESSAGES)
        self._shown: list[Event] = []

    def update(self) -> list[Event]:
        """Read what was appended since the last call; returns all kept events, oldest first.

        The very same list comes back when nothing was appended. A half-written last line waits, a
        damaged line is skipped, a file that shrank was replaced and is read from its start.
        """
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        size = size if self.path.is_file() else 0
        if size < self.offset:
            self._reset()
        before = self.offset
        if size > before:
            self._read(size)
        if self.offset != before or (size == 0 and self._shown):
            self._shown = self._sorted()
        return self._shown

    def _read(self, size: int) -> None:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            tail = b""
            while (wanted := min(BLOCK_BYTES, size - self.offset - len(tail))) > 0:
                block = tail + file.read(wanted)
                end = block.rfind(b"\n") + 1
                for line in block[:end].splitlines():
                    self._take(line)
                self.offset += end
                tail = block[end:]

    def _take(self, line: bytes) -> None:
        head = EVENT_HEAD.match(line)
        if head is None:
            return
        kind, whose, step = head.groups()
        if kind in map(str.encode, NEWEST_ONLY):
            self._newest[kind] = line
        elif step is not None:
            self._series.setdefault((kind, whose), Series()).add(line, int(step))
        elif (event := parse_event(line)) is not None:
            (self._messages if kind == b"message" else self._others).append(event)

    def _sorted(self) -> list[Event]:
        events = [*self._others, *self._messages, *(e for s in self._series.values() for e in s.events())]
        events += [e for line in self._newest.values() if (e := parse_event(line)) is not None]
        return sorted(events, key=lambda event: event["t"])
