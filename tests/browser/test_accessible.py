"""axe-core finds nothing serious on any tab, in light and dark."""

import pytest
from helpers.synthetic import finished_run

from patchrl import api

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_violation_on_any_tab(page, server, shots, theme):
    run_id = finished_run(server.runs_dir, 40, f"axe-{theme}")
    page.goto(f"{server.url}?run={run_id}&__theme={theme}")
    page.locator("#new-study").wait_for()
    violations = []
    for name in [*page.get_by_role("tab").all_inner_texts(), "New study"]:
        if name == "New study":
            page.locator("#new-study").click()
            page.locator("#advanced button.label-wrap").first.click()
        else:
            page.get_by_role("tab", name=name).click()
            page.get_by_role("tabpanel").first.wait_for()
        if "Compare" in name:
            page.locator("#samples tr[data-index='2']").click()
            page.locator("#samples-detail .tok").first.wait_for()
        shots(page, f"{theme}-{name.split()[0]}")
        for violation in axe.Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                violations.append((name, violation["id"], violation["nodes"][0]["html"][:200]))
    assert not violations, violations


def test_every_tab_fits_a_phone_and_is_in_sight(page, server, shots):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{server.url}?run={api.RECORDED_ID}")
    page.locator("#status").filter(has_text="A recording of the lab").wait_for()
    bar = page.locator(".tab-container:not(.visually-hidden)").first
    names = bar.get_by_role("tab").all_inner_texts()
    assert len(names) == 7
    for name in names:
        bar.get_by_role("tab", name=name).click()
        page.wait_for_function("document.documentElement.scrollWidth <= 390")
        shots(page, f"phone-{name.split()[0]}")
    page.locator("#new-study").click()
    assert page.locator("#drawer").evaluate("node => node.offsetWidth") == 390
    shots(page, "phone-new-study")
    chips = page.locator("#study-arms .token").evaluate_all("nodes => nodes.map((n) => n.offsetHeight)")
    assert len(chips) == 4 and max(chips) < 45, chips  # each on one line
    page.keyboard.press("Escape")
    bar.get_by_role("tab", name="Forgetting").click()
    tasks = page.locator("[data-chart=tasks]").filter(visible=True)
    tasks.locator(".main-svg").first.wait_for()
    assert tasks.evaluate("node => node.data.every((trace) => trace.orientation === 'h')")


def test_the_table_of_results_fits_a_laptop(page, server):
    page.goto(f"{server.url}?run={api.RECORDED_ID}")
    page.get_by_role("tab", name="Forgetting").click()
    table = page.locator("#results .scroll").first
    table.wait_for()
    assert table.evaluate("node => node.scrollWidth <= node.clientWidth")


def test_the_page_fits_a_phone(page, server, shots):
    run_id = finished_run(server.runs_dir, 40, "phone")
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{server.url}?run={run_id}&row=row00003")
    page.locator("#samples-detail .tok").first.wait_for()
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
    shots(page, "phone")
