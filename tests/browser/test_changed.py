"""The questions that fine-tuning changed: opened by an address, compared, and moved through by keyboard."""

import pytest
from helpers.predictions import add_answers
from helpers.synthetic import finished_run

from patchrl.runs.folder import RunFolder

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

QUESTIONS = 5_000  # of each of two arms


def test_an_address_opens_a_changed_question_and_keys_move_on(page, server, shots):
    run_id = finished_run(server.runs_dir, 1, "forgetful")
    add_answers(RunFolder.find(server.runs_dir, run_id), QUESTIONS, "Vera has")
    page.goto(f"{server.url}?run={run_id}&tab=forgetting&arm=expert&question=general/add/add-4321")
    detail, table = page.locator("#changed-detail"), page.locator("#changed")
    playwright.expect(detail).to_contain_text("Vera has 4321 seeds?")
    playwright.expect(detail.locator(".card")).to_have_count(3)  # the backbone, plain SFT, and RL beside them
    playwright.expect(detail.locator("mark")).to_have_text(["right", "expert", "rl"])
    assert detail.locator("b").filter(has_text="here").count() == 0  # markup in an answer stays text
    opened = table.locator("tr[aria-selected=true]")
    playwright.expect(opened).to_be_in_viewport()
    playwright.expect(table.locator(".rows-count")).to_have_text("10,000 rows")
    playwright.expect(table.locator(".rows-head")).to_contain_text(
        "Expert (plain SFT): 5,000 of 5,000 right answers went wrong"
    )
    shots(page, "forgetting-question")
    opened.focus()
    page.keyboard.press("ArrowDown")
    playwright.expect(detail).to_contain_text("Vera has 4322 seeds?")
    page.wait_for_function("new URLSearchParams(location.search).get('question') === 'general/add/add-4322'")
    table.locator("select[name=arm]").select_option("rl")
    playwright.expect(table.locator(".rows-count")).to_have_text("5,000 of 10,000 rows")
    assert not page.problems, page.problems
