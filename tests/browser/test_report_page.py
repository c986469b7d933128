"""The report of the recorded run, opened from disk: no network, no error, on a phone, in the dark and on paper."""

import pytest

from patchrl import api
from patchrl.reporting.report import build_report

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    run = api.open_run(api.RECORDED_ID)
    rows = {"rl": run.samples("rl", run.config.study.seeds[0])}
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(
        build_report(run.config, run.events()[0], run.result(), rows, run.embedding_map()), encoding="utf-8"
    )
    return path.as_uri()


@pytest.fixture
def opened(open_page):
    return open_page(lambda url: not url.startswith(("file:", "data:", "blob:")))


def go(page, report):
    page.goto(report)
    page.wait_for_function("[...document.querySelectorAll('[data-figure]')].every(n => n.querySelector('.main-svg'))")


def ink(page):
    return page.locator("[data-figure=plane] .xtitle").evaluate("n => getComputedStyle(n).fill")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn_without_network_and_axe_finds_nothing_serious(opened, report, shots, scheme):
    opened.emulate_media(color_scheme=scheme)
    go(opened, report)
    shots(opened, f"report-{scheme}")
    assert opened.locator("[data-figure]").count() >= 10 and opened.problems == []
    violations = axe.Axe().run(opened).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in violations if v["impact"] in ("serious", "critical")] == []


def test_the_report_fits_a_phone(opened, report, shots):
    opened.set_viewport_size({"width": 390, "height": 800})
    go(opened, report)
    shots(opened, "report-phone")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    # Its bars are not squeezed out by names and legend.
    assert opened.locator("[data-figure=tasks] .nsewdrag").first.evaluate("n => n.getBoundingClientRect().height") > 100


def test_a_dark_reader_prints_dark_ink_on_white_and_gets_the_screen_back(opened, report):
    opened.emulate_media(color_scheme="dark")
    go(opened, report)
    light = ink(opened)
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    opened.wait_for_function(
        "getComputedStyle(document.querySelector('[data-figure=plane] .xtitle')).fill === 'rgb(17, 17, 17)'"
    )
    assert opened.locator("details:has(table)").first.get_attribute("open") is not None
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    opened.wait_for_function(
        "ink => getComputedStyle(document.querySelector('[data-figure=plane] .xtitle')).fill === ink", arg=light
    )
    assert opened.locator("details:has(table)").first.get_attribute("open") is None
    assert len(opened.pdf(format="A4")) > 100_000
