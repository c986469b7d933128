"""The Report tab's push in a real browser, to a Hub on loopback: on a desk and a phone, light and dark."""

import os
from pathlib import Path

import pytest
from helpers.loopback import TOKEN, LoopbackHub
from helpers.serve import Server
from helpers.synthetic import finished_run

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
SECRETS = ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HOME")


@pytest.fixture(scope="module")
def hub():
    loopback = LoopbackHub()
    yield loopback
    loopback.close()


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory, hub):
    """The app of an owner who is signed in to that Hub, over one finished run."""
    runs_dir = tmp_path_factory.mktemp("runs")
    finished_run(runs_dir, 40)
    values = (TOKEN, hub.url, "0", str(tmp_path_factory.mktemp("home")))
    before = {name: os.environ.get(name) for name in SECRETS}
    os.environ.update(dict(zip(SECRETS, values, strict=True)))
    try:
        running = Server(runs_dir)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    yield running
    running.stop()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_a_dataset_is_pushed_from_the_report_tab(page, signed_in, hub, shots, width, theme):
    name = f"alice/rows-{width}-{theme}"
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{signed_in.url}?__theme={theme}")
    expect(page.locator("#run input")).not_to_have_value("")
    page.get_by_role("tab", name="Report", exact=True).click()
    form = page.locator("#push-repo input, #push-repo textarea")
    form.fill("no-owner")
    page.get_by_role("button", name="Push", exact=True).click()
    page.locator("#pushed [role=alert]").wait_for()
    assert "write OWNER/NAME" in page.locator("#pushed").inner_text() and not hub.repos.get(("dataset", name))
    form.fill(name)
    page.get_by_role("button", name="Push", exact=True).click()
    page.locator("#pushed a").wait_for()
    assert page.locator("#pushed a").get_attribute("href") == f"{hub.url}/datasets/{name}"
    assert hub.repos["dataset", name]["private"] and len(hub.repos["dataset", name]["commits"]) == 1
    shots(page, f"push-{width}-{theme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.problems == []
    assert all(
        TOKEN.encode() not in path.read_bytes() for path in Path(signed_in.runs_dir).rglob("*") if path.is_file()
    )
