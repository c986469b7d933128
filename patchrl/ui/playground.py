"""Playground: a visitor's own question and solution, rewritten by the prompted backbone and by any rewriter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.config import StudyConfig, resolve
from patchrl.config.instructions import INSTRUCTIONS
from patchrl.errors import ConfigError, PatchRLError
from patchrl.jobs.owners import Visitor
from patchrl.reporting import markup
from patchrl.ui.answers import AnswerCards, AnswerView
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Limits, Session

TASK_TITLES = [("mathematics", "math"), ("multiple choice", "choice"), ("exact words", "exact"), ("open-ended", "open")]
PLAYGROUND_INTRO = """Type a question and an expert's solution, and see how the **backbone** restates it when prompted, and how a
trained **rewriter** does. Every rewrite is judged by the same gate and scored by the same rewards as in training.
Without a run, or before a rewriter has a checkpoint, the prompted backbone of the nano lab answers alone."""
PUBLIC_CAPS = api.Caps(question=1_000, solution=4_000)
TICK_SECONDS = 0.25
# What a visitor types, in the order of its widgets.
INPUT_NAMES = (
    "question",
    "solution",
    "reference",
    "task",
    "instruction",
    "k",
    "temperature",
    "length",
    "seed",
    "writers",
)


def caps(limits: Limits) -> api.Caps:
    """What this page lets a visitor ask."""
    if not limits.public:
        return api.Caps()
    return api.Caps(
        PUBLIC_CAPS.question, PUBLIC_CAPS.solution, group=limits.max_group, new_tokens=limits.max_new_tokens
    )


Page = tuple[Visitor, str | None]  # who looks at it, and the id of this one page


def _at_most(value: Any, limit: int) -> Any:
    """A number of a visitor within a limit; anything else is for the settings to refuse."""
    return min(value, limit) if isinstance(value, (int, float)) else value


class Requests:
    """The requests of all pages, one each."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.answers: dict[Page, api.Answer] = {}

    def page(self, request: gr.Request) -> Page:
        """The page that sent a request."""
        return self.session.visitor(request), request.session_hash

    def config(self, visitor: Visitor, run_id: str | None) -> tuple[api.Run | None, StudyConfig]:
        """The chosen run and its settings; the nano lab's without a run."""
        run = self.session.reader.snapshot(visitor, run_id).run
        config = run.config if run else resolve({})
        if self.session.limits.public and config.backbone.model != "nano":
            raise ConfigError("This public page plays with the nano lab only; install PatchRL to use your own model.")
        return run, config

    def keep(self, page: Page, answer: api.Answer) -> None:
        """An answer that was queued is its page's last request; another is dropped."""
        self.cancel(page)
        self.answers[page] = answer

    def cancel(self, page: Page) -> None:
        """Drop a page's last request, whatever its state."""
        answer = self.answers.pop(page, None)
        if answer is not None:
            answer.cancel()

    def done(self, page: Page, answer: api.Answer) -> None:
        """Nobody reads this answer any more."""
        answer.cancel()
        if self.answers.get(page) is answer:
            del self.answers[page]

    def follow(self, page: Page, answer: api.Answer, view: AnswerView) -> Iterator[list[str]]:
        """Status and body of an answer, again whenever something came, until it ended."""
        started = time.monotonic()
        try:
            while not view.ended:
                yield [view.status(time.monotonic() - started), view.body()]
                for event in answer.take(TICK_SECONDS):
                    view.add(event)
            yield [view.status(time.monotonic() - started), view.body()]
        finally:  # also when the page is closed, which ends this generator
            self.done(page, answer)

    def ask(self, page: Page, run_id: str | None, typed: dict[str, Any]) -> tuple[api.Answer, AnswerCards]:
        """Check the typed values and queue the request; raises a PatchRLError that names the wrong field."""
        run, config = self.config(page[0], run_id)
        limits = caps(self.session.limits)
        texts = {name: value.strip() if isinstance(value, str) else "" for name, value in typed.items()}
        settings = api.play_settings(
            config,
            task=typed["task"],
            group_size=_at_most(typed["k"], limits.group),
            temperature=typed["temperature"],
            instruction=texts["instruction"] or None,
            max_new_tokens=_at_most(typed["length"], limits.new_tokens),
            caps=limits,
        )
        example = api.typed_example(texts["question"], texts["solution"], texts["reference"], typed["task"], limits)
        writers = [w for w in (run.writers() if run else [api.prompted()]) if w.key in (typed["writers"] or ())]
        if not writers:
            raise ConfigError("Written by: choose at least one writer.")
        if not isinstance(typed["seed"], int) or typed["seed"] < 0:
            raise ConfigError("Sampling seed: a whole number from 0 on is needed.")
        answer = self.session.playground.rewrite(
            settings, example, writers, seed=typed["seed"], thresholds=run.thresholds if run else None
        )
        self.keep(page, answer)
        return answer, AnswerCards({w.key: w.name for w in writers})


def build(session: Session) -> None:
    """The section; its process starts when it is opened, so that the first answer is quick."""
    requests, limits, first = Requests(session), caps(session.limits), api.lab_example(0)
    with gr.Accordion("Playground: rewrite your own", open=False, elem_id="playground") as section:
        gr.Markdown(PLAYGROUND_INTRO)
        with gr.Row():
            question = gr.Textbox(
                first.question, label="Question", lines=4, max_length=limits.question, elem_id="play-question"
            )
            solution = gr.Textbox(
                first.solution, label="Expert solution", lines=4, max_length=limits.solution, elem_id="play-solution"
            )
        with gr.Row():
            reference = gr.Textbox(
                "", label="Right answer", info="Empty: read out of the solution.", max_length=limits.reference
            )
            task = gr.Dropdown(TASK_TITLES, value="math", label="Task", info="How the gate compares answers.")
            instruction = gr.Dropdown(
                [(text, name) for name, text in INSTRUCTIONS.items()], value="own-words", label="Instruction",
                info="Choose one or type your own.", allow_custom_value=True,
            )  # fmt: skip
        with gr.Row():
            k = gr.Slider(2, limits.group, value=4, step=1, label="Rewrites by each, K")
            temperature = gr.Slider(0.1, 2.0, value=1.0, step=0.1, label="Temperature")
            length = gr.Slider(8, limits.new_tokens, value=96, step=8, label="Longest, tokens")
            seed = gr.Number(0, label="Sampling seed", precision=0, minimum=0)
        writers = gr.CheckboxGroup(
            [(api.prompted().name, api.prompted().key)], value=[api.prompted().key], label="Written by",
            elem_id="play-writers",
        )  # fmt: skip
        with gr.Row():
            go = gr.Button("Rewrite", variant="primary", elem_id="play")
            cancel = gr.Button("Cancel", interactive=False, elem_id="play-cancel")
            another = gr.Button("Another example", elem_id="play-another")
        status = gr.HTML("", elem_id="play-status")
        body = gr.HTML("", elem_id="play-answers")

    def offered(snapshot: Snapshot) -> Any:
        writers_now = snapshot.run.writers() if snapshot.run else [api.prompted()]
        return gr.update(choices=[(w.name, w.key) for w in writers_now], value=[w.key for w in writers_now])

    session.live(offered, [writers], depends=("run", "events", "status"))
    widgets = (question, solution, reference, task, instruction, k, temperature, length, seed, writers)

    def play(request: gr.Request, run_id: str | None, *values: Any) -> Iterator[list[Any]]:
        page, busy = requests.page(request), [gr.update(interactive=False), gr.update(interactive=True)]
        rest = [gr.update(interactive=True), gr.update(interactive=False)]
        try:
            answer, view = requests.ask(page, run_id, dict(zip(INPUT_NAMES, values, strict=True)))
        except PatchRLError as error:
            yield [markup.error(str(error)), "", *rest]  # answers to another question would look like this one's
            return
        for shown in requests.follow(page, answer, view):
            yield [*shown, *(rest if view.ended else busy)]

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
    go.click(play, [session.run, *widgets], [status, body, go, cancel], **quiet)

    def stop(request: gr.Request) -> None:
        requests.cancel(requests.page(request))

    cancel.click(stop, None, None, **quiet)

    def warm(request: gr.Request, run_id: str | None) -> None:
        try:
            _, config = requests.config(session.visitor(request), run_id)
            if not session.playground.warmed:
                session.playground.warm(api.play_settings(config))
        except PatchRLError:
            return  # the same sentence comes when a question is asked

    section.expand(warm, session.run, None, **quiet)

    def draw(request: gr.Request, run_id: str | None, shown: str) -> list[Any]:
        example = next_example(session, session.visitor(request), run_id, shown)
        return [example["question"], example["expert"], example["reference"] or ""]

    another.click(draw, [session.run, question], [question, solution, reference], **quiet)


def next_example(session: Session, visitor: Visitor, run_id: str | None, question: str) -> dict[str, Any]:
    """An example other than the one with this question: of the chosen run's own data, else of the nano lab."""
    run = session.reader.snapshot(visitor, run_id).run
    if run is not None and run.config.backbone.model != "nano":
        seed = run.config.study.seeds[0]
        rows = next((rows for source in run.sources() if (rows := session.reader.samples(run, source, seed))), [])
        place = next((i for i, row in enumerate(rows) if row["question"] == question), -1)
        if rows:
            return {**rows[(place + 1) % len(rows)]}
    example = api.lab_example()
    while example.question == question:
        example = api.lab_example()
    return {"question": example.question, "expert": example.solution, "reference": example.reference}
