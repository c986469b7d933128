"""What the tabs share: the chosen run, and one poll that fetches only what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.config import StudyConfig
from patchrl.data.examples import LAB_DATASETS
from patchrl.errors import ConfigError
from patchrl.jobs.status import LIVE_STATES
from patchrl.pipeline.estimate import study_minutes
from patchrl.reporting import markup
from patchrl.text import about_minutes
from patchrl.ui.reader import Reader, Snapshot

IDLE_SECONDS = 15.0
STARTED_MESSAGES = {
    "report": "Started. Follow it on the tabs Train rewriter, Compare, and Fine-tune & forgetting.",
    "train": "Started: the rewriter is trained. Its curves are on this tab.",
    "scan": "Scanning. The histogram appears on this tab in a moment.",
}
SET_ADDRESS = """(run) => {
  const url = new URL(window.location);
  if (!run) return;
  if (run !== url.searchParams.get('run')) for (const key of ['row', 'arm', 'seed']) url.searchParams.delete(key);
  url.searchParams.set('run', run);
  window.history.replaceState(null, '', url);
}"""


@dataclass(frozen=True)
class Limits:
    """What a visitor may do. Hosted pages are public: presets only, one run at a time, clamped sizes."""

    public: bool = False
    max_steps: int = 60
    max_train: int = 512
    max_seeds: int = 1
    max_tuned: int = 6
    max_group: int = 8
    max_new_tokens: int = 128
    max_queue: int = 3

    @property
    def poll_seconds(self) -> float:
        return 3.0 if self.public else 1.0


# What a live part may depend on: the chosen run, the list of runs, and the parts of a run.
RUN_PARTS = ("run", "runs", "status", "events", "samples", "embeddings", "result")
# Asks whether anything changed, and only then for what changed. A hidden page asks nothing.
POLL_SCRIPT = """
let timer = null;
const again = (seconds) => { clearTimeout(timer); timer = setTimeout(beat, 1000 * seconds); };
const beat = async () => {
  if (document.hidden) return again(2);
  const had = props.value || {};
  const run = new URL(window.location).searchParams.get('run');
  try {
    const now = await server.changed({run});
    element.textContent = '';
    if (now.version !== had.version || run !== (had.run || null)) trigger('pulse');
    again(now.wait);
  } catch (error) {
    element.textContent = 'The app does not answer; trying again. Runs go on without it.';
    again(3);
  }
};
watch('value', () => {
  const now = props.value || {}, run = new URL(window.location).searchParams.get('run');
  again(run === (now.run || null) ? now.wait || 1 : 2); // an answer about another run came late: ask soon
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) beat(); });
again(1);
"""


@dataclass(frozen=True)
class LiveOutput:
    """A function of the newest snapshot that fills some outputs, and what of a run it looks at."""

    fill: Callable[..., Any]
    inputs: Sequence[gr.components.Component]
    outputs: Sequence[gr.components.Component]
    depends: Sequence[str]


class Session:
    """The chosen run, and the live parts the tabs registered."""

    def __init__(self, runs_dir: str | None, limits: Limits) -> None:
        self.runs_dir, self.limits = runs_dir, limits
        self.reader = Reader(runs_dir)
        self.playground = api.Playground(deadline=60.0 if limits.public else 300.0)
        self.begun: dict[tuple[str, str], api.Run] = {}  # by settings and stage; those that are going on
        self.lives: list[LiveOutput] = []
        self.run: gr.Dropdown
        self.follow: Callable[[Any], Any]

    def choices(self) -> list[str]:
        """Ids of the runs that a page can show: those of its folder, the newest first, then the recording."""
        return [*(run.id for run in api.list_runs(self.runs_dir)), api.RECORDED_ID]

    def active_runs(self) -> list[str]:
        """Ids of the runs that are going on now or wait for their turn, the newest first."""
        return [run.id for run in api.list_runs(self.runs_dir) if run.status()["state"] in LIVE_STATES]

    def begin(self, config: StudyConfig, upto: str) -> tuple[api.Run, str]:
        """Start a study, or queue it behind what is going on; returns its run and a sentence about it.

        A second press for a study that is still going on returns the same run and starts nothing. Raises ConfigError
        for settings that cannot work and, on a public page, when the queue is full.
        """
        self.begun = {key: run for key, run in self.begun.items() if run.status()["state"] in LIVE_STATES}
        key = (config.model_dump_json(), upto)
        if key in self.begun:
            return self.begun[key], f"{self.begun[key].id} already runs exactly this study."
        earlier = self.active_runs()
        if self.limits.public and len(earlier) > self.limits.max_queue:
            raise ConfigError(f"{len(earlier)} studies are going on or waiting here; try again when one is over.")
        self.begun[key] = run = api.start(config, runs_dir=self.runs_dir, upto=upto, queue=True)
        if earlier:
            return run, self.queue_message(earlier)
        # The size of a user's own data is known only after it is read; the run reports it then.
        predictable = upto == "report" and config.backbone.model == "nano" and config.data.dataset in LAB_DATASETS
        takes = f" It takes {about_minutes(study_minutes(config))} on two CPU cores." if predictable else ""
        return run, STARTED_MESSAGES[upto] + takes

    def queue_message(self, earlier: Sequence[str]) -> str:
        """The message about a run that waits for these runs; empty without any."""
        return f"Queued behind {', '.join(earlier)}; it starts by itself. The page shows it." if earlier else ""

    def live(
        self,
        fill: Callable[..., Any],
        outputs: Sequence[gr.components.Component],
        inputs: Sequence[gr.components.Component] = (),
        depends: Sequence[str] = RUN_PARTS,
    ) -> None:
        """Keep `outputs` at `fill(snapshot, *inputs)`, a value or one per output.

        `fill` is called again only when an input or something it `depends` on changed.
        """
        self.lives.append(LiveOutput(fill, list(inputs), list(outputs), depends))

    def update(self, run_id: str | None, seen: dict[str, str], *values: Any) -> list[Any]:
        """What each page has seen, the pulse, and all live outputs; what it already has is skipped."""
        snapshot = self.reader.snapshot(run_id)
        now: dict[str, str] = {}
        values_now: list[Any] = []
        rest = list(values)
        for number, live in enumerate(self.lives):
            own, rest = rest[: len(live.inputs)], rest[len(live.inputs) :]
            key = f"{number}"
            now[key] = _digest([[snapshot.stamps.get(part) for part in live.depends], own])
            if seen.get(key) == now[key]:
                now |= {f"{key}.{i}": seen[f"{key}.{i}"] for i in range(len(live.outputs))}
                values_now += [gr.skip()] * len(live.outputs)
                continue
            result = live.fill(snapshot, *own)
            for i, value in enumerate(result if len(live.outputs) > 1 else [result]):
                part = f"{key}.{i}"
                now[part] = _digest(value)
                values_now.append(gr.skip() if seen.get(part) == now[part] else value)
        return [now, {"run": run_id, **self._beat(snapshot.stamps, snapshot.status)}, *values_now]

    def _beat(self, stamps: dict[str, str], status: dict[str, Any]) -> dict[str, Any]:
        wait = self.limits.poll_seconds if status.get("state") in LIVE_STATES else IDLE_SECONDS
        return {"version": _digest(stamps), "wait": wait}

    def pulse(self, query: Any) -> dict[str, Any]:
        """The version of a run's state and when to ask again; called by the page itself."""
        run_id = query.get("run") if isinstance(query, dict) else None
        stamps = self.reader.stamps(run_id if isinstance(run_id, str) else None)
        return self._beat(stamps, _loads(stamps.get("status", "")))

    def wire(
        self,
        demo: gr.Blocks,
        linked: Callable[[Any], list[Any]] = lambda query: [],
        outputs_linked: Sequence[gr.components.Component | gr.blocks.BlockContext] = (),
    ) -> None:
        """Connect the poll, the run picker, and every input a live part depends on.

        `linked` fills `outputs_linked` from what the page's address asks for when it is opened.
        """
        seen = gr.State({})

        def changed(query: Any) -> dict[str, Any]:
            return self.pulse(query)

        heart = gr.HTML(
            value={}, html_template="<div></div>", js_on_load=POLL_SCRIPT, server_functions=[changed], elem_id="pulse",
            label="Connection", elem_classes=["note"],
        )  # fmt: skip
        self.live(lambda _: gr.update(choices=self.choices()), [self.run], depends=("runs",))
        inputs = [self.run, seen, *(i for live in self.lives for i in live.inputs)]
        outputs = [seen, heart, *(o for live in self.lives for o in live.outputs)]
        quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
        again = {"inputs": inputs, "outputs": outputs, **quiet}

        def follow(event: Any) -> Any:
            """After an event: show the run as it is now; its pulse then beats as fast as it needs."""
            return event.then(self.update, **again)

        self.follow = follow
        heart.pulse(self.update, **again, trigger_mode="once")
        follow(self.run.change(None, self.run, None, js=SET_ADDRESS))
        for widget in {id(i): i for live in self.lives for i in live.inputs}.values():
            widget.change(self.update, **again)

        def opened(request: gr.Request) -> Any:
            run_id = request.query_params.get("run")
            choices = self.choices()
            run = gr.update(choices=choices, value=run_id or next(iter(self.active_runs() or choices), None))
            return [run, *linked(request.query_params)]

        follow(demo.load(opened, None, [self.run, *outputs_linked], **quiet))


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, default=str).encode(), digest_size=8).hexdigest()


def _loads(text: str) -> dict[str, Any]:
    try:
        return json.loads(text)
    except ValueError:
        return {}


def no_run(snapshot: Snapshot, what: str) -> str:
    """A sentence for a tab that has nothing to show yet."""
    if snapshot.problem:
        return f'<p class="note">{markup.escape(snapshot.problem)}</p>'
    return f'<p class="note">{what}</p>'
