"""The walkthrough before anything was trained, and the playground, in a real browser."""

import psutil
import pytest
from helpers.serve import Server

from patchrl import api
from patchrl.ui import hollow, trap

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe_tool = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
expect = playwright.expect


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An app of which nothing was trained yet."""
    running = Server(tmp_path_factory.mktemp("untrained"))
    yield running
    running.stop()


def serious(page, within: str) -> list[str]:
    """What axe-core finds serious or critical within an element."""
    violations = axe_tool.Axe().run(page, context=within)
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]}"
        for v in violations.response["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


@pytest.fixture
def learn(page, server):
    page.goto(f"{server.url}?tab=learn")
    page.locator("#lesson-1 .tile").first.wait_for()
    if len(api.recordings()) > 1:  # the numbers below are the lab's
        page.locator("#recording").get_by_text("the lab's").click()
        expect(page.locator("#lesson-1")).to_contain_text("Solution.")
    return page


@pytest.fixture
def play(page, server):
    open_playground(page, server)
    return page


def open_playground(page, server) -> None:
    page.goto(f"{server.url}?run={api.RECORDED_ID}&tab=compare")
    page.get_by_role("button", name="Playground").click()
    page.locator("#play").wait_for()


def test_the_walkthrough_needs_no_run_and_says_the_recorded_numbers(learn):
    result = api.open_run(api.RECORDED_ID).result()
    expert, ours = result["arms"]["expert"], result["arms"]["rl"]
    shown_numbers = {
        1: [percent(result["base"]["general"]), percent(expert["general"]["mean"]), "tasks"],
        2: ["off-distribution", "The backbone expected", "mismatch"],
        3: [percent(result["arms"]["prompted"]["target"]["mean"]), "copied from the expert", "mismatch"],
        4: ["Rewrite", "Right answer", "reward"],
        5: [f"{100 * ours['general']['mean']:.1f}", "Read with care", "plane"],
        6: [*trap.sentences(trap.load()), "trap"],
        7: [*hollow.sentences(hollow.load()), "hollow-text"],
    }
    for number, (*texts, chart) in shown_numbers.items():
        panel = learn.locator("#lesson").get_by_role("tabpanel").filter(visible=True).first
        for text in texts:
            expect(panel).to_contain_text(text)
        panel.locator(f"[data-chart={chart}] .main-svg").first.wait_for()
        assert not serious(learn, "#lesson"), number
        if number < 7:
            learn.locator(f"#next-{number}").click()
    assert not learn.problems, learn.problems


def test_every_step_fits_a_phone(learn):
    learn.set_viewport_size({"width": 390, "height": 800})
    for number in range(1, 8):
        learn.wait_for_function("document.documentElement.scrollWidth <= 390")
        if number < 7:
            learn.locator(f"#next-{number}").click()
            learn.locator(f"#back-{number + 1}").wait_for()


def to_rewards(page) -> None:
    for number in (1, 2, 3):
        page.locator(f"#next-{number}").click()
    page.locator("#scored-A .sum").wait_for()


def reward(page, name: str) -> float:
    return float(page.locator(f"#scored-{name} .sum").inner_text().rpartition("= ")[2])


def alignment(page, name: str) -> float:
    return float(page.locator(f"#scored-{name} .bar", has_text="alignment").inner_text().split()[-1])


def test_an_edited_rewrite_gets_another_verdict_and_reward(learn):
    to_rewards(learn)
    before = reward(learn, "A")
    assert before > reward(learn, "C") > reward(learn, "D") == 0  # own words, the expert's, a wrong answer
    aligned = alignment(learn, "A")
    box, scored = learn.locator("#rewrite-A textarea"), learn.locator("#scored-A")
    own = box.input_value()

    learn.get_by_role("button", name="Make A's answer wrong").click()
    expect(scored).to_contain_text("✗ failed")
    expect(scored).to_contain_text("= 0.000")

    learn.get_by_role("button", name="As recorded").click()
    expect(scored).to_contain_text(f"= {before:.3f}")

    box.fill("Most assuredly and verily, " + own)  # right as before, in words the backbone would not choose
    expect(scored).not_to_contain_text(f"= {before:.3f}", timeout=120_000)
    expect(scored).to_contain_text("✓ passed")
    assert alignment(learn, "A") < aligned

    right = api.recorded_group()["reference"]
    box.fill(f"<img src=x onerror=\"document.title='broken'\"> 1 + 1 = 3. The answer is {right}.")
    expect(scored).to_contain_text("equation does not hold: 1 + 1 = 3")
    assert learn.title() == "PatchRL"
    assert not learn.problems, learn.problems


def test_the_recorded_training_replays_step_by_step(learn):
    to_rewards(learn)
    curve = learn.locator("[data-chart=reward]").first
    curve.locator(".main-svg").first.wait_for()
    points = "node => node.data.find(trace => trace.mode !== 'lines').x.length"
    assert curve.evaluate(points) == 1
    curve.evaluate("node => { node.mark = 'the same node'; }")
    learn.locator("#replay-play").click()
    learn.wait_for_function(
        "() => document.querySelector('[data-chart=reward]').data.find(t => t.mode !== 'lines').x.length >= 5"
    )
    learn.locator("#replay-play").click()
    assert curve.evaluate("node => node.mark") == "the same node"
    steps = learn.locator("#replay-step input[type=number]")
    steps.fill("40")
    steps.press("Enter")
    learn.wait_for_function(
        "() => document.querySelector('[data-chart=reward]').data.find(t => t.mode !== 'lines').x.length === 40"
    )


def test_the_recorded_run_opens_by_choice_and_is_nobodys_own(learn, server):
    for number in range(1, 7):
        learn.locator(f"#next-{number}").click()
    learn.locator("#open-recorded").click()
    expect(learn.locator("#run input")).to_have_value(api.recordings()[api.RECORDED_ID])
    expect(learn.locator("#status")).to_contain_text("A recording of the lab")
    learn.wait_for_url(f"**run={api.RECORDED_ID}**")
    assert api.list_runs(server.runs_dir) == []


def test_the_playground_answers_with_every_reward(play):
    play.locator("#play").click()
    answers = play.locator("#play-answers")
    expect(play.locator("#play-status")).to_contain_text("Done", timeout=180_000)
    assert answers.locator("section h4").all_inner_texts() == ["Backbone, prompted", "Rewriter of seed 0, 40 steps"]
    assert answers.locator("section .card").count() == 8
    for name in ("ℓ, nats", "reward", "consistency", "alignment", "diversity"):
        assert answers.locator("section .bar", has_text=name).count() >= 8
    expect(answers).to_contain_text("The expert solution")
    assert not serious(play, "#playground")

    shown = play.locator("#play-question textarea").input_value()
    play.locator("#play-another").click()
    expect(play.locator("#play-question textarea")).not_to_have_value(shown)

    play.locator("#play-question textarea").fill("<b id=injected>How many?</b>")
    play.locator("#play-solution textarea").fill("<script>document.title='broken'</script> The answer is 3.")
    play.locator("#play").click()
    expect(play.locator("#play-status")).to_contain_text("Done", timeout=120_000)
    expect(answers).to_contain_text("<script>")
    assert play.locator("#injected").count() == 0 and play.title() == "PatchRL"
    assert not play.problems, play.problems


def test_the_playground_refuses_in_one_sentence(play):
    play.locator("#play-solution textarea").fill("")
    play.locator("#play").click()
    expect(play.locator("#play-status")).to_contain_text("Solution: it is empty")
    expect(play.locator("#play")).to_be_enabled()


def ask_much(page) -> None:
    """A request that takes far longer than a test waits: gibberish does not end by itself."""
    for label, value in (("Rewrites by each, K", "32"), ("Temperature", "2"), ("Longest, tokens", "800")):
        box = page.get_by_label(f"number input for {label}")
        box.fill(value)
        box.press("Enter")
    page.locator("#play").click()


def test_cancel_ends_an_answer_and_the_next_one_comes(play, server):
    play.locator("#play").click()
    expect(play.locator("#play-status")).to_contain_text("Done")
    processes = psutil.Process(server.process.pid).children(recursive=True)
    (writer,) = [process for process in processes if "patchrl.playground.server" in process.cmdline()]
    writer.suspend()  # however slow the page is, the answer is not finished before it is cancelled
    try:
        ask_much(play)
        play.locator("#play-cancel").click()
    finally:
        writer.resume()
    expect(play.locator("#play-status")).to_contain_text("Cancelled")
    expect(play.locator("#play")).to_be_enabled()


def test_a_closed_page_leaves_the_line(play, browser, server):
    ask_much(play)
    play.locator("#play-answers section .card").first.wait_for(timeout=180_000)
    play.close()
    other = browser.new_page()
    other.set_default_timeout(30_000)
    open_playground(other, server)
    other.locator("#play").click()
    expect(other.locator("#play-status")).to_contain_text("Done", timeout=120_000)
    other.close()
