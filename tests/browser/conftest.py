"""The app, a real Chromium, and pages that report what went wrong in them."""

import os
from pathlib import Path

import pytest
from helpers.serve import Server, browser_path

LONGEST = "test_main_story.py"
VIEWPORT = {"width": 1280, "height": 900}


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")
    items.sort(key=lambda item: item.path.name != LONGEST)  # first, so that files two at a time end together


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("runs"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = browser_path()
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
        page = watched(browser.new_page(viewport=VIEWPORT), outside)
        opened.append(page)
        return page

    yield new_page
    for page in opened:
        page.close()


@pytest.fixture(scope="session")
def tabs(browser):
    """The one page that most tests share; another is put here when a test has closed it."""
    return []


@pytest.fixture
def page(tabs, browser, server):
    """A page as a new visitor has it, with everything that leaves this machine among its problems.

    It is one tab for all tests, emptied after each: the second page of a tab takes half the processor time of its first.
    """
    if not tabs or tabs[-1].is_closed():
        tabs.append(watched(browser.new_page(viewport=VIEWPORT), outside))
        tabs[-1].set_default_timeout(120_000)
    page = tabs[-1]
    page.problems = []
    yield page
    if not page.is_closed():
        page.unroute_all(behavior="ignoreErrors")
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        page.context.clear_cookies()
        page.goto("about:blank")
        page.set_viewport_size(VIEWPORT)


def watched(page, outside):
    """The page; its `problems` collect errors and the requests that `outside` names."""
    page.problems = []
    page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: page.problems.append(str(e)))
    page.on("request", lambda r: page.problems.append(f"outside: {r.url}") if outside(r.url) else None)
    return page


@pytest.fixture(scope="session")
def shots():
    """Takes a picture of a page where $PATCHRL_SCREENSHOTS names a folder for it."""
    folder = os.environ.get("PATCHRL_SCREENSHOTS")
    if not folder:
        return lambda page, name: None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "data:", "blob:"))
