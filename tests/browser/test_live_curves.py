"""Live curves keep what the reader did to them; a poll that finds nothing new costs next to nothing."""

import pytest
from helpers.synthetic import GrowingRun

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHART = "document.querySelector('[data-chart=reward]')"
NEWEST = f"{CHART} && {CHART}.data && Math.max(...{CHART}.data.flatMap((t) => t.x)) === %d"
UPDATES = 22


@pytest.fixture
def growing(server):
    """Makes runs that grow; none goes on after its test, for a later run would wait for it."""
    runs = []

    def new_run(*args, **kwargs):
        runs.append(GrowingRun(server.runs_dir, *args, **kwargs))
        return runs[-1]

    yield new_run
    for run in runs:
        run.finish()


def open_curves(page, server, run):
    page.goto(f"{server.url}?run={run.id}&tab=training")
    page.locator("[data-chart=reward] .main-svg").first.wait_for()
    page.wait_for_function(NEWEST % run.step)


def test_curves_keep_zoom_hover_and_scroll_over_updates(page, server, growing, shots):
    run = growing()
    run.grow(30)
    open_curves(page, server, run)
    page.evaluate(f"{CHART}.mark = 'the first node'; {CHART}.scrollIntoView({{block: 'center'}})")
    plot = page.locator("[data-chart=reward] .nsewdrag").first.bounding_box()
    across = [plot["x"] + share * plot["width"] for share in (0.3, 0.7)]
    middle = plot["y"] + plot["height"] / 2
    page.mouse.move(across[0], middle)
    page.mouse.down()
    page.mouse.move(across[1], middle + 2, steps=5)
    page.mouse.up()
    page.wait_for_function(f"{CHART}._fullLayout.xaxis.range[1] < 27")
    zoom = page.evaluate(f"{CHART}._fullLayout.xaxis.range")
    page.mouse.move(sum(across) / 2, middle)
    page.locator("[data-chart=reward] .hovertext").first.wait_for()
    scroll = page.evaluate("window.scrollY")
    assert scroll > 0

    for _ in range(UPDATES):
        run.grow()
        page.wait_for_function(NEWEST % run.step)

    assert page.evaluate(f"{CHART}.mark") == "the first node"
    assert page.evaluate(f"{CHART}._fullLayout.xaxis.range") == zoom
    playwright.expect(page.locator("[data-chart=reward] .hovertext").first).to_be_visible()
    assert page.evaluate("window.scrollY") == scroll
    assert not page.problems, page.problems
    shots(page, "curves-growing")


def test_an_alarm_stands_over_the_reward_and_a_presentation_hides_what_sets_something(page, server, growing, shots):
    run = growing("alarm", seeds=(0,))
    run.grow(3)
    text = "Seed 0, step 3: 75% of rewrites dropped every equation the expert wrote: reasoning is lost."
    rewrite = {"text": "First 32.", "passed": True, "reason": "", "nll": 4.0, "reward": 1.15}
    alarm = {"monitor": "stepless", "text": text, "seed": 0, "step": 3, "candidates": [rewrite]}
    run.recorder.event("message", level="warning", **alarm)
    run.finish()
    open_curves(page, server, run)
    red = page.locator("#alarms .alarm")
    playwright.expect(red).to_contain_text("gate.reasoning = derivation")
    playwright.expect(red).to_contain_text("First 32.")
    assert red.bounding_box()["y"] < page.locator("[data-chart=reward]").bounding_box()["y"]
    assert page.evaluate(f"{CHART}.data.find((t) => t.name === 'alarm').x") == [3]

    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto(f"{server.url}?run={run.id}&tab=training&present=1")
    page.wait_for_function(NEWEST % run.step)
    assert page.evaluate(f"{CHART}._fullLayout.font.size") == 20
    for control in ("#run", "#new-study", "#overlays", "#settings"):
        playwright.expect(page.locator(control).first).to_be_hidden()
    shots(page, "presentation")
    assert not page.problems, page.problems  # before requests are cut short by the link
    page.get_by_role("link", name="Leave presentation").click()
    playwright.expect(page.locator("#new-study")).to_be_visible()


def test_a_poll_of_an_unchanged_run_is_small_and_fetches_nothing_else(page, server, growing):
    run = growing("quiet")
    run.grow(50)
    open_curves(page, server, run)
    with page.expect_response(is_poll):
        pass
    seen = []
    page.on("request", lambda request: seen.append(request))
    sizes = []
    for _ in range(4):
        with page.expect_response(is_poll) as caught:
            pass
        sizes.append(len(caught.value.body()) + len(caught.value.request.post_data or ""))
    assert max(sizes) < 2_000, sizes
    expected = ("/component_server/", "/robots.txt")  # the second is how the page asks whether its server is there
    assert all(request.url.endswith(expected) for request in seen), [request.url for request in seen]


def test_other_runs_are_drawn_over_the_curves(page, server, growing):
    other = growing("other", seeds=(3,))
    other.grow(12)
    other.finish()
    run = growing("shown", seeds=(0,))
    run.grow(10)
    run.finish()
    open_curves(page, server, run)
    page.locator("#overlays input").click()
    page.get_by_role("option", name="other, ").click()
    page.wait_for_function(f"{CHART}.data.some((t) => t.name === '{other.id}, seed 3' && t.x.length === 12)")
    assert page.evaluate(f"{CHART}.data.map((t) => t.name)") == ["this run, seed 0", f"{other.id}, seed 3"]


def is_poll(response) -> bool:
    return "component_server" in response.url and "changed" in (response.request.post_data or "")
