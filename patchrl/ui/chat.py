"""Chat: the same question to the backbone and to models that were fine-tuned from it, answers side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import gradio as gr

from patchrl import api
from patchrl.errors import ConfigError, PatchRLError
from patchrl.jobs.owners import Visitor
from patchrl.reporting import changed, markup
from patchrl.ui.answers import ChatCards
from patchrl.ui.playground import Page, Requests, caps
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import Session

MAX_ASKED = 2  # fine-tuned models beside the backbone
MAX_TEMPERATURE = 2.0


def ask(requests: Requests, page: Page, run_id: str | None, question: Any, keys: Any, temperature: Any) -> Any:
    """Check what was typed and queue the question; returns the answer and its view.

    Raises a PatchRLError that names the wrong field.
    """
    run, config = requests.config(page[0], run_id)
    limits = caps(requests.session.limits)
    text = api.typed_text("Question", question if isinstance(question, str) else "", limits.question)
    if run is None or run.chat_problem():
        raise ConfigError(run.chat_problem() if run else "Choose a run above first.")
    backbone, *tuned = run.chat_models()
    asked = [model for model in tuned if model.key in (keys if isinstance(keys, list) else ())][:MAX_ASKED]
    if not asked:
        raise ConfigError("Beside the backbone: choose at least one fine-tuned model.")
    if not isinstance(temperature, (int, float)) or not 0 <= temperature <= MAX_TEMPERATURE:
        raise ConfigError(f"Temperature: a number from 0 to {MAX_TEMPERATURE:g} is needed.")
    models = [backbone, *asked]
    answer = requests.session.playground.chat(
        api.play_settings(config),
        text,
        models,
        temperature=float(temperature),
        max_new_tokens=min(config.evaluate.max_new_tokens, limits.new_tokens),
        thresholds=run.thresholds,
    )
    requests.keep(page, answer)
    return answer, ChatCards({model.key: model.name for model in models})


def build(session: Session) -> None:
    """The section."""
    requests, limits = Requests(session), caps(session.limits)
    gr.HTML("<h3>Ask the fine-tuned models</h3>")
    problem = gr.HTML("", elem_id="chat-problem", elem_classes=["maybe"])
    with gr.Column(visible=False) as form:
        with gr.Row():
            question = gr.Textbox(
                "", label="Question", lines=2, max_length=limits.question, elem_id="chat-question", scale=3
            )
            models = gr.Dropdown(
                [], value=[], label="Beside the backbone", multiselect=True, max_choices=MAX_ASKED, elem_id="chat-models", scale=2,
                allow_custom_value=True,
            )  # fmt: skip
            temperature = gr.Slider(
                0,
                MAX_TEMPERATURE,
                value=0,
                step=0.1,
                label="Temperature",
                info="0: always the likeliest word.",
                scale=1,
            )
        with gr.Row():
            go = gr.Button("Ask", variant="primary", elem_id="chat-ask")
            cancel = gr.Button("Cancel", interactive=False, elem_id="chat-cancel")
            another = gr.Button("A forgotten question", elem_id="chat-another")
        status = gr.HTML("", elem_id="chat-status")
        body = gr.HTML("", elem_id="chat-answers")

    def offered(snapshot: Snapshot, chosen: list[str] | None) -> list[Any]:
        if snapshot.run is None:
            return [markup.note("Choose a run above first."), gr.update(visible=False), gr.skip()]
        if sentence := snapshot.run.chat_problem():
            return [markup.note(sentence), gr.update(visible=False), gr.skip()]
        tuned = snapshot.run.chat_models()[1:]
        keys = [model.key for model in tuned]
        kept = [key for key in chosen or () if key in keys] or keys[:1]
        # Its value only where it is another: an answer that comes late must not undo the next choice.
        value = {} if kept == chosen else {"value": kept}
        return ["", gr.update(visible=True), gr.update(choices=[(m.name, m.key) for m in tuned], **value)]

    session.live(offered, [problem, cast(Any, form), models], [models], depends=("run", "events", "status"))

    def play(request: gr.Request, run_id: str | None, *typed: Any) -> Iterator[list[Any]]:
        page, busy = requests.page(request), [gr.update(interactive=False), gr.update(interactive=True)]
        rest = [gr.update(interactive=True), gr.update(interactive=False)]
        try:
            answer, view = ask(requests, page, run_id, *typed)
        except PatchRLError as error:
            yield [markup.error(str(error)), "", *rest]
            return
        for shown in requests.follow(page, answer, view):
            yield [*shown, *(rest if view.ended else busy)]

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
    gr.on(
        [go.click, question.submit],
        play,
        [session.run, question, models, temperature],
        [status, body, go, cancel],
        **quiet,
    )

    def stop(request: gr.Request) -> None:
        requests.cancel(requests.page(request))

    cancel.click(stop, None, None, **quiet)

    def draw(request: gr.Request, run_id: str | None, shown: str, keys: Any) -> str:
        return forgotten_question(session, session.visitor(request), run_id, shown, keys) or gr.skip()

    another.click(draw, [session.run, question, models], question, **quiet)


def forgotten_question(session: Session, visitor: Visitor, run_id: str | None, shown: str, keys: Any) -> str:
    """The question after the one shown among those that the first chosen model's arm went wrong on; empty without any."""
    run = session.reader.snapshot(visitor, run_id).run
    key = keys[0] if isinstance(keys, list) and keys else ""
    arm = next((model.arm for model in run.chat_models() if model.key == key), "") if run else ""
    if run is None or not arm:
        return ""
    rows = [row for one in session.reader.changes(run, None) for row in one.questions]
    questions = [row["question"] for row in changed.select(rows, arm=arm, change="right_to_wrong")]
    place = questions.index(shown) if shown in questions else -1
    return questions[(place + 1) % len(questions)] if questions else ""
