"""Fifty pages on one server: `python -m tests.benchmarks.load` while the lab trains, `… load watch` for the server's memory.

Each client asks as a page does (`POLL_SCRIPT` in `patchrl.ui.session`): whether anything changed, then for what changed, and
every few seconds whether the server is there. With a training, the clients ask and pause in turns, so that the steps with and
without them are measured side by side; in a turn they come back one after the other within RETURN_SECONDS. The watch trains nothing: a made-up run takes a step now and then, and pages close in
the middle of an answer while others open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import secrets
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.serve import Server
from helpers.synthetic import GrowingRun

import patchrl
from patchrl.config import resolve
from patchrl.runs.events import read_new_events

RETURN_SECONDS = 8.0
ALIVE_SECONDS = 1.5  # between two questions whether the server is there
CHANGES = 5  # a minute, in the watch: so many pages close, open, and leave before their answer
STUDY = {
    "study": {"name": "load", "seeds": [0], "arms": ["expert", "rl"]},
    "data": {"train_size": 64, "eval_size": 40},
    "rewriter": {"steps": 5000, "prompts_per_step": 2, "group_size": 4, "warm_start_steps": 0},
}


@dataclass
class Measured:
    """Seconds of each kind of answer, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, kind: str, seconds: float) -> None:
        self.seconds.setdefault(kind, []).append(seconds)

    def say(self) -> None:
        for kind, seconds in self.seconds.items():
            ranked = sorted(seconds)
            p95 = ranked[int(0.95 * (len(ranked) - 1))]
            print(
                f"  {kind:<22} {len(ranked):6} answers, median {statistics.median(ranked):.3f} s, p95 {p95:.3f} s, "
                f"max {ranked[-1]:.3f} s"
            )
        print(f"  errors: {len(self.errors)} {sorted(set(self.errors))[:3]}", flush=True)


class PageClient:
    """A page that is open on a run, with a session of its own."""

    def __init__(
        self, http: httpx.AsyncClient, page: dict[str, Any], run: str, measured: Measured, alive: float = ALIVE_SECONDS
    ) -> None:
        self.http, self.run, self.measured, self.alive = http, run, measured, alive
        parts = {part["id"]: part["props"] for part in page["components"]}
        self.heart = next(number for number, props in parts.items() if props.get("elem_id") == "pulse")
        self.update = next(f for f in page["dependencies"] if [self.heart, "pulse"] in f["targets"])
        self.inputs = [
            run if parts[i].get("elem_id") == "run" else parts[i].get("value") for i in self.update["inputs"]
        ]
        self.session, self.version = secrets.token_hex(8), ""

    async def live(self, shown: asyncio.Event) -> None:
        """Ask for ever, while the page is `shown`; a hidden page asks nothing."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hold())
            group.create_task(self._repeat(self._ask_alive, shown))
            group.create_task(self._repeat(self._ask, shown))

    async def _repeat(self, ask: Callable[[], Awaitable[float]], shown: asyncio.Event) -> None:
        while True:
            if not shown.is_set():
                await shown.wait()
                await asyncio.sleep(random.uniform(0, RETURN_SECONDS))
            try:
                wait = await ask()
            except (httpx.HTTPError, ValueError, KeyError) as error:
                self.measured.errors.append(f"{type(error).__name__} {error}"[:100])
                wait = 3.0
            await asyncio.sleep(wait)

    async def _hold(self) -> None:
        """The connection by which the server knows that the page is open."""
        with contextlib.suppress(httpx.HTTPError):
            async with self.http.stream("GET", f"/gradio_api/heartbeat/{self.session}", timeout=None) as stream:
                async for _ in stream.aiter_lines():
                    pass

    async def _ask_alive(self) -> float:
        started = time.perf_counter()
        (await self.http.get("/robots.txt")).raise_for_status()
        self.measured.add("is the server there", time.perf_counter() - started)
        return self.alive

    async def _ask(self) -> float:
        body = {
            "session_hash": self.session,
            "component_id": self.heart,
            "fn_name": "changed",
            "data": {"run": self.run},
        }
        started = time.perf_counter()
        answer = await self.http.post("/gradio_api/component_server", json=body)
        answer.raise_for_status()
        now = answer.json()
        self.measured.add("poll", time.perf_counter() - started)
        if now["version"] != self.version:
            opening = not self.version
            started = time.perf_counter()
            self.version = (await self.fetch())["version"]
            self.measured.add("page opened" if opening else "update after a poll", time.perf_counter() - started)
        return now["wait"]

    async def fetch(self, leave: bool = False) -> dict[str, Any]:
        """All that changed; the pulse's new value. A page that leaves closes its connection before the answer."""
        body = {"fn_index": self.update["id"], "data": self.inputs, "session_hash": self.session, "event_data": None}
        joined = await self.http.post("/gradio_api/queue/join", json=body | {"trigger_id": self.heart})
        joined.raise_for_status()
        where = {"session_hash": self.session}
        async with self.http.stream("GET", "/gradio_api/queue/data", params=where) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if leave and message.get("msg") == "process_starts":
                    return {}
                if message.get("msg") == "process_completed":
                    place = self.update["outputs"].index(self.heart)
                    return message["output"]["data"][place]
        raise ValueError("the stream ended without an answer")


class Steps:
    """Seconds of each training step, from the run's events."""

    def __init__(self, run: patchrl.Run) -> None:
        self.path, self.offset, self.last = run.folder.events, 0, 0.0

    def new(self) -> list[float]:
        """Seconds between the steps that were finished since the last look."""
        events, self.offset = read_new_events(self.path, self.offset)
        times = [self.last, *(event["t"] for event in events if event["kind"] == "train")]
        self.last = times[-1]
        return [after - before for before, after in itertools.pairwise(times) if before]


async def train(server: Server, home: Path, clients: int, turns: int, turn_seconds: float) -> None:
    """Steps with and without clients, in turns."""
    run = patchrl.start(resolve(STUDY), home, upto="train")
    try:
        steps = Steps(run)
        while not steps.new():
            await asyncio.sleep(1)
        process, own, measured, shown = (
            psutil.Process(server.process.pid),
            psutil.Process(),
            Measured(),
            asyncio.Event(),
        )
        async with opened(server, clients) as (http, page):
            shown.set()
            pages = [PageClient(http, page, run.id, measured) for _ in range(clients)]
            asking = [asyncio.create_task(client.live(shown)) for client in pages]
            while not all(client.version for client in pages):
                await asyncio.sleep(0.5)
            print(f"{clients} pages opened at once:")
            measured.say()
            measured.seconds.clear()
            kept: dict[bool, list[float]] = {False: [], True: []}
            spent = 0.0
            for turn in range(2 * turns):
                asks = turn % 2 == 1
                (shown.set if asks else shown.clear)()
                await asyncio.sleep(RETURN_SECONDS)  # what was asked before is answered, or all are back
                steps.new()
                before = [sum(p.cpu_times()[:2]) for p in (process, own)]
                await asyncio.sleep(turn_seconds)
                kept[asks] += (seconds := steps.new())
                used = [sum(p.cpu_times()[:2]) - b for p, b in zip((process, own), before, strict=True)]
                spent += used[0] if asks else 0.0
                print(
                    f"  {'asked' if asks else 'quiet'}: {len(seconds)} steps, mean {statistics.fmean(seconds or [0]):.3f} s; "
                    f"of a core the server took {used[0] / turn_seconds:.2f}, the clients {used[1] / turn_seconds:.2f}; "
                    f"load average {psutil.getloadavg()[0]:.1f}; "
                    f"server {process.memory_info().rss / 1e6:.0f} MB",
                    flush=True,
                )
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        measured.say()
        print(
            f"  server: {1000 * spent / len(measured.seconds['poll']):.1f} ms of a core for each poll and what followed it"
        )
        for what, average in (("median", statistics.median), ("mean", statistics.mean)):
            quiet, asked = average(kept[False]), average(kept[True])
            print(
                f"  step, {what}: {quiet:.3f} s without, {asked:.3f} s with {clients} pages: {asked / quiet - 1:+.1%}"
            )
    finally:
        run.cancel()


async def watch(server: Server, home: Path, clients: int, minutes: float) -> None:
    """The server's memory, once a minute."""
    run, process, measured, shown = GrowingRun(home), psutil.Process(server.process.pid), Measured(), asyncio.Event()
    run.grow()
    shown.set()
    async with opened(server, clients) as (http, page):

        def open_page() -> asyncio.Task[None]:
            return asyncio.create_task(PageClient(http, page, run.id, measured, 10 * ALIVE_SECONDS).live(shown))

        asking = [open_page() for _ in range(clients)]
        for minute in range(int(minutes) + 1):
            if minute:
                await asyncio.sleep(60)
            print(
                f"  minute {minute:2}: {process.memory_info().rss / 1e6:.0f} MB, load average {psutil.getloadavg()[0]:.1f}",
                flush=True,
            )
            run.grow()
            for _ in range(CHANGES):
                asking.pop(0).cancel()
                asking.append(open_page())
                await PageClient(http, page, run.id, measured).fetch(leave=True)
        for task in asking:
            task.cancel()
    measured.say()


@contextlib.asynccontextmanager
async def opened(server: Server, clients: int) -> Any:
    """Connections without a limit, and the page's own description of itself."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=4 * clients, keepalive_expiry=3)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as http:
        yield http, (await http.get("/config")).json()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["train", "watch"], default="train")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0, help="of a turn")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the watch")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends too
    home = Path(tempfile.mkdtemp(prefix="patchrl-load-"))
    print(f"load average {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    server = Server(home)
    try:
        if options.what == "train":
            asyncio.run(train(server, home, options.clients, options.turns, options.seconds))
        else:
            asyncio.run(watch(server, home, options.clients, options.minutes))
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
