"""The walkthrough's editable group: four rewrites whose verdicts and rewards follow what one types."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.config import resolve
from patchrl.errors import PatchRLError
from patchrl.reporting import markup
from patchrl.ui import lesson
from patchrl.ui.answers import ENDS
from patchrl.ui.lesson_pages import scored_card
from patchrl.ui.session import Session

NAMES = ("A", "B", "C", "D")
MOST_CHARACTERS = 600
MOMENT_SECONDS = 1.0
KEPT_TEXTS = 512
TRIES = (
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


class Board:
    """What the backbone has said of texts so far, and the reading each visitor waits for."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.group = api.recorded_group()
        self.example = api.typed_example(self.group["question"], self.group["solution"], self.group["reference"])
        self.settings = api.play_settings(resolve({}))
        self.recorded = lesson.known_texts(self.group)
        self._read: OrderedDict[str, lesson.Known] = OrderedDict()
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[tuple[str, ...], api.Answer]] = {}

    @property
    def texts(self) -> list[str]:
        return [c["text"] for c in self.group["candidates"]]

    def known(self) -> dict[str, lesson.Known]:
        with self._lock:
            return self.recorded | dict(self._read)

    def learn(self, texts: Sequence[str], event: dict[str, Any]) -> None:
        """Keep ℓ and embedding of texts the process has scored."""
        with self._lock:
            for text, candidate, vector in zip(texts, event["candidates"], event["embeddings"], strict=True):
                nll = float("nan") if candidate["nll"] is None else candidate["nll"]
                self._read[text] = lesson.Known(nll, vector)
            while len(self._read) > KEPT_TEXTS:
                self._read.popitem(last=False)

    def read(self, visitor: str, texts: Sequence[str]) -> None:
        """Have texts read, and wait a moment for it; other texts this visitor still waits for are dropped.

        Raises a PatchRLError with the process's own sentence when it fails.
        """
        waiting, answer = self._asked.pop(visitor, ((), None))
        if answer is None or waiting != tuple(texts):
            if answer is not None:
                answer.cancel()
            answer = self.session.playground.score(self.settings, self.example, texts)
        end, last = time.monotonic() + MOMENT_SECONDS, ""
        while last not in ENDS and time.monotonic() < end:
            for event in answer.take(end - time.monotonic()):
                last = event["kind"]
                if last == "group":
                    self.learn(texts, event)
                elif last == "error":
                    raise PatchRLError(event["text"])
        if last not in ENDS:
            self._asked[visitor] = tuple(texts), answer

    def warm(self) -> None:
        """Start the process when the group comes into sight."""
        if not self.session.playground.warmed:
            self.session.playground.warm(self.settings)


def build(session: Session) -> Board:
    """The group; returns its board, to be warmed when it comes into sight."""
    board = Board(session)
    first = lesson.rescore(board.group, board.texts, board.recorded)
    boxes: list[gr.Textbox] = []
    cards: list[gr.HTML] = []
    with gr.Row():
        tries = [gr.Button(title, size="sm", elem_id=f"try-{i}") for i, (title, _) in enumerate(TRIES)]
        reset = gr.Button("As recorded", size="sm", elem_id="try-reset")
    told = gr.HTML("", elem_id="try-told")
    for pair in (0, 2):
        with gr.Row():
            for i in (pair, pair + 1):
                with gr.Column(min_width=300):
                    boxes.append(
                        gr.Textbox(
                            board.texts[i],
                            label=f"Rewrite {NAMES[i]}",
                            lines=3,
                            max_length=MOST_CHARACTERS,
                            elem_id=f"rewrite-{NAMES[i]}",
                        )
                    )
                    cards.append(gr.HTML(scored_card(first[i], 0.35, 0.5), elem_id=f"scored-{NAMES[i]}"))
    again = gr.State(0)
    with gr.Accordion("The weights λ", open=False), gr.Row():
        lambda_dist = gr.Slider(0, 2, value=0.35, step=0.05, label="λ alignment")
        lambda_div = gr.Slider(0, 5, value=0.5, step=0.1, label="λ diversity")

    def shown(texts: Sequence[str], dist: float, div: float) -> list[str]:
        rows = lesson.rescore(board.group, texts, board.known(), lambda_dist=dist, lambda_div=div)
        return [scored_card(row, dist, div) for row in rows]

    def edited(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        """What is known at once; then, within a moment, what the backbone says. Where that takes longer, again."""
        texts, (dist, div, round) = [str(v or "")[:MOST_CHARACTERS] for v in values[:4]], values[4:]
        yield [*shown(texts, dist, div), gr.skip(), gr.skip()]
        unread = [text for text in dict.fromkeys(texts) if text not in board.known()]
        if not unread:
            return
        try:
            board.read(request.session_hash or "", unread)
        except PatchRLError as error:
            yield [*[gr.skip()] * 4, note(str(error)), gr.skip()]
            return
        yield [*shown(texts, dist, div), gr.skip(), round + 1]

    # One listener for everything that changes the group: the page sends the newest state last, and waits
    # for an answer before it sends again, so that no late answer can overwrite a newer one.
    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
    triggers = [*(box.change for box in boxes), lambda_dist.change, lambda_div.change, again.change]
    inputs, outputs = [*boxes, lambda_dist, lambda_div, again], [*cards, told, again]
    gr.on(triggers, edited, inputs, outputs, trigger_mode="always_last", **quiet)

    def change(number: int) -> Any:
        def do(round: int, *texts: str) -> list[Any]:
            a, b, c, d = texts
            bare = f"The answer is {board.example.reference}."
            group = ([raise_last_number(a), b, c, d], [a, a, c, d], [bare, b, c, d])[number]
            return [*group, note(TRIES[number][1]), round + 1]

        return do

    for i, button in enumerate(tries):
        button.click(change(i), [again, *boxes], [*boxes, told, again], **quiet)
    reset.click(lambda round: [*board.texts, "", round + 1], again, [*boxes, told, again], **quiet)
    return board


def raise_last_number(text: str) -> str:
    """The text with its last whole number one larger."""
    found = list(re.finditer(r"\d+", text))
    if not found:
        return text
    last = found[-1]
    return f"{text[: last.start()]}{int(last[0]) + 1}{text[last.end() :]}"


def note(text: str) -> str:
    return f'<p class="note" role="status">{markup.escape(text)}</p>'
