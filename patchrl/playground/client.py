"""The playground's client: a queue of requests to one warm process, which it starts when needed. No torch."""

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

from patchrl.config import NAMED_BACKBONES, StudyConfig
from patchrl.errors import RunError
from patchrl.jobs.environment import environment, login_token
from patchrl.types import ChatModel, Example, Writer

FINAL_KINDS = ("done", "cancelled", "error")
LOADING_TIMEOUT = 900.0  # seconds; a backbone may have to come from the Hub
CANCEL_TIMEOUT = 5.0  # seconds until a process that does not stop is killed
POLL_SECONDS = 0.05


class Answer:
    """What comes back for one request: an iterator of events that ends with `done`, `cancelled` or `error`.

    Kinds: waiting (ahead), loading (model), ready, expert (ℓ, verdict, tokens), writing (writer, name,
    texts so far), group (writer, name, candidates with every reward), answer (writer, text, clipped), done, cancelled,
    error (text).
    """

    def __init__(self, number: int, request: dict[str, Any]) -> None:
        self.number, self.request = number, request
        self.cancelled = self.finished = False
        self._events: deque[dict[str, Any]] = deque()
        self._changed = threading.Condition()

    def put(self, kind: str, **fields: Any) -> None:
        """Add an event; nothing is added after the last one."""
        with self._changed:
            if not self.finished:
                self._events.append({"kind": kind, **fields})
                self.finished = kind in FINAL_KINDS
                self._changed.notify_all()

    def take(self, timeout: float = 0.0) -> list[dict[str, Any]]:
        """Events since the last call, waiting up to `timeout` seconds for the first."""
        with self._changed:
            if not self._events and not self.finished:
                self._changed.wait(timeout)
            events = list(self._events)
            self._events.clear()
            return events

    def cancel(self) -> None:
        """End the request; the process stops at the next token."""
        self.cancelled = True
        self.put("cancelled")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            yield from self.take(timeout=1.0)
            if self.finished and not self._events:
                return


class Playground:
    """Requests wait in a bounded queue for one process, which is started when needed and ends when idle.

    `waiting`: how many may wait behind the one being answered; `idle_seconds`: how long the process stays
    warm unused; `deadline`: seconds one request may take once the backbone is loaded.
    """

    def __init__(self, *, waiting: int = 4, idle_seconds: float = 600.0, deadline: float = 300.0) -> None:
        self.waiting, self.idle_seconds, self.deadline = waiting, idle_seconds, deadline
        self.loaded: str | None = None  # the backbone in the process
        self._queue: deque[Answer] = deque()
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Any = None
        self._log: Any = None
        self._count = 0
        atexit.register(self.close)

    # --- requests ---------------------------------------------------------------------------------

    def warm(self, config: StudyConfig) -> Answer:
        """Start the process and load the backbone, so that the first request finds it ready."""
        return self._enqueue({"op": "warm"}, config, None)

    def rewrite(
        self,
        config: StudyConfig,
        example: Example,
        writers: Sequence[Writer],
        *,
        seed: int = 0,
        thresholds: dict[str, Any] | None = None,
    ) -> Answer:
        """`rewriter.group_size` rewrites of one expert solution by every writer, each a group with its rewards.

        `thresholds` are those of a run's gate. Raises RunError when the queue is full.
        """
        request = {"op": "rewrite", "writers": [asdict(w) for w in writers], "seed": seed}
        return self._enqueue(request | {"example": asdict(example)}, config, thresholds)

    def score(
        self, config: StudyConfig, example: Example, texts: Sequence[str], *, thresholds: dict[str, Any] | None = None
    ) -> Answer:
        """Verdict, ℓ and rewards of texts a person wrote, as one group. Raises RunError when the queue is full."""
        return self._enqueue({"op": "score", "texts": list(texts), "example": asdict(example)}, config, thresholds)

    def chat(
        self,
        config: StudyConfig,
        question: str,
        models: Sequence[ChatModel],
        *,
        temperature: float = 0.0,
        max_new_tokens: int = 96,
        seed: int = 0,
        thresholds: dict[str, Any] | None = None,
    ) -> Answer:
        """One answer of every model to a question, greedy at temperature 0. Raises RunError when the queue is full."""
        request = {"op": "chat", "question": question, "models": [asdict(model) for model in models], "seed": seed}
        request |= {"temperature": temperature, "max_new_tokens": max_new_tokens}
        return self._enqueue(request, config, thresholds)

    @property
    def warmed(self) -> bool:
        """Whether a process is up with a backbone in it."""
        return self.loaded is not None and self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End the process and cancel what waits for it."""
        with self._lock:
            for answer in self._queue:
                answer.cancel()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    # --- the queue --------------------------------------------------------------------------------

    def _enqueue(self, request: dict[str, Any], config: StudyConfig, thresholds: dict[str, Any] | None) -> Answer:
        with self._lock:
            for cancelled in [a for a in self._queue if a.cancelled and a is not self._queue[0]]:
                self._queue.remove(cancelled)
            if (ahead := self._requests_among(len(self._queue))) > self.waiting:
                raise RunError(f"The playground is busy: {ahead} requests are in line; try again in a moment.")
            self._count += 1
            token = "" if config.backbone.model in NAMED_BACKBONES else login_token()
            settings = {"config": config.model_dump(mode="json"), "thresholds": thresholds or {}, "token": token}
            answer = Answer(self._count, request | settings | {"id": self._count})
            self._queue.append(answer)
            self._announce_places()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            return answer

    def _requests_among(self, count: int) -> int:
        """How many of the first `count` in the queue are more than a warm-up."""
        return sum(answer.request["op"] != "warm" for answer in list(self._queue)[:count])

    def _announce_places(self) -> None:
        """Send each waiting request its place, or that the backbone is loading where only a warm-up is ahead."""
        for position, later in enumerate(self._queue):
            if position and (ahead := self._requests_among(position)):
                later.put("waiting", ahead=ahead)
            elif position:
                later.put("loading", model=later.request["config"]["backbone"]["model"])

    def _work(self) -> None:
        """Answer what is in the queue, oldest first, until it is empty."""
        while True:
            with self._lock:
                if not self._queue:
                    self._thread = None
                    return
                first = self._queue[0]
                self._announce_places()
            try:
                if not first.cancelled:
                    self._answer(first)
            except OSError as error:
                first.put("error", text=f"The playground's process cannot start: {error.strerror or error}.")
            finally:
                with self._lock:
                    self._queue.popleft()

    def _answer(self, answer: Answer) -> None:
        """Send one request and pass its replies on; a process that ended idle at that moment is started again."""
        while True:
            self._start()
            try:
                self._send(answer.request)
                replied = self._relay(answer)
            except (EOFError, OSError):
                replied = False
            if replied:
                return
            code = self._end_process()
            if code != 0:
                answer.put("error", text=self._death_message(code))
                return

    def _relay(self, answer: Answer) -> bool:
        """Replies until the last one. False: the process ended by itself before it said anything."""
        started, limit, ending = time.monotonic(), LOADING_TIMEOUT, 0.0
        replied = ready = False
        while True:
            if self._pipe.poll(POLL_SECONDS):
                try:
                    reply = json.loads(self._pipe.recv_bytes())
                except (EOFError, OSError):
                    if not replied:
                        return False
                    answer.put("error", text=self._death_message(self._end_process()))
                    return True
                if reply.pop("id") != answer.number:
                    continue
                replied = True
                if reply["kind"] == "ready":
                    ready, started, limit = True, time.monotonic(), self.deadline
                    self.loaded = answer.request["config"]["backbone"]["model"]
                answer.put(**reply)
                if reply["kind"] in FINAL_KINDS:
                    return True
            now = time.monotonic()
            over = now - started > limit
            if not ending and (answer.cancelled or over):
                answer.put("error", text=f"It took longer than {limit:.0f} s; ask for fewer or shorter rewrites.")
                self._send({"op": "cancel", "id": answer.number})
                ending = now
            # A process that is still loading is spared: the next visitor needs the same backbone.
            elif ending and now - ending > CANCEL_TIMEOUT and (ready or over):
                self._end_process(kill=True)
                return True

    # --- the process ------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._end_process()
        self._pipe, child_end = multiprocessing.Pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process lives
        command = [sys.executable, "-m", "patchrl.playground.server", str(child_end.fileno()), str(self.idle_seconds)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment(),
            pass_fds=[child_end.fileno()],
            start_new_session=True,  # Ctrl-C in a terminal is for whoever asked, who then cancels
        )
        child_end.close()

    def _send(self, message: dict[str, Any]) -> None:
        self._pipe.send_bytes(json.dumps(message, ensure_ascii=False).encode())

    def _end_process(self, kill: bool = False) -> int | None:
        """End the process, by force with `kill`, and return its exit code."""
        self.loaded = None
        if self._process is None:
            return None
        if kill:
            self._process.kill()
        try:
            code = self._process.wait(CANCEL_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._pipe.close()
        self._process = self._pipe = None
        return code

    def _death_message(self, code: int | None) -> str:
        self._log.seek(0)
        lines = [line for line in self._log.read()[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
        why = " It was killed, most often because memory ran out." if code == -9 else ""
        last = f" Its last words: {lines[-1][:200]}." if lines and code != -9 else ""
        return f"The playground's process died (exit code {code}).{why}{last} Ask again: it starts anew."
