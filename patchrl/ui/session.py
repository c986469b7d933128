"""What the tabs share: the chosen run, and one poll that redraws only what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from patchrl import api, markup
from patchrl.ui.reader import Reader, Snapshot

LIVE = ("queued", "running", "stopping")
SET_ADDRESS = """(run) => {
  const url = new URL(window.location);
  if (run) url.searchParams.set('run', run); else url.searchParams.delete('run');
  window.history.replaceState(null, '', url);
}"""


@dataclass(frozen=True)
class Limits:
    """What a visitor may do. Hosted pages are public: presets only, one run at a time, clamped sizes."""

    public: bool = False
    max_steps: int = 60
    max_train: int = 512
    max_seeds: int = 1
    max_group: int = 8
    max_new_tokens: int = 128

    @property
    def poll_seconds(self) -> float:
        return 3.0 if self.public else 1.0


@dataclass(frozen=True)
class Live:
    """A function of the newest snapshot that fills some outputs."""

    fill: Callable[..., Any]
    inputs: Sequence[gr.components.Component]
    outputs: Sequence[gr.components.Component]


class Session:
    """The chosen run, and the live parts the tabs registered."""

    def __init__(self, runs_dir: str | None, limits: Limits) -> None:
        self.runs_dir, self.limits = runs_dir, limits
        self.reader = Reader(runs_dir)
        self.playground = api.Playground(deadline=60.0 if limits.public else 300.0)
        self.lives: list[Live] = []
        self.run: gr.Dropdown
        self.follow: Callable[[Any], Any]

    def choices(self) -> list[str]:
        return [run.id for run in api.list_runs(self.runs_dir)]

    def busy(self) -> str | None:
        """The id of a run that is going on now."""
        return next((run.id for run in api.list_runs(self.runs_dir) if run.status()["state"] in LIVE), None)

    def live(
        self,
        fill: Callable[..., Any],
        outputs: Sequence[gr.components.Component],
        inputs: Sequence[gr.components.Component] = (),
    ) -> None:
        """Keep `outputs` at `fill(snapshot, *inputs)`, a value or one per output."""
        self.lives.append(Live(fill, list(inputs), list(outputs)))

    def update(self, run_id: str | None, seen: list[str], *values: Any) -> list[Any]:
        """All live outputs; what a visitor already has is skipped, so that nothing flickers."""
        snapshot = self.reader.snapshot(run_id)
        filled: list[Any] = []
        rest = list(values)
        for live in self.lives:
            own, rest = rest[: len(live.inputs)], rest[len(live.inputs) :]
            result = live.fill(snapshot, *own)
            filled += result if len(live.outputs) > 1 else [result]
        digests = [hashlib.blake2b(json.dumps(v, default=str).encode(), digest_size=8).hexdigest() for v in filled]
        old = seen or [""] * len(digests)
        shown = [gr.skip() if a == b else v for v, a, b in zip(filled, digests, old, strict=True)]
        return [digests, *shown]

    def wire(self, demo: gr.Blocks) -> None:
        """Connect the poll, the run picker, and every input a live part depends on."""
        seen = gr.State([])
        quick = gr.Timer(self.limits.poll_seconds, active=True)
        slow = gr.Timer(15.0, active=True)
        inputs = [self.run, seen, *(i for live in self.lives for i in live.inputs)]
        outputs = [seen, *(o for live in self.lives for o in live.outputs)]
        quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
        again = {"inputs": inputs, "outputs": outputs, **quiet}

        def pace(run_id: str | None) -> gr.Timer:
            state = self.reader.snapshot(run_id).status.get("state")
            return gr.Timer(active=state in LIVE)

        def follow(event: Any) -> Any:
            """After an event: show the run as it is now and poll it if it is alive."""
            return event.then(self.update, **again).then(pace, self.run, quick, **quiet)

        self.follow = follow
        quick.tick(self.update, **again, trigger_mode="once").then(pace, self.run, quick, **quiet)
        slow.tick(self.update, **again).then(pace, self.run, quick, **quiet)
        follow(self.run.change(None, self.run, None, js=SET_ADDRESS))
        for widget in {id(i): i for live in self.lives for i in live.inputs}.values():
            widget.change(self.update, **again)

        def opened(request: gr.Request) -> Any:
            asked = request.query_params.get("run")
            choices = self.choices()
            return gr.update(choices=choices, value=asked or self.busy() or (choices[0] if choices else None))

        follow(demo.load(opened, None, self.run, **quiet))


def no_run(snapshot: Snapshot, what: str) -> str:
    """A sentence for a tab that has nothing to show yet."""
    if snapshot.problem:
        return f'<p class="note">{markup.escape(snapshot.problem)}</p>'
    return f'<p class="note">{what}</p>'
