"""axe-core finds nothing serious on any tab, in light and dark."""

import pytest
from synthetic import finished_run

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_violation_on_any_tab(page, server, shots, theme):
    run_id = finished_run(server.runs_dir, 40, f"axe-{theme}")
    page.goto(f"{server.url}?run={run_id}&__theme={theme}")
    page.locator("#start").wait_for()
    found = []
    for name in page.get_by_role("tab").all_inner_texts():
        page.get_by_role("tab", name=name).click()
        page.get_by_role("tabpanel").first.wait_for()
        if "Compare" in name:
            page.locator("#samples tr[data-index='2']").click()
            page.locator("#detail .tok").first.wait_for()
        shots(page, f"{theme}-{name.split()[0]}")
        for violation in axe.Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found.append((name, violation["id"], violation["nodes"][0]["html"][:200]))
    assert not found, found


def test_the_page_fits_a_phone(page, server, shots):
    run_id = finished_run(server.runs_dir, 40, "phone")
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{server.url}?run={run_id}&row=row00003")
    page.locator("#detail .tok").first.wait_for()
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
    shots(page, "phone")
