"""The tab Runs by mouse, and a run full of payloads on every tab: nothing in it runs."""

import shutil

import pytest
from helpers.payloads import HTML, hostile_run
from helpers.serve import Server
from helpers.synthetic import GrowingRun, finished_run

from patchrl.recordings import folders
from patchrl.runs.folder import RunFolder

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
TABS = ("Story", "Training", "Compare", "Forgetting", "Report", "Runs", "Learn")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An app over these tests' runs alone, for they count what the list shows."""
    running = Server(tmp_path_factory.mktemp("runs"))
    yield running
    running.stop()


def result_of(folder: RunFolder) -> None:
    shutil.copy(folders()["recorded-nano"] / "result.json", folder.result)


def test_runs_are_grouped_renamed_compared_and_deleted_after_a_question(page, place, shots):
    first, second = (finished_run(place.runs_dir, 5, name) for name in ("first", "second"))
    other = RunFolder.find(place.runs_dir, finished_run(place.runs_dir, 5, "other"))
    other.write_json(other.config, other.read_json(other.config) | {"rewriter": {"steps": 7}})
    damaged = RunFolder.find(place.runs_dir, finished_run(place.runs_dir, 5, "damaged"))
    damaged.config.write_text("{")
    for run_id in (first, second):
        result_of(RunFolder.find(place.runs_dir, run_id))
    page.goto(f"{place.url}?tab=runs")
    table = page.locator("#runs")
    row = {run_id: table.locator("tr").filter(has_text=run_id) for run_id in (first, second, other.id, damaged.id)}
    playwright.expect(table.get_by_text("2 runs with the same settings")).to_be_visible()
    playwright.expect(row[damaged.id]).to_contain_text("damaged: Config file config.json")
    row[first].get_by_role("button", name="Rename").click()
    table.get_by_role("textbox").fill("Ana's <b>study</b>")
    page.keyboard.press("Enter")
    playwright.expect(row[first].get_by_role("button", name="Ana's <b>study</b>", exact=True)).to_be_visible()
    for run_id in (first, other.id):
        row[run_id].get_by_role("checkbox").check()
    table.get_by_role("button", name="Compare", exact=True).click()
    comparison = table.locator(".runs-comparison")
    playwright.expect(comparison).to_contain_text("rewriter.steps")
    playwright.expect(comparison).to_contain_text("RL rewrite (PatchRL)")
    shots(page, "runs")
    row[damaged.id].get_by_role("button", name="Delete").click()
    row[damaged.id].get_by_role("button", name="Keep").click()
    row[damaged.id].get_by_role("button", name="Delete").click()
    assert damaged.path.is_dir()
    row[damaged.id].get_by_role("button", name="Delete", exact=True).click()
    playwright.expect(row[damaged.id]).to_have_count(0)
    assert not damaged.path.exists()
    row[first].get_by_role("button", name="Ana's <b>study</b>", exact=True).click()
    page.wait_for_function(f"location.search.includes('run={first}')")
    playwright.expect(page.get_by_role("tab", name="Story")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Runs", exact=True).click()
    row[first].get_by_role("button", name="Delete").click()
    row[first].get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_function(
        f"!location.search.includes('run={first}')"
    )  # the run on the screen is gone: another is shown
    playwright.expect(page.locator("#run input")).not_to_have_value("Ana's <b>study</b>")
    assert not page.problems, page.problems


def test_a_notification_comes_when_a_run_ends(page, place):
    growing = GrowingRun(place.runs_dir)
    page.add_init_script(
        "window.shown = []; window.Notification = class { constructor(title, options) { shown.push(title + ': ' + options.body); } "
        "static requestPermission() { return Promise.resolve('granted'); } };"
    )
    page.goto(f"{place.url}?tab=runs&run={growing.id}")
    page.locator("#runs tr").filter(has_text=growing.id).get_by_role("button", name="Tell me when it ends").click()
    playwright.expect(page.get_by_text("You will be told when it ends.")).to_be_visible()
    growing.recorder.event("message", level="warning", monitor="copied", text="60 % are copies.", seed=0, step=1)
    page.wait_for_function("shown.some((text) => text.includes('⚠ 60 % are copies.'))")
    growing.finish()
    page.wait_for_function("shown.some((text) => text.includes('done after'))")
    page.close()  # its script would stay in it


def test_a_run_full_of_payloads_runs_nothing_on_any_tab(page, place):
    run_id, dialogs = hostile_run(place.runs_dir), []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message) or dialog.dismiss())
    page.goto(f"{place.url}?run={run_id}")
    for tab in TABS:
        page.get_by_role("tab", name=tab, exact=True).click()
        playwright.expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute("aria-selected", "true")
        if tab == "Compare":
            for number in range(6):
                page.locator(f"#samples tr[data-index='{number}']").click()
                page.locator("#samples .rows-detail .card").first.wait_for()
        page.wait_for_timeout(500)  # a script that a text brings in runs after the text is drawn
    assert page.evaluate("window.pwned") is None and dialogs == []
    assert not page.problems, page.problems
    assert page.locator("#run input").input_value().startswith(HTML[4])
