"""The playground: one warm process that rewrites and scores what visitors type, one request after another. No torch."""

from __future__ import annotations

import atexit
import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from patchrl.config import StudyConfig
from patchrl.errors import RunError
from patchrl.jobs.launch import environment
from patchrl.types import Example, Writer

ENDS = ("done", "cancelled", "error")
LOADING_SECONDS = 900.0  # a backbone may have to come from the Hub
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05


class Answer:
    """What comes back for one request: an iterator of events that ends with `done`, `cancelled` or `error`.

    Kinds: waiting (ahead), loading (model), ready, expert (ℓ, verdict, tokens), writing (writer, name,
    texts so far), group (writer, name, candidates with every reward), done, cancelled, error (text).
    """

    def __init__(self, number: int, request: dict[str, Any]) -> None:
        self.number, self.request = number, request
        self.cancelled = self.finished = False
        self._events: deque[dict[str, Any]] = deque()
        self._news = threading.Condition()

    def put(self, kind: str, **fields: Any) -> None:
        """Add an event; nothing is added after the last one."""
        with self._news:
            if not self.finished:
                self._events.append({"kind": kind, **fields})
                self.finished = kind in ENDS
                self._news.notify_all()

    def take(self, timeout: float = 0.0) -> list[dict[str, Any]]:
        """Events since the last call, waiting up to `timeout` seconds for the first."""
        with self._news:
            if not self._events and not self.finished:
                self._news.wait(timeout)
            events = list(self._events)
            self._events.clear()
            return events

    def cancel(self) -> None:
        """Say that nobody wants it any more; the process stops at the next token."""
        self.cancelled = True
        self.put("cancelled")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            yield from self.take(timeout=1.0)
            if self.finished and not self._events:
                return


class Playground:
    """Requests wait in a bounded line for one process, which is started when needed and ends when idle.

    `waiting`: how many may wait behind the one being answered; `idle_seconds`: how long the process stays
    warm unused; `deadline`: seconds one request may take once the backbone is loaded.
    """

    def __init__(self, *, waiting: int = 4, idle_seconds: float = 600.0, deadline: float = 300.0) -> None:
        self.waiting, self.idle_seconds, self.deadline = waiting, idle_seconds, deadline
        self.loaded: str | None = None  # the backbone the process holds
        self._line: deque[Answer] = deque()
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Any = None
        self._log: Any = None
        self._count = 0
        atexit.register(self.close)

    # --- what one can ask -------------------------------------------------------------------------

    def warm(self, config: StudyConfig) -> Answer:
        """Start the process and load the backbone, so that the first question finds it ready."""
        return self._enqueue({"op": "warm"}, config, None)

    def rewrite(
        self,
        config: StudyConfig,
        example: Example,
        writers: Sequence[Writer],
        *,
        seed: int = 0,
        threshold: float | None = None,
    ) -> Answer:
        """`rewriter.group_size` rewrites of one expert solution by every writer, each a group with its rewards.

        `threshold` is the calibrated meaning of open answers. Raises RunError when the line is full.
        """
        request = {"op": "rewrite", "writers": [asdict(w) for w in writers], "seed": seed}
        return self._enqueue(request | {"example": asdict(example)}, config, threshold)

    def score(
        self, config: StudyConfig, example: Example, texts: Sequence[str], *, threshold: float | None = None
    ) -> Answer:
        """Verdict, ℓ and rewards of texts a person wrote, as one group. Raises RunError when the line is full."""
        return self._enqueue({"op": "score", "texts": list(texts), "example": asdict(example)}, config, threshold)

    @property
    def warmed(self) -> bool:
        """Whether a process is up with a backbone in it."""
        return self.loaded is not None and self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End the process and whatever waits for it."""
        with self._lock:
            for answer in self._line:
                answer.cancel()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    # --- the line ---------------------------------------------------------------------------------

    def _enqueue(self, request: dict[str, Any], config: StudyConfig, threshold: float | None) -> Answer:
        with self._lock:
            for gone in [a for a in self._line if a.cancelled and a is not self._line[0]]:
                self._line.remove(gone)
            if (ahead := self._people(len(self._line))) > self.waiting:
                raise RunError(f"The playground is busy: {ahead} requests are in line; try again in a moment.")
            self._count += 1
            settings = {"config": config.model_dump(mode="json"), "threshold": threshold}
            answer = Answer(self._count, request | settings | {"id": self._count})
            self._line.append(answer)
            self._say_places()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, daemon=True)
                self._thread.start()
            return answer

    def _people(self, count: int) -> int:
        """How many of the first `count` in line are questions; getting warm is none."""
        return sum(answer.request["op"] != "warm" for answer in list(self._line)[:count])

    def _say_places(self) -> None:
        """Tell those who wait how many are ahead, or that only the backbone is missing yet."""
        for place, later in enumerate(self._line):
            if place and (ahead := self._people(place)):
                later.put("waiting", ahead=ahead)
            elif place:
                later.put("loading", model=later.request["config"]["backbone"]["model"])

    def _serve(self) -> None:
        """Work the line off, oldest first; ends with it."""
        while True:
            with self._lock:
                if not self._line:
                    self._thread = None
                    return
                first = self._line[0]
                self._say_places()
            try:
                if not first.cancelled:
                    self._ask(first)
            except OSError as error:
                first.put("error", text=f"The playground's process cannot start: {error.strerror or error}.")
            finally:
                with self._lock:
                    self._line.popleft()

    def _ask(self, answer: Answer) -> None:
        """Send one request and pass its replies on; a process that ended idle at that moment is started again."""
        while True:
            self._start()
            try:
                self._send(answer.request)
                heard = self._follow(answer)
            except (EOFError, OSError):
                heard = False
            if heard:
                return
            code = self._bury()
            if code != 0:
                answer.put("error", text=self._obituary(code))
                return

    def _follow(self, answer: Answer) -> bool:
        """Replies until the last one. False: the process ended by itself before it said anything."""
        started, limit, ending = time.monotonic(), LOADING_SECONDS, 0.0
        heard = ready = False
        while True:
            if self._pipe.poll(POLL_SECONDS):
                try:
                    reply = json.loads(self._pipe.recv_bytes())
                except (EOFError, OSError):
                    if not heard:
                        return False
                    answer.put("error", text=self._obituary(self._bury()))
                    return True
                if reply.pop("id") != answer.number:
                    continue
                heard = True
                if reply["kind"] == "ready":
                    ready, started, limit = True, time.monotonic(), self.deadline
                    self.loaded = answer.request["config"]["backbone"]["model"]
                answer.put(**reply)
                if reply["kind"] in ENDS:
                    return True
            now = time.monotonic()
            over = now - started > limit
            if not ending and (answer.cancelled or over):
                answer.put("error", text=f"It took longer than {limit:.0f} s; ask for fewer or shorter rewrites.")
                self._send({"op": "cancel", "id": answer.number})
                ending = now
            # A process that is still loading is spared: the next visitor needs the same backbone.
            elif ending and now - ending > GRACE_SECONDS and (ready or over):
                self._bury(kill=True)
                return True

    # --- the process ------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._bury()
        self._pipe, theirs = multiprocessing.Pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process lives
        command = [sys.executable, "-m", "patchrl.playground.server", str(theirs.fileno()), str(self.idle_seconds)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment(),
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C in a terminal is for whoever asked, who then cancels
        )
        theirs.close()

    def _send(self, message: dict[str, Any]) -> None:
        self._pipe.send_bytes(json.dumps(message, ensure_ascii=False).encode())

    def _bury(self, kill: bool = False) -> int | None:
        """The exit code of a process that is ending, or is made to."""
        self.loaded = None
        if self._process is None:
            return None
        if kill:
            self._process.kill()
        try:
            code = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._pipe.close()
        self._process = self._pipe = None
        return code

    def _obituary(self, code: int | None) -> str:
        self._log.seek(0)
        lines = [line for line in self._log.read()[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
        why = " It was killed, most often because memory ran out." if code == -9 else ""
        last = f" Its last words: {lines[-1][:200]}." if lines and code != -9 else ""
        return f"The playground's process died (exit code {code}).{why}{last} Ask again: it starts anew."
