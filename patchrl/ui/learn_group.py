"""The walkthrough's editable group: four rewrites whose verdicts and rewards follow what a visitor types."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.errors import PatchRLError
from patchrl.playground.client import FINAL_KINDS
from patchrl.reporting import markup
from patchrl.ui import lesson
from patchrl.ui.lesson_pages import scored_card
from patchrl.ui.session import Session

CARD_LETTERS = ("A", "B", "C", "D")
MAX_REWRITE_CHARACTERS = 600
READ_TIMEOUT = 1.0  # seconds a page waits before it asks again
MAX_TEXTS = 512  # that the backbone has read are kept
EDITS = (
    (
        "Make A's answer wrong",
        "Raise the last number of A by one: the gate closes, and how well it reads no longer counts.",
    ),
    (
        "Copy A into B",
        "Two equal texts get the same reward: passing both, they tie in alignment, and neither adds variety.",
    ),
    ("Cut A to its bare answer", "The gate checks the equations that are written, not that there are any."),
)


class EditableGroup:
    """The recorded group, what the backbone says of texts, and the request that each visitor waits for.

    The group is scored with the settings of the recorded run.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.group = api.recorded_group()
        self.example = api.typed_example(self.group["question"], self.group["solution"], self.group["reference"])
        self.settings = api.play_settings(api.open_run(api.RECORDED_ID).config)
        self.recorded = lesson.scored_texts(self.group)
        self._read: OrderedDict[str, lesson.ScoredText] = OrderedDict()
        self._lock = threading.Lock()
        self._requests: dict[str, tuple[tuple[str, ...], api.Answer]] = {}

    @property
    def texts(self) -> list[str]:
        return [c["text"] for c in self.group["candidates"]]

    def known(self) -> dict[str, lesson.ScoredText]:
        with self._lock:
            return self.recorded | dict(self._read)

    def learn(self, event: dict[str, Any]) -> None:
        """Keep what the backbone says of texts that the process has scored."""
        scored = zip(event["candidates"], event["embeddings"], strict=True)
        facts = lesson.scored_texts({"candidates": [c | {"embedding": vector} for c, vector in scored]})
        with self._lock:
            self._read |= facts
            while len(self._read) > MAX_TEXTS:
                self._read.popitem(last=False)

    def read(self, visitor: str, texts: Sequence[str]) -> None:
        """Let the process read texts, and wait for READ_TIMEOUT at most; the visitor's earlier request is cancelled.

        Raises a PatchRLError with the process's own sentence when it fails.
        """
        waiting, answer = self._requests.pop(visitor, ((), None))
        if answer is None or waiting != tuple(texts):
            if answer is not None:
                answer.cancel()
            answer = self.session.playground.score(self.settings, self.example, texts)
        end, last = time.monotonic() + READ_TIMEOUT, ""
        while last not in FINAL_KINDS and time.monotonic() < end:
            for event in answer.take(end - time.monotonic()):
                last = event["kind"]
                if last == "group":
                    self.learn(event)
                elif last == "error":
                    raise PatchRLError(event["text"])
        if last not in FINAL_KINDS:
            self._requests[visitor] = tuple(texts), answer

    def warm(self) -> None:
        """Start the process when the group comes into sight."""
        if not self.session.playground.warmed:
            self.session.playground.warm(self.settings)


def build(session: Session) -> EditableGroup:
    """The group's widgets; returns the group, to be warmed when it comes into sight."""
    editable = EditableGroup(session)
    reward = editable.settings.reward
    first = lesson.rescore(reward, editable.group, editable.texts, editable.recorded)
    boxes: list[gr.Textbox] = []
    cards: list[gr.HTML] = []
    with gr.Row():
        buttons = [gr.Button(title, size="sm", elem_id=f"try-{i}") for i, (title, _) in enumerate(EDITS)]
        reset = gr.Button("As recorded", size="sm", elem_id="try-reset")
    notice = gr.HTML("", elem_id="try-told")
    for pair in (0, 2):
        with gr.Row():
            for i in (pair, pair + 1):
                with gr.Column(min_width=300):
                    boxes.append(
                        gr.Textbox(
                            editable.texts[i],
                            label=f"Rewrite {CARD_LETTERS[i]}",
                            lines=3,
                            max_length=MAX_REWRITE_CHARACTERS,
                            elem_id=f"rewrite-{CARD_LETTERS[i]}",
                        )
                    )
                    cards.append(
                        gr.HTML(
                            scored_card(first[i], reward.lambda_dist, reward.lambda_div),
                            elem_id=f"scored-{CARD_LETTERS[i]}",
                        )
                    )
    again = gr.State(0)
    with gr.Accordion("The weights λ", open=False), gr.Row():
        lambda_dist = gr.Slider(0, 2, value=reward.lambda_dist, step=0.05, label="λ alignment")
        lambda_div = gr.Slider(0, 5, value=reward.lambda_div, step=0.1, label="λ diversity")

    def scored_cards(texts: Sequence[str], dist: float, div: float) -> list[str]:
        weighted = reward.model_copy(update={"lambda_dist": dist, "lambda_div": div})
        rows = lesson.rescore(weighted, editable.group, texts, editable.known())
        return [scored_card(row, dist, div) for row in rows]

    def edited(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        """Cards with what is known; then, within READ_TIMEOUT, what the backbone says. After it, the page asks again."""
        texts, (dist, div, round) = [str(v or "")[:MAX_REWRITE_CHARACTERS] for v in values[:4]], values[4:]
        yield [*scored_cards(texts, dist, div), gr.skip(), gr.skip()]
        unread = [text for text in dict.fromkeys(texts) if text not in editable.known()]
        if not unread:
            return
        try:
            editable.read(request.session_hash or "", unread)
        except PatchRLError as error:
            yield [*[gr.skip()] * 4, notice_html(str(error)), gr.skip()]
            return
        yield [*scored_cards(texts, dist, div), gr.skip(), round + 1]

    # One listener for everything that changes the group: the page sends the newest state last, and waits
    # for an answer before it sends again, so that no late answer can overwrite a newer one.
    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
    triggers = [*(box.change for box in boxes), lambda_dist.change, lambda_div.change, again.change]
    inputs, outputs = [*boxes, lambda_dist, lambda_div, again], [*cards, notice, again]
    gr.on(triggers, edited, inputs, outputs, trigger_mode="always_last", **quiet)

    def change(number: int) -> Any:
        def edit(round: int, *texts: str) -> list[Any]:
            a, b, c, d = texts
            bare = f"The answer is {editable.example.reference}."
            group = ([raise_last_number(a), b, c, d], [a, a, c, d], [bare, b, c, d])[number]
            return [*group, notice_html(EDITS[number][1]), round + 1]

        return edit

    for i, button in enumerate(buttons):
        button.click(change(i), [again, *boxes], [*boxes, notice, again], **quiet)
    reset.click(lambda round: [*editable.texts, "", round + 1], again, [*boxes, notice, again], **quiet)
    return editable


def raise_last_number(text: str) -> str:
    """The text with its last whole number one larger."""
    numbers = list(re.finditer(r"\d+", text))
    if not numbers:
        return text
    last = numbers[-1]
    return f"{text[: last.start()]}{int(last[0]) + 1}{text[last.end() :]}"


def notice_html(text: str) -> str:
    return f'<p class="note" role="status">{markup.escape(text)}</p>'
