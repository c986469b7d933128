"""How quick the app is, as a person with a browser sees it: `python -m tests.benchmarks.app`.

Prints: the server's start, the first usable tab, the size of a poll that finds nothing new, a table of
10,000 rows opened, sorted, filtered and searched, and a run of 100,000 steps opened with the memory it takes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.serve import Server, browser_path
from helpers.synthetic import GrowingRun, finished_run, long_events
from playwright.sync_api import Page, sync_playwright

ROWS, STEPS, REPEATS = 10_000, 100_000, 3


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def say(what: str, value: float, unit: str, budget: str) -> None:
    print(f"{what:<58} {value:8.2f} {unit:<3} (budget {budget})", flush=True)


def measure_table(page: Page, url: str) -> None:
    """Open, sort, filter, search a table of ROWS rows, and open one of them."""
    samples = page.locator("#samples")

    def row(text: str) -> Callable[[], object]:
        return samples.locator("tr[data-index='0']").filter(has_text=text).wait_for

    def count(text: str) -> Callable[[], object]:
        return samples.locator(".rows-count").filter(has_text=text).wait_for

    page.goto(url)
    page.locator("#status").filter(has_text="done").wait_for()

    def step(what: str, act: Callable[[], object], seen: Callable[[], object]) -> None:
        say(f"{ROWS:,} rows: {what}", timed(lambda: (act(), seen())), "s", "1 s")

    step("open the tab", page.get_by_role("tab", name="Compare").click, row("Vera has 0 seeds"))
    step("sort by gain", samples.get_by_role("button", name="Gain").click, row("2.000"))
    step("filter", lambda: samples.locator("select").select_option("unscorable"), count("1,428 of"))
    samples.locator("select").select_option("all")
    step("search", lambda: samples.get_by_role("searchbox").fill("has 777 seeds"), count("1 of 10,000"))
    step("open a row", samples.locator("tr[data-index='0']").click, page.locator("#samples-detail .tok").first.wait_for)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="patchrl-benchmark-"))
    table = finished_run(folder, ROWS)
    long = GrowingRun(folder, "long", seeds=(0,))
    long.finish()
    long_events(long.folder.events, STEPS)
    print(f"load average {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores; the app alone should have them")
    servers: list[Server] = []
    try:
        starts = []
        for _ in range(REPEATS):
            starts.append(timed(lambda: servers.append(Server(folder))))
            if len(servers) < REPEATS:
                servers[-1].stop()
        server = servers[-1]
        process = psutil.Process(server.process.pid)
        say("server up, warm caches", min(starts), "s", "6 s")
        say("of which it computed", sum(process.cpu_times()[:2]), "s", "")
        with sync_playwright() as engine:
            browser = engine.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
            read, usable = [], []
            for _ in range(REPEATS):
                page = browser.new_page()
                opened = time.perf_counter()
                page.goto(server.url, wait_until="commit")
                for ready, seconds in ((".story-sentence", read), ("#new-study", usable)):
                    page.locator(ready).first.wait_for()
                    seconds.append(time.perf_counter() - opened)
                page.close()
            say("Story can be read", min(read), "s", "2 s")
            say("first tab usable", min(usable), "s", "2 s")
            page = browser.new_page()
            measure_table(page, f"{server.url}?run={table}")
            with page.expect_response(lambda response: "component_server" in response.url, timeout=60_000) as poll:
                page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            say("a poll that finds nothing new", len(poll.value.body()) / 1000, "kB", "2 kB")
            before = process.memory_info().rss

            def shown() -> None:
                page.goto(f"{server.url}?run={long.id}")
                page.get_by_role("tab", name="Training").click()
                page.locator("[data-chart=reward] .main-svg").first.wait_for()

            size = long.folder.events.stat().st_size / 1e6
            say(f"{STEPS:,} steps ({size:.0f} MB): page and first curve", timed(shown), "s", "2 s + 2 s")
            say("server's memory grew by", (process.memory_info().rss - before) / 1e6, "MB", "bounded")
            browser.close()
    finally:
        for started in servers:
            if started.process.poll() is None:
                started.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
