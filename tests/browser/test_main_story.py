"""The main story in a real browser: start, watch, compare, read the result, reload, restart the server."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
ROOT = Path(__file__).parents[2]
QUICK = "Quick look: under a minute, too short for the effect"


def browser_path() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Server:
    """The app as a person starts it, on a free port, over its own runs folder."""

    def __init__(self, runs_dir: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.env = os.environ | {"PATCHRL_RUNS_DIR": str(runs_dir), "GRADIO_SERVER_PORT": str(self.port)}
        self.env["GRADIO_ANALYTICS_ENABLED"] = "False"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.stdout.read().decode()
            try:
                urllib.request.urlopen(self.url, timeout=2).read()
                return
            except OSError:
                time.sleep(0.3)
        raise AssertionError("the app did not answer within 90 s")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("runs"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        path = browser_path()
        if path is None and not Path(engine.chromium.executable_path).exists():
            pytest.skip("no Chromium here")
        made = engine.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser, server):
    made = browser.new_page(viewport={"width": 1280, "height": 900})
    made.problems = []
    made.on("console", lambda m: made.problems.append(m.text) if m.type == "error" else None)
    made.on("pageerror", lambda e: made.problems.append(str(e)))
    made.on("request", lambda r: made.problems.append(f"outside: {r.url}") if outside(r.url) else None)
    made.set_default_timeout(30_000)
    made.goto(server.url)
    made.locator("#start").wait_for()
    yield made
    made.close()


def outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "data:", "blob:"))


def tab(page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def test_a_study_runs_from_start_to_report_and_survives_reload_and_restart(page, server):
    page.get_by_label("Preset").click()
    page.get_by_role("option", name=QUICK).click()
    playwright.expect(page.get_by_label("Seeds")).to_have_value("0")

    page.locator("#check").click()
    playwright.expect(page.locator("#preflight")).to_contain_text("Ready to run")

    page.locator("#start").click()
    playwright.expect(page.locator("#run input")).to_have_value(playwright_pattern("nano-quick-"), timeout=30_000)
    assert "?run=nano-quick-" in page.url
    page.locator("#start").click()  # a second press must not start a second run

    tab(page, "Train rewriter")
    curve = page.locator("[data-chart=reward] .main-svg").first
    curve.wait_for(timeout=90_000)
    playwright.expect(page.locator("#group")).to_contain_text("Newest group")

    playwright.expect(page.locator("#status")).to_contain_text("done after", timeout=150_000)
    runs = [p for p in Path(server.env["PATCHRL_RUNS_DIR"]).iterdir() if (p / "config.json").exists()]
    assert len(runs) == 1
    result = json.loads((runs[0] / "result.json").read_text(encoding="utf-8"))

    tab(page, "Compare")
    page.locator("#samples [data-testid=cell-0-1]").click()
    detail = page.locator("#detail")
    playwright.expect(detail).to_contain_text("Expert, as the backbone reads it")
    assert detail.locator(".tok").count() > 20
    assert detail.locator(".bar").count() == 4

    tab(page, "Fine-tune")
    playwright.expect(page.locator("#results")).to_contain_text(f"{100 * result['arms']['rl']['target']['mean']:.1f}")
    page.locator("[data-chart=plane] .main-svg").first.wait_for()

    tab(page, "Report")
    page.locator("#prepare").click()
    playwright.expect(page.locator("#download")).to_contain_text(".html")

    server.stop()
    server.start()
    page.reload()
    playwright.expect(page.locator("#run input")).to_have_value(runs[0].name)
    playwright.expect(page.locator("#status")).to_contain_text("done after")
    expected = [p for p in page.problems if "ERR_" not in p and "Failed to fetch" not in p]  # the server was away
    assert not expected, expected


def playwright_pattern(start: str):
    import re

    return re.compile(re.escape(start))


def test_a_setting_that_cannot_work_is_refused_in_one_sentence(page):
    page.get_by_label("Dataset").fill("no/such/file.jsonl")
    page.locator("#start").click()
    playwright.expect(page.locator("#preflight")).to_contain_text("no/such/file.jsonl")
    assert "Traceback" not in page.content()


def test_an_address_with_a_path_opens_no_folder(page, server):
    page.goto(server.url + "?run=../../etc")
    playwright.expect(page.locator("#status")).to_contain_text("is no run id")


def test_the_page_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
