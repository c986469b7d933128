"""Learn tab: seven steps over a recording, with a group to edit and a training to replay."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.errors import RunError
from patchrl.jobs.owners import NOBODY
from patchrl.reporting import curves, figures, markup
from patchrl.reporting.gain_forgetting import gain_forgetting_figure
from patchrl.ui import hollow, learn_group, lesson_pages, trap
from patchrl.ui.charts import charts
from patchrl.ui.lesson import LESSON_ARMS, Lesson
from patchrl.ui.session import OPEN_DRAWER, Session

TITLES = ("Fine-tuning", "Off-distribution", "Prompting", "Three rewards", "Forgetting", "The trap", "Hollow rewrites")
TO_TOP = "() => document.getElementById('lesson').scrollIntoView({block: 'start'})"
REPLAY_SECONDS = 0.5


def load(session: Session, recording: str) -> Lesson:
    """A recording through the reader every page uses."""
    snapshot = session.reader.snapshot(NOBODY, recording)
    run, result = snapshot.run, snapshot.result
    if run is None or result is None:
        raise RunError(f"The recording {recording} cannot be read: {snapshot.problem or 'it has no result'}.")
    seed, sources = run.config.study.seeds[0], run.sources()
    arms = [arm for arm in ("expert", "prompted", "rl") if arm in result["arms"]]
    return Lesson(
        about=run.about,
        reward=run.config.reward,
        result=result,
        events=run.events()[0],  # all of them: a page's own snapshot keeps the newest group only
        scan=snapshot.last("scan") or {},
        samples={
            arm: [dict(r) for r in session.reader.samples(run, arm, seed)] for arm in LESSON_ARMS if arm in sources
        },
        tokens={row["id"]: row for row in run.surprisals("rl", seed)},
        predictions={"base": run.predictions("base")} | {arm: run.predictions(arm, seed) for arm in arms},
        group=api.recorded_group(),
    )


@dataclass(frozen=True)
class Learn:
    """What the page connects: `fill` makes the values of `pages` for a recording; two buttons lead to other tabs."""

    fill: Callable[[str], list[Any]]
    pages: list[gr.components.Component]
    recording: gr.Radio
    recorded: gr.Button
    setup: gr.Button


def build(session: Session) -> Learn:
    """The tab."""

    @functools.cache
    def lesson(recording: str) -> Lesson:
        return load(session, recording)

    titles = {run_id: title.removeprefix("Recorded: ") for run_id, title in api.recordings().items()}
    recording = gr.Radio(
        [(title, run_id) for run_id, title in titles.items()], value=next(iter(titles)), label="The lesson plays on",
        elem_id="recording", visible=True if len(titles) > 1 else "hidden",
    )  # fmt: skip
    with gr.Tabs(selected=1, elem_id="lesson") as walk:
        with gr.Tab(f"1 {TITLES[0]}", id=1):
            page1, chart1 = gr.HTML("", elem_id="lesson-1"), charts("Every task, before and after")
            _steps(walk, 1)
        with gr.Tab(f"2 {TITLES[1]}", id=2):
            page2 = gr.HTML("", elem_id="lesson-2")
            chart2 = charts("How surprising expert solutions are")
            more = gr.Button("Another example", size="sm", elem_id="lesson-more")
            tokens, row = gr.HTML("", elem_id="lesson-tokens"), gr.State(0)
            _steps(walk, 2)
        with gr.Tab(f"3 {TITLES[2]}", id=3):
            page3, chart3 = gr.HTML("", elem_id="lesson-3"), charts("How surprising rewrites are")
            _steps(walk, 3)
        with gr.Tab(f"4 {TITLES[3]}", id=4) as rewards:
            page4 = gr.HTML("", elem_id="lesson-4")
            editable = learn_group.build(session)
            page4b = gr.HTML("", elem_id="lesson-replay")
            replayed, draw = _replay(recording, lesson)
            _steps(walk, 4)
        with gr.Tab(f"5 {TITLES[4]}", id=5):
            page5, chart5 = gr.HTML("", elem_id="lesson-5"), charts("Gain and forgetting")
            _steps(walk, 5)
        with gr.Tab(f"6 {TITLES[5]}", id=6):
            gr.HTML(lesson_pages.the_trap(trap.sentences(trap.load())), elem_id="lesson-6")
            chart6 = charts("Own style reached")
            _steps(walk, 6)
        with gr.Tab(f"7 {TITLES[6]}", id=7):
            gr.HTML(hollow.page(hollow.load()), elem_id="lesson-7")
            chart7 = charts("A hollow reward", "large")
            gr.HTML(hollow.texts(hollow.load()), elem_id="lesson-hollow")
            with gr.Row():
                recorded = gr.Button("Look at the recording on all tabs", elem_id="open-recorded")
                setup = gr.Button("Start a run of my own", variant="primary", elem_id="to-setup")
            _steps(walk, 7)

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}

    def fill(recording: str) -> list[Any]:
        it = lesson(recording)
        rewrites = {arm: it.rewrite_nll(arm) for arm in it.arms}
        tasks = {"base": it.result["base"], "arms": {"expert": it.result["arms"]["expert"]}}
        return [
            lesson_pages.what_sft_does(it),
            {"tasks": figures.task_figure(tasks)},
            lesson_pages.off_distribution(it),
            _one(figures.mismatch_figure(it.scan, {})),
            lesson_pages.token_by_token(it, it.read_rows()[0]),
            lesson_pages.why_not_prompt(it),
            _one(figures.mismatch_figure(it.scan, rewrites)),
            lesson_pages.three_rewards(it),
            lesson_pages.replay(it),
            gr.Slider(maximum=it.steps, value=1),
            *draw(recording, 1),
            lesson_pages.what_is_forgotten(it),
            {"plane": gain_forgetting_figure(it.result)},
            {"trap": trap.figure(trap.load())},
            hollow.curves(hollow.load()),
        ]

    def another(recording: str, number: int) -> tuple[str, int]:
        rows = lesson(recording).read_rows()
        number = (number + 1) % len(rows)
        return lesson_pages.token_by_token(lesson(recording), rows[number]), number

    more.click(another, [recording, row], [tokens, row], **quiet)
    pages = [page1, chart1, page2, chart2, tokens, page3, chart3, page4, page4b, *replayed, page5, chart5]
    pages += [chart6, chart7]

    rewards.select(editable.warm, None, None, **quiet)
    return Learn(fill, pages, recording, recorded, setup)


def wire(learn: Learn, tab: gr.Tab, tabs: gr.Tabs, session: Session) -> None:
    """Fill the pages when the tab is opened first and when another recording is chosen; connect what leads elsewhere."""
    filled = gr.State("")

    def once(recording: str, filled: str) -> list[Any]:
        known = recording in api.recordings() and recording != filled
        return [recording if known else filled, *(learn.fill(recording) if known else [gr.skip()] * len(learn.pages))]

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
    gr.on(
        [tab.select, learn.recording.change], once, [learn.recording, filled], [filled, *learn.pages],
        trigger_mode="always_last", **quiet,
    )  # fmt: skip
    session.follow(
        learn.recorded.click(
            lambda recording: (recording, gr.Tabs(selected="training")), learn.recording, [session.run, tabs], **quiet
        )
    )
    learn.setup.click(None, js=OPEN_DRAWER)


def _steps(walk: gr.Tabs, number: int) -> None:
    """The buttons to the steps before and after."""
    with gr.Row():
        for title, other in (("Back", number - 1), ("Next", number + 1)):
            if 1 <= other <= len(TITLES):
                name = f"{title}: {TITLES[other - 1]}"
                button = gr.Button(
                    name, variant="primary" if title == "Next" else "secondary", elem_id=f"{title.lower()}-{number}"
                )
                button.click(None, js=TO_TOP)
                button.click(
                    lambda to=other: gr.Tabs(selected=to),
                    None,
                    walk,
                    show_progress="hidden",
                    api_visibility="private",
                )


def _replay(
    recording: gr.Radio, lesson: Callable[[str], Lesson]
) -> tuple[list[gr.components.Component], Callable[[str, int], tuple[dict[str, Any], str]]]:
    """The recorded training again: a slider over its steps, curves up to there, and the group of that step.

    Returns the slider and both displays, and what draws the displays.
    """
    with gr.Row():
        at = gr.Slider(1, 2, value=1, step=1, label="Training step", elem_id="replay-step", scale=4)
        play = gr.Button("Play", elem_id="replay-play", scale=1)
    panels = charts("Recorded training curves", "large")
    with gr.Accordion("The newest group of this step, as it was scored", open=False):
        group = gr.HTML("", elem_id="replay-group")
    timer = gr.Timer(REPLAY_SECONDS, active=False)
    playing = gr.State(False)
    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}

    def draw(recording: str, step: int) -> tuple[dict[str, Any], str]:
        it = lesson(recording)
        current, final = (
            curves.training_figures(events, reward=it.reward) for events in (it.until(int(step)), it.events)
        )
        newest = next(e for e in reversed(it.until(int(step))) if e["kind"] == "group")
        shown = {name: _still(current[name], final[name]) for name in curves.MAIN_CURVES if name in current}
        return shown, markup.group_cards(newest)

    def toggle(recording: str, going: bool, step: int) -> list[Any]:
        last = lesson(recording).steps
        return [
            not going,
            gr.Timer(active=not going),
            "Play" if going else "Pause",
            1 if step >= last and not going else step,
        ]

    def forward(recording: str, step: int) -> list[Any]:
        last = lesson(recording).steps
        ended = step + 1 >= last
        return [min(step + 1, last), *([False, gr.Timer(active=False), "Play"] if ended else [gr.skip()] * 3)]

    play.click(toggle, [recording, playing, at], [playing, timer, play, at], **quiet)
    timer.tick(forward, [recording, at], [at, playing, timer, play], trigger_mode="once", **quiet)
    at.change(draw, [recording, at], [panels, group], trigger_mode="always_last", **quiet)
    return [at, panels, group], draw


def _still(figure: figures.Figure, final: figures.Figure) -> figures.Figure:
    """The figure on the axes of the whole training, so that they do not move during the replay."""
    look = dict(final["layout"])
    for axis, key in (("xaxis", "x"), ("yaxis", "y")):
        values = [v for trace in final["data"] for v in trace[key] if v is not None]
        values += [line["y0"] for line in look["shapes"]] if key == "y" else []
        room = 0.04 * (max(values) - min(values) or 1.0)
        look[axis] = {"range": [min(values) - room, max(values) + room]} | look[axis]
    return figure | {"layout": look}


def _one(figure: figures.Figure | None) -> dict[str, Any]:
    return {"mismatch": figure} if figure else {}
