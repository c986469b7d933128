"""The app, a real Chromium, and pages that report what went wrong in them."""

import os
import shutil
from pathlib import Path

import pytest
from helpers.serve import Server

# The first, a Chromium without windows, takes a quarter less of the processor for a page.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("runs"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    playwright.expect.set_options(timeout=120_000)  # patience costs nothing where all is well
    with playwright.sync_playwright() as engine:
        if path is None and not Path(engine.chromium.executable_path).exists():
            pytest.skip("no Chromium here")
        chromium = engine.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Opens pages whose `problems` collect errors and the requests that `outside` names; closes them after."""
    opened = []

    def new_page(outside):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.append(page)
        page.problems = []
        page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: page.problems.append(str(e)))
        page.on("request", lambda r: page.problems.append(f"outside: {r.url}") if outside(r.url) else None)
        return page

    yield new_page
    for page in opened:
        page.close()


@pytest.fixture
def page(open_page, server):
    """A page of its own visitor, with everything that leaves this machine among its problems."""
    new_page = open_page(outside)
    new_page.set_default_timeout(120_000)
    return new_page


@pytest.fixture(scope="session")
def shots(tmp_path_factory):
    """Takes a picture of a page; kept in $PATCHRL_SCREENSHOTS where that is set."""
    folder = Path(os.environ.get("PATCHRL_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=folder / f"{name}.png", full_page=True)


def outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "data:", "blob:"))
