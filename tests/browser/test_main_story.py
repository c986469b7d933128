"""The main story in a real browser: check, train and watch, stop & save, reload, resume, restart the server, fine-tune,
compare, play, read the front, take home. States are waited for, however slow the machine; nothing sleeps."""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from patchrl import api

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

QUICK = "Quick look: under a minute, too short for the effect"
STEPS = 24  # so many that Stop comes in the middle on a fast machine too
PATIENCE = 600_000  # ms that a stage may take on a machine that has other things to do


@pytest.fixture
def setup(page, server):
    page.goto(server.url)
    playwright.expect(page.locator("#status")).not_to_be_empty()  # the page has spoken with its server
    return page


def tab(page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def says(page, text: str, timeout: int = PATIENCE) -> None:
    playwright.expect(page.locator("#status")).to_contain_text(text, timeout=timeout)


def download(page, kind: str) -> str:
    """Prepare one file on the Report tab and read it."""
    page.locator("#file input").click()
    page.get_by_role("option", name=kind).click()
    page.locator("#prepare").click()
    link = page.locator("#download a").filter(visible=True)
    playwright.expect(link.first).to_have_attribute("href", re.compile(kind.rpartition("(")[2][:4].lower()))
    with page.expect_download() as caught:
        link.first.click()
    return Path(caught.value.path()).read_text(encoding="utf-8")


def test_a_study_is_stopped_resumed_and_read_and_survives_reload_and_restart(setup, server, shots):
    page = setup
    shots(page, "story-0-empty")
    page.locator("#new-study").click()
    page.locator("#preset input").click()
    page.get_by_role("option", name=QUICK).click()
    playwright.expect(page.get_by_label("Seeds")).to_have_value("0")
    page.locator("#check").click()
    playwright.expect(page.locator("#preflight")).to_contain_text("Ready to run")
    shots(page, "story-1-checked")

    page.locator("#rewriter-steps input").fill(str(STEPS))
    page.locator("#advanced button.label-wrap").first.click()
    page.locator("#advanced-rewriter button.label-wrap").click()
    page.locator("#rewriter-group_size input").fill("2")  # and short ones
    page.locator("#train").click()
    playwright.expect(page.locator("#drawer")).not_to_be_visible()
    playwright.expect(page).to_have_url(re.compile("run=nano-quick-.*tab=training|tab=training.*run=nano-quick-"))
    page.locator("#new-study").click()
    page.locator("#train").click()  # a second press must not start a second run
    playwright.expect(page.locator("#drawer")).not_to_be_visible()
    curve = page.locator("[data-chart=reward] .main-svg").first
    curve.wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="The newest group").click()
    playwright.expect(page.locator("#group")).to_contain_text("Seed 0, step")
    page.locator("#stop").click()
    shots(page, "story-2-running")
    says(page, "stopped after")
    runs = list(server.runs_dir.glob("nano-quick-*"))
    assert len(runs) == 1
    run = runs[0]
    steps = [e["step"] for e in events(run) if e["kind"] == "train"]
    assert 0 < len(steps) < STEPS

    assert not page.problems, page.problems
    page.reload()  # in the middle: nothing is lost, and the address says which run it is
    says(page, "stopped after")
    page.locator("#resume").click()
    says(page, "running")
    says(page, "left of the study up to its train stage")
    server.stop()  # the worker does not notice
    server.start()
    page.reload()
    says(page, "done after")
    steps = [e["step"] for e in events(run) if e["kind"] == "train"]
    assert steps == list(range(1, STEPS + 1))  # continued, not begun again
    assert not (run / "result.json").exists()  # only the rewriter was asked for
    page.problems.clear()  # requests that the reloads cut short, and those to a server that was away

    playwright.expect(page.locator("#resume")).to_have_text("Go on to the end")
    page.locator("#resume").click()
    says(page, "running")

    tab(page, "Compare")
    row = page.locator("#samples tr[data-index='1']")
    row.wait_for(timeout=PATIENCE)
    row.click()
    detail = page.locator("#samples-detail")
    playwright.expect(detail).to_contain_text("Expert, as the backbone reads it")
    assert detail.locator(".tok").count() > 20
    assert detail.locator(".bar").count() == 4
    page.locator("#distribution-slider .main-svg").first.wait_for()
    page.locator("[data-chart=map] .main-svg").first.wait_for()
    page.get_by_role("slider", name="Training step").fill("0")
    playwright.expect(page.locator(".slider-caption").filter(visible=True)).to_contain_text("Step 1:")
    page.get_by_role("button", name="▶ Play").click()
    playwright.expect(page.locator(".slider-caption").filter(visible=True)).to_contain_text(f"Step {STEPS}:")
    shots(page, "story-3-compare")

    page.get_by_role("button", name="Playground").click()
    page.locator("#play").click()
    playwright.expect(page.locator("#play-status")).to_contain_text("Done", timeout=PATIENCE)
    writers = page.locator("#play-answers section h4")
    assert writers.all_inner_texts() == ["Backbone, prompted", f"Rewriter of seed 0, {STEPS} steps"]
    assert page.locator("#play-answers section .card .verdict").count() == 8
    shots(page, "story-4-play")

    tab(page, "Forgetting")
    page.locator("[data-chart=plane] .main-svg").first.wait_for(timeout=PATIENCE)
    says(page, "done after")
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    playwright.expect(page.locator("#results")).to_contain_text(f"{100 * result['arms']['rl']['target']['mean']:.1f}")
    playwright.expect(page.locator("#headline")).to_contain_text(f"{100 * result['base']['general']:.1f} %")
    for control in ("#stop", "#cancel", "#resume"):
        playwright.expect(page.locator(control)).not_to_be_visible()
    shots(page, "story-5-front")

    tab(page, "Report")
    report = download(page, "Report (HTML, opens offline)")
    assert "PatchRL report" in report
    assert "patchrlDistributionSlider" in report
    rows = [json.loads(line) for line in download(page, "Rewritten dataset (JSONL)").splitlines()]
    assert [turn["role"] for turn in rows[0]["messages"]] == ["user", "assistant"] and len(rows) == 64
    assert not page.problems, page.problems


def test_the_report_draws_every_figure_offline(page, server, shots):
    run = next(server.runs_dir.glob("nano-quick-*"), None)
    if run is None or not (run / "report.html").exists():
        pytest.skip("the story before this one made no report")
    page.goto((run / "report.html").as_uri())
    slots = page.locator("[data-figure]").count()
    playwright.expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
    assert page.locator("[data-figure].js-plotly-plot").count() == slots
    assert page.locator("[data-figure=map]").count() == 1
    page.locator("#distribution-slider .main-svg").first.wait_for()
    assert not [p for p in page.problems if not p.startswith("outside: file:")], page.problems
    shots(page, "story-6-report")


def test_settings_that_cannot_work_are_refused_at_their_fields_and_kept_over_a_reload(setup):
    page = setup
    page.locator("#new-study").click()
    page.locator("#data-dataset textarea, #data-dataset input").fill("no/such/file.jsonl")
    page.locator("#start").click()
    playwright.expect(page.locator("#data-dataset .field-problem")).to_contain_text("No such file")
    playwright.expect(page.locator("#reply")).to_contain_text("1 setting cannot work: Dataset")
    assert "Traceback" not in page.content()
    page.locator("#advanced button.label-wrap").first.click()
    page.locator("#advanced-gate button.label-wrap").click()
    page.locator("#gate-timeout input").fill("-1")
    page.locator("#advanced button.label-wrap").first.click()
    page.locator("#start").click()
    playwright.expect(page.locator("#gate-timeout input")).to_be_focused()  # the fold has opened
    playwright.expect(page.locator("#gate-timeout .field-problem")).to_contain_text("It must be")
    page.reload()
    page.locator("#new-study").click()
    playwright.expect(page.locator("#data-dataset textarea, #data-dataset input")).to_have_value("no/such/file.jsonl")
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#drawer")).not_to_be_visible()
    playwright.expect(page.locator("#new-study")).to_be_focused()


def test_back_moves_between_tabs_and_an_old_link_to_a_row_opens_compare(setup, server):
    page = setup
    for control in ("#stop", "#cancel", "#resume"):
        playwright.expect(page.locator(control)).not_to_be_visible()
    shown = page.locator("#tabs [role=tab][aria-selected=true][data-tab-id]").first
    playwright.expect(shown).to_have_text("Story")
    for name in ("Training", "Compare"):
        tab(page, name)
        playwright.expect(page).to_have_url(re.compile(f"tab={name.lower()}"))
    page.go_back()
    playwright.expect(shown).to_have_text("Training")
    page.go_back()
    playwright.expect(shown).to_have_text("Story")
    page.go_forward()
    playwright.expect(shown).to_have_text("Training")
    page.goto(f"{server.url}?run={api.RECORDED_ID}&row=row00003")
    playwright.expect(shown).to_have_text("Compare")


def test_opening_more_settings_changes_none(setup):
    """A number field that may be empty showed 0 once it was seen, and the study was refused."""
    page = setup
    page.locator("#new-study").click()
    page.locator("#advanced button.label-wrap").first.click()
    for fold in page.locator("#advanced [id^=advanced-] button.label-wrap").all():
        fold.click()
    page.locator("#check").click()
    playwright.expect(page.locator("#preflight")).to_contain_text("Ready to run", timeout=PATIENCE)


def test_an_address_with_a_path_opens_no_folder(page, server):
    page.goto(server.url + "?run=../../etc")
    playwright.expect(page.locator("#status")).to_contain_text("is not a run id")


def test_a_server_that_is_away_is_said_and_found_again(setup, server):
    page, moving = setup, "document.getAnimations().some(({playState}) => playState === 'running')"
    os.kill(server.process.pid, signal.SIGSTOP)  # it takes connections and answers nothing
    try:
        is_away(page, seconds=10)  # a request waits for 3 of them
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    playwright.expect(page.locator("#pulse")).not_to_be_visible()
    page.evaluate("patchrl.moving()")
    assert page.evaluate(moving)
    server.stop()
    is_away(page, seconds=5)
    page.wait_for_function(f"document.body.classList.contains('away') && !{moving}")
    server.start()
    playwright.expect(page.locator("#pulse")).not_to_be_visible()


def is_away(page, seconds):
    playwright.expect(page.locator("#pulse")).to_be_visible(timeout=1000 * seconds)
    playwright.expect(page.locator("#pulse")).to_contain_text("does not answer")


def test_the_page_is_served_without_torch(page, server):
    page.goto(server.url)
    page.locator("#new-study").wait_for()
    maps = Path(f"/proc/{server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("no /proc here")
    assert "libtorch" not in maps.read_text()


def events(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
