"""A public page in a real browser: Start is pressed on the page as it opens, and another visitor does not see the run."""

import re

import pytest
from helpers.serve import Server

from patchrl import api

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def public_server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("runs"), PATCHRL_PUBLIC="1")
    yield running
    running.stop()


def test_a_visitor_presses_start_follows_the_run_cancels_it_and_nobody_else_sees_it(
    page, browser, public_server, shots
):
    page.goto(public_server.url)
    playwright.expect(page.locator("#status")).not_to_be_empty()
    page.locator("#new-study").click()
    playwright.expect(page.locator("#study-seeds input, #study-seeds textarea")).to_be_editable()
    page.locator("#advanced button.label-wrap").first.click()
    page.locator("#advanced-backbone button.label-wrap").click()
    playwright.expect(page.locator("#backbone-model input, #backbone-model textarea")).to_be_disabled()
    shots(page, "public-as-it-opens")
    page.locator("#start").click()
    playwright.expect(page).to_have_url(re.compile("run=nano-one-"))
    playwright.expect(page.locator("#status")).to_contain_text("running")
    shots(page, "public-running")
    (run,) = api.list_runs(public_server.runs_dir)
    other = browser.new_context().new_page()
    other.goto(f"{public_server.url}?run={run.id}")
    playwright.expect(other.locator("#status")).to_contain_text("is not one of yours")
    page.locator("#cancel").click()
    playwright.expect(page.locator("#status")).to_contain_text("cancelled")
    page.reload()
    playwright.expect(page.locator("#status")).to_contain_text("cancelled")
    assert run.status()["state"] == "cancelled" and not page.problems
    other.context.close()
