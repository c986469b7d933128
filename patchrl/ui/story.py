"""Story tab: the chosen run on one screen, also while it is going on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.errors import PatchRLError
from patchrl.jobs.status import LIVE_STATES
from patchrl.pipeline.estimate import study_minutes
from patchrl.pipeline.plan import plan
from patchrl.reporting import figures, glossary, markup, stage_strip, story
from patchrl.reporting.gain_forgetting import gain_forgetting_figure, so_far
from patchrl.runs.samples import SampleRow
from patchrl.ui.charts import charts, distribution_slider
from patchrl.ui.learn import TITLES as LESSON_STEPS
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session

PANEL_HEIGHT = 290  # pixels of a figure, so that the tab fits one screen of 1280 × 800
SLIDER_HEIGHT = 58  # of the slider and its words, under its figure
MAX_ROWS = 24  # rows that the panel goes round
STEPS = {6: "six", 7: "seven", 8: "eight"}
# What stands in a panel before its stage is done.
WAITING = {
    "pair": "One of the expert's texts and its rewrite, once the rewriter trains.",
    "mismatch": "How much each text surprises the model, after the scan; then how that moves while the rewriter trains.",
    "plane": "What each arm learned and what it kept, as soon as the backbone and the first arm are evaluated.",
    "change": "One question before, after plain SFT, and after SFT on rewrites, once all three are evaluated.",
}


def build(session: Session) -> tuple[gr.Button, gr.Button]:
    """The tab; returns the buttons that start a study and that open the lesson."""
    with gr.Column(elem_id="story", elem_classes=["story-words"]):
        strip = gr.HTML("", padding=False, elem_id="stages", elem_classes=["maybe-stages"])
        with gr.Row(elem_id="story-head"):
            sentence = gr.HTML("", padding=False, elem_id="story-sentence")
            with gr.Column(elem_id="story-buttons", scale=0, min_width=210):
                minutes = study_minutes(next(iter(session.offered().values())))
                start = gr.Button(
                    f"Train the lab here (≈ {max(minutes, 1):.0f} min)", elem_id="train-here", variant="primary"
                )
                lesson = gr.Button(f"Explain in {STEPS[len(LESSON_STEPS)]} steps", elem_id="explain")
        with gr.Row(elem_id="story-panels", equal_height=True):
            with gr.Column(min_width=300, scale=13):
                _heading("One solution, twice: the [expert solution|expert's] and its [rewrite]")
                pair = gr.HTML("", padding=False, elem_id="story-pair", elem_classes=["story-pair"])
                number = gr.State(0)
                another = gr.Button("Another row", elem_id="another", size="sm")
            with gr.Column(min_width=300, scale=9):
                _heading("How surprising the texts are: [ℓ]")
                mismatch_waits = gr.HTML("", padding=False, elem_classes=["maybe"])
                mismatch = distribution_slider("Mismatch over training", "story-mismatch")
            with gr.Column(min_width=300, scale=9):
                _heading("What each [arm] learned and kept")
                plane_waits = gr.HTML("", padding=False, elem_classes=["maybe"])
                plane = charts("Learned and kept")
        change = gr.HTML("", padding=False, elem_id="story-change")

    def show_pair(snapshot: Snapshot, number: int) -> list[Any]:
        row, tokens = typical_pair(session, snapshot, number)
        return [story.pair_html(row, tokens) if row else waits("pair"), gr.update(visible=tokens is not None)]

    def show_mismatch(snapshot: Snapshot) -> list[Any]:
        drawn = figures.mismatch_over_training(snapshot.events)
        if drawn is None:
            return [waits("mismatch"), None]
        return ["", drawn | {"layout": _panel(drawn["layout"], SLIDER_HEIGHT), "caption": ""}]

    def show_plane(snapshot: Snapshot) -> list[Any]:
        result = snapshot.result or so_far(snapshot.events)
        if result is None:
            return [waits("plane"), {}]
        figure = gain_forgetting_figure(result)
        return ["", {"story-plane": figure | {"layout": _panel(figure["layout"])}}]

    session.live(lambda now: gr.update(visible=not goes_on(now)), [start], depends=("run", "status"))
    session.live(strip_of, [strip], depends=("run", "status", "events", "result"))
    session.live(sentence_of, [sentence], depends=("run", "status", "events", "result"))
    session.live(show_pair, [pair, another], [number], depends=("run", "samples", "events"))
    session.live(show_mismatch, [mismatch_waits, mismatch], depends=("run", "events"))
    session.live(show_plane, [plane_waits, plane], depends=("run", "events", "result"))
    session.live(change_of, [change], depends=("run", "events", "result"))
    another.click(
        lambda number: number + 1,
        number,
        number,
        show_progress="hidden",
        api_visibility="private",
        concurrency_limit=None,
    )
    return start, lesson


def wire(session: Session, buttons: tuple[gr.Button, gr.Button], recording: gr.Radio) -> None:
    """Connect the two buttons: the page's first preset starts as it is, and the lesson opens, over the run where it can."""
    start, lesson = buttons

    def begin(request: gr.Request) -> Any:
        visitor = session.visitor(request)
        try:
            config = next(iter(session.offered().values()))
            run, message = session.begin(visitor, session.allowed(visitor, config), "report")
        except PatchRLError as error:
            raise gr.Error(str(error), print_exception=False) from None
        gr.Info(message)
        return gr.update(choices=session.reader.choices(visitor), value=run.id)

    # In the queue of the page's other buttons that start: pressing twice must not start two runs.
    options: dict[str, Any] = {"concurrency_id": "start", "concurrency_limit": 1, "api_visibility": "private"}
    event = start.click(begin, None, session.run, js="() => patchrl.moving()", **options)
    session.follow(event)
    lesson.click(
        lambda run: [gr.Tabs(selected="learn"), run if run in api.recordings() else gr.skip()],
        session.run, [session.tabs, recording], show_progress="hidden", api_visibility="private",
    )  # fmt: skip


def waits(panel: str) -> str:
    """What will stand in a panel."""
    return f'<p class="waits">{WAITING[panel]}</p>'


def _heading(words: str) -> None:
    gr.HTML(padding=False, value=f"<h3>{glossary.explained(words)}</h3>")


def _panel(layout: dict[str, Any], below: int = 0) -> dict[str, Any]:
    """A figure's layout in a panel, which has its title above it and its words at the marks."""
    margin = layout["margin"] | {"t": 6}
    return layout | {
        "title": {"text": ""},
        "margin": margin,
        "height": PANEL_HEIGHT - below,
        "showlegend": layout.get("showlegend", False),
    }


def goes_on(snapshot: Snapshot) -> bool:
    """Whether the run is going on or waits for its turn."""
    return snapshot.status.get("state") in LIVE_STATES


def strip_of(snapshot: Snapshot) -> str:
    """The strip of stages, until there is a result."""
    if snapshot.run is None or snapshot.result is not None:
        return ""
    config, status = snapshot.run.config, snapshot.status
    counts = Counter(step.stage for step in plan(config))
    counts["warm"] = counts["train"] if config.rewriter.warm_start_steps else 0
    boxes = stage_strip.stage_boxes(counts, snapshot.events, status, live=goes_on(snapshot))
    return stage_strip.strip_html(boxes)


def sentence_of(snapshot: Snapshot) -> str:
    """What the run says in words, or will say."""
    if snapshot.run is None:
        return markup.note(snapshot.problem or "Choose a run above, or train one here.")
    backbone = snapshot.run.config.backbone.model
    if result := snapshot.result or so_far(snapshot.events):
        return story.sentence_html(story.result_sentence(result, backbone))
    opening = story.opening_sentence(backbone, snapshot.last("scan"))
    ended = "" if goes_on(snapshot) else "This run ended before an arm was evaluated."
    return story.sentence_html(story.Sentence(opening, ended))


def typical_pair(session: Session, snapshot: Snapshot, number: int) -> tuple[Any, dict[str, Any] | None]:
    """The n-th most typical row of the run's rewrites with its tokens; before there are any, the newest group's best."""
    run = snapshot.run
    if run is None:
        return None, None
    seed, source = run.config.study.seeds[0], story.other_arm(run.sources())
    rows = story.typical_rows(session.reader.samples(run, source, seed)) if source else []
    if not rows or source is None:
        return story.newest_pair(snapshot.last("group")), None
    shaded: list[tuple[SampleRow, dict[str, Any]]] = []  # a recording keeps the tokens of a few rows only
    for row in rows:
        if tokens := run.surprisal(source, seed, row["id"]):
            shaded.append((row, tokens))
        if len(shaded) > number % MAX_ROWS:
            break
    return shaded[number % MAX_ROWS % len(shaded)] if shaded else (rows[number % len(rows)], None)


def change_of(snapshot: Snapshot) -> str:
    """One question that shows what was forgotten."""
    run = snapshot.run
    if run is None or not any(event["kind"] == "evaluation" for event in snapshot.events):
        return waits("change")
    seed, other = run.config.study.seeds[0], story.other_arm(run.config.study.arms)
    arms = ["expert", other] if other else ["expert"]
    try:
        answers = {"base": run.predictions("base")} | {arm: run.predictions(arm, seed) for arm in arms}
    except PatchRLError:
        answers = {}
    change = story.changed_question(answers) if len(answers) == 3 else None
    return story.change_html(change) if change else waits("change")
