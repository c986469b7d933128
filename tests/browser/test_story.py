"""The page opens on Story: one screen, and the strip of a run that goes on."""

from helpers.synthetic import GrowingRun

from patchrl import api


def test_the_story_fits_one_screen_and_explains_itself_without_a_click(page, server, shots):
    page.set_viewport_size({"width": 1280, "height": 800})
    calls = []
    page.on("request", lambda request: calls.append(request.post_data) if "/queue/join" in request.url else None)
    page.goto(f"{server.url}?run={api.RECORDED_ID}")
    story = page.locator("#story")
    story.locator("[data-chart=story-plane] .annotation-text", has_text="better").wait_for()
    story.locator("#story-mismatch .annotation-text", has_text="own answers").wait_for()
    assert "97 % [95, 98]" in story.locator(".story-sentence").inner_text().replace("\u00a0", " ")
    assert len(calls) <= 5  # it opens, sets the run and draws once; on a slow machine it may ask once more
    first = story.locator("#story-pair .tokens").all_inner_texts()
    shots(page, "story")
    assert len(first) == 2 and story.locator(".change .verdict").all_inner_texts() == ["✓ right", "✗ wrong", "✓ right"]
    assert page.evaluate("[document.documentElement.scrollHeight, document.documentElement.scrollWidth]") == [800, 1280]
    story.locator("#another").click()
    page.wait_for_function("old => document.querySelector('#story-pair .tokens').innerText !== old", arg=first[0])
    caption = story.locator("#story-mismatch .slider-caption")
    of_the_lab = caption.inner_text()
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.locator("#run input").click()
    page.get_by_role(
        "option", name=next(title for run, title in api.recordings().items() if run != api.RECORDED_ID)
    ).click()
    page.wait_for_function("() => !new URL(location).searchParams.get('run').includes('nano')")
    page.locator("#samples tr", has_text="Isaac and Gita").first.wait_for()
    page.locator("#scanned summary", has_text="What the scan says").wait_for()
    page.get_by_role("tab", name="Story", exact=True).click()
    page.wait_for_function(
        "old => document.querySelector('#story-mismatch .slider-caption').innerText !== old", arg=of_the_lab
    )  # what changed while nobody saw it is drawn when it is seen
    page.locator("#run input").click()
    page.get_by_role("option", name=api.recordings()[api.RECORDED_ID]).click()
    page.wait_for_function("() => new URL(location).searchParams.get('run').includes('nano')")
    page.locator("#explain").click()
    page.locator("#lesson-1", has_text="Solution.").wait_for()  # the lesson of the run on the screen


def test_it_is_read_before_gradios_scripts_have_made_the_page(page, server, shots):
    held, opened = [], []
    page.route("**/assets/*.js", lambda route: route.continue_() if opened else held.append(route))
    page.goto(f"{server.url}?run={api.RECORDED_ID}", wait_until="commit")
    view = page.locator("#first-view")
    view.locator(".story-sentence").wait_for()
    shots(page, "story-first")
    assert "After plain SFT" in view.inner_text() and view.locator(".change .verdict").count() == 3
    assert held and page.locator("#tabs").count() == 0
    opened.append(True)
    for route in held:
        route.continue_()
    page.locator("#story-sentence .story-sentence").wait_for()
    assert view.count() == 0 and page.locator(".story-sentence").count() == 1


def test_a_run_that_goes_on_shows_its_stages_and_its_panels_fill(page, server, shots):
    run = GrowingRun(server.runs_dir, "story")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{server.url}?run={run.id}")
    now = page.locator("#stages [aria-current=step]")
    now.filter(has_text="Warm start").filter(has_text="loading the model").wait_for()
    assert page.locator("#train-here").is_hidden() and page.locator("#story .waits").count() == 4
    run.recorder.event("phase", name="steps")
    run.grow(49)
    page.wait_for_timeout(600)  # a status is written at most twice a second
    run.grow()
    now.filter(has_text="50 of 1000").wait_for()
    run.recorder.event("scan", expert_nll=[1.9, 2.1], own_nll=[0.1, 0.2], prompted_nll=[0.8])
    run.recorder.event("spread", seed=0, step=50, nll=[0.5, 0.6])
    page.locator("#story-mismatch .annotation-text", has_text="rewrites").wait_for()
    shots(page, "story-live")
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    run.finish()
