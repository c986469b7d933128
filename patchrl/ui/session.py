"""What the tabs share: the chosen run, and one poll that fetches only what changed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import JsonData

from patchrl import api
from patchrl.config import StudyConfig, presets, resolve
from patchrl.data.examples import LAB_DATASETS
from patchrl.errors import ConfigError
from patchrl.jobs import public
from patchrl.jobs.owners import HOST, NOBODY, Visitor
from patchrl.jobs.queue import live_runs, runs_ahead
from patchrl.jobs.status import LIVE_STATES
from patchrl.pipeline.estimate import study_minutes
from patchrl.reporting import markup
from patchrl.runs.folder import default_runs_dir
from patchrl.text import about_minutes
from patchrl.ui.reader import Reader, Snapshot

IDLE_SECONDS = 15.0
SECONDS_PER_PAGE = 0.25  # between two questions of any pages; what follows one takes the server up to 0.06 s
MAX_UPLOADS = 5  # of a visitor of a public page
MAX_OWN_RUNS = 2  # of a visitor of a public page: one runs, one waits
STARTED_MESSAGES = {
    "report": "Started.",
    "train": "Started: the rewriter is trained.",
    "scan": "Scanning. What it says appears here in a moment, and the histogram on Story.",
}
SET_RUN = "(run) => patchrl.address({run})"
OPEN_DRAWER, CLOSE_DRAWER = "() => patchrl.drawer('drawer')", "() => patchrl.drawer(null)"
QUIET: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}


@dataclass(frozen=True)
class Limits:
    """What visitors may do with the page; `patchrl.jobs.public` says which studies they may run where it is public."""

    public: bool = False
    max_group: int = 8
    max_new_tokens: int = 128
    max_queue: int = 30
    uploads: bool = True

    @property
    def poll_seconds(self) -> float:
        return 3.0 if self.public else 1.0


UNCHANGED = JsonData({"__type__": "update"})  # what a page gets for `gr.skip()`
# What a live part may depend on: the chosen run, the list of runs, and the parts of a run.
RUN_PARTS = ("run", "runs", "status", "events", "samples", "predictions", "embeddings", "result")
# Asks whether anything changed, and only then for what changed. A hidden page asks nothing.
POLL_SCRIPT = """
let timer = null, asking = false;
const query = () => Object.fromEntries(new URL(window.location).searchParams);
const again = (seconds) => { clearTimeout(timer); timer = setTimeout(beat, 1000 * seconds); };
const say = (text) => { element.textContent = text; document.body.classList.toggle('away', text !== ''); };
const AWAY = 'The app does not answer; trying again. Runs go on without it.';
const beat = async () => {
  const had = props.value || {}, {run} = query();
  if (document.hidden || !run) return again(1); // the page has no run until it has opened
  try {
    const now = await server.changed({run});
    say('');
    if (now.version !== had.version || run !== had.run) trigger('pulse');
    again(now.wait);
  } catch (error) {
    say(AWAY);
    again(3);
  }
};
// Whether the server is there is asked more often than whether anything changed: one that is gone is said within 5 seconds, also
// where it answers nothing, or where a proxy answers for it.
setInterval(async () => {
  if (document.hidden || asking) return;
  asking = true;
  try {
    const answer = await fetch(`${window.gradio_config?.root || ''}/robots.txt`, {cache: 'no-store', signal: AbortSignal.timeout(3000)});
    if (answer.status >= 500) throw new Error(answer.statusText);
    if (element.textContent) beat();
  } catch (error) {
    say(AWAY);
  }
  asking = false;
}, 1500);
watch('value', () => {
  const now = props.value || {};
  again(query().run === now.run ? now.wait || 1 : 2); // an answer about another run came late: ask soon
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) beat(); });
window.addEventListener('popstate', () => trigger('go', query()));
again(5); // what opens the page draws it; this is for an answer that got lost
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
        # By owner, settings and stage; those that are going on.
        self.begun: dict[tuple[str | None, str, str], api.Run] = {}
        self.lives: list[LiveOutput] = []
        self._waiting: list[float] = []  # until when the pages wait that have asked
        self.run: gr.Dropdown
        self.tabs: gr.Tabs  # of the page; `gr.Tabs(selected=id)` opens one
        self.follow: Callable[[Any], Any]

    def visitor(self, request: Any) -> Visitor:
        """Who sent a request: at home the host, on a public page whom its cookies or sign-in name."""
        return getattr(request.state, "visitor", NOBODY) if self.limits.public else HOST

    def active_runs(self, visitor: Visitor) -> list[str]:
        """Ids of a visitor's runs that are going on now or wait for their turn, the newest first."""
        runs = api.list_runs(self.runs_dir, visitor=visitor)
        return [run.id for run in runs if run.status()["state"] in LIVE_STATES]

    def first_run(self, visitor: Visitor) -> str | None:
        """The run that the page opens with: one that is going on, else the first of its list."""
        return [*self.active_runs(visitor), *(name for _, name in self.reader.choices(visitor)), None][0]

    def begin(self, visitor: Visitor, config: StudyConfig, upto: str) -> tuple[api.Run, str]:
        """Start a visitor's study, or queue it behind what is going on; returns its run and a sentence about it.

        A second press for a study that is still going on returns the same run and starts nothing. Raises ConfigError
        for settings that cannot work and, on a public page, when the visitor or the queue has no place left.
        """
        self.begun = {key: run for key, run in self.begun.items() if run.status()["state"] in LIVE_STATES}
        owner = visitor.ids[0] if visitor.ids else None
        key = (owner, config.model_dump_json(), upto)
        if key in self.begun:
            return self.begun[key], f"{self.begun[key].id} already runs exactly this study."
        self.require_place(visitor)
        self.begun[key] = run = api.start(config, runs_dir=self.runs_dir, upto=upto, queue=True, owner=owner)
        if message := self.queue_message(visitor, run):
            return run, message
        # The size of a user's own data is known only after it is read; the run reports it then.
        predictable = upto == "report" and config.backbone.model == "nano" and config.data.dataset in LAB_DATASETS
        takes = f" It takes {about_minutes(study_minutes(config))} on two CPU cores." if predictable else ""
        return run, STARTED_MESSAGES[upto] + takes

    def offered(self) -> dict[str, StudyConfig]:
        """The presets of this page by name; it opens with the first, the lab with one seed."""
        if self.limits.public:
            return public.public_presets()
        names = sorted(presets(), key=lambda name: name != public.OFFERED[0])
        return {name: resolve(presets()[name].values) for name in names}

    def allowed(self, visitor: Visitor, config: StudyConfig) -> StudyConfig:
        """The config; raises ConfigError where this page does not run it for this visitor."""
        return public.check(config, self.uploads_folder(visitor)) if self.limits.public else config

    def uploads_folder(self, visitor: Visitor) -> Path | None:
        """Where a visitor's data files are; None without any."""
        if not (visitor.ids and self.limits.uploads):
            return None
        return public.uploads_folder(Path(self.runs_dir or default_runs_dir()), visitor.ids[0])

    def keep_upload(self, visitor: Visitor, path: str) -> Path:
        """A copy of a data file among a visitor's own. Raises ConfigError where this page takes none, or no more."""
        if not self.limits.public:
            return api.keep_upload(path, self.runs_dir)
        folder = self.uploads_folder(visitor)
        if folder is None:
            raise ConfigError("This public page takes no data files; install PatchRL to use your own.")
        if folder.is_dir() and len(list(folder.iterdir())) >= MAX_UPLOADS:
            raise ConfigError(
                f"You have {MAX_UPLOADS} data files here, which is all that this page keeps for a visitor."
            )
        return api.keep_upload(path, self.runs_dir, visitor.ids[0])

    def require_place(self, visitor: Visitor) -> None:
        """Raise ConfigError where a visitor of a public page may not queue another study."""
        if not self.limits.public:
            return
        if not visitor.ids:
            raise ConfigError(
                "Your browser sent no cookie, so that this page cannot tell which runs are yours; allow it."
            )
        own = self.active_runs(Visitor(visitor.ids))
        if len(own) >= MAX_OWN_RUNS:
            raise ConfigError(
                f"{' and '.join(own)} are yours; one study may run and one may wait. Stop one of them first."
            )
        going_on = len(live_runs(Path(self.runs_dir or default_runs_dir())))
        if going_on > self.limits.max_queue:
            raise ConfigError(f"{going_on} studies are going on or waiting here; try again when one is over.")

    def queue_message(self, visitor: Visitor, run: api.Run) -> str:
        """The message about a run that waits for other runs; empty where it does not wait."""
        ahead = runs_ahead(run.folder)
        if not ahead:
            return ""
        where = f"Queued behind {', '.join(ahead)}" if visitor.host else f"Number {len(ahead) + 1} in the queue"
        return f"{where}; it starts by itself. The page shows it."

    def listed(self, snapshot: Snapshot) -> Any:
        """An update of a list of runs: those that its visitor may see."""
        return gr.update(choices=self.reader.choices(snapshot.visitor))

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

    def update(self, request: gr.Request, run_id: str | None, seen: dict[str, str], *values: Any) -> list[Any]:
        """What each page has seen, the pulse, and all live outputs; what it already has is skipped."""
        snapshot = self.reader.snapshot(self.visitor(request), run_id)
        now: dict[str, str] = {}
        values_now: list[Any] = []
        rest = list(values)
        for number, live in enumerate(self.lives):
            own, rest = rest[: len(live.inputs)], rest[len(live.inputs) :]
            key = f"{number}"
            now[key] = _digest([[snapshot.stamps.get(part) for part in live.depends], own])
            if seen.get(key) == now[key]:
                now |= {f"{key}.{i}": seen[f"{key}.{i}"] for i in range(len(live.outputs))}
                values_now += map(unchanged, live.outputs)
                continue
            result = live.fill(snapshot, *own)
            for i, value in enumerate(result if len(live.outputs) > 1 else [result]):
                part = f"{key}.{i}"
                now[part] = _digest(value)
                values_now.append(unchanged(live.outputs[i]) if seen.get(part) == now[part] else value)
        return [now, {"run": run_id, **self._beat(snapshot.stamps, snapshot.status)}, *values_now]

    def _beat(self, stamps: dict[str, str], status: dict[str, Any]) -> dict[str, Any]:
        wait = self._live_wait() if status.get("state") in LIVE_STATES else IDLE_SECONDS
        return {"version": _digest(stamps), "wait": wait}

    def _live_wait(self) -> float:
        """Seconds until a page of a live run asks again: the more pages wait, the longer, so that training keeps the processor."""
        now = time.monotonic()
        self._waiting = [until for until in self._waiting if until > now]
        return min(IDLE_SECONDS, max(self.limits.poll_seconds, SECONDS_PER_PAGE * len(self._waiting)))

    def pulse(self, visitor: Visitor, query: Any) -> dict[str, Any]:
        """The version of a run's state and when to ask again; called by the page itself."""
        run_id = query.get("run") if isinstance(query, dict) else None
        stamps = self.reader.stamps(visitor, run_id if isinstance(run_id, str) else None)
        beat = self._beat(stamps, _loads(stamps.get("status", "")))
        self._waiting.append(time.monotonic() + beat["wait"])
        return beat

    def wire(
        self,
        demo: gr.Blocks,
        linked: Callable[[Any], list[Any]],
        outputs_linked: Sequence[gr.components.Component | gr.blocks.BlockContext],
    ) -> None:
        """Connect the poll, the run picker, and every input a live part depends on.

        `linked` fills `outputs_linked`, the tabs first, from what the page's address asks for: when it is opened and after Back.
        """
        seen = gr.State({})

        def changed(query: Any, request: gr.Request) -> dict[str, Any]:
            return self.pulse(self.visitor(request), query)

        heart = gr.HTML(
            value={}, html_template="<div></div>", js_on_load=POLL_SCRIPT, server_functions=[changed], elem_id="pulse",
            label="Connection", elem_classes=["problem"],
        )  # fmt: skip
        self.live(self.listed, [self.run], depends=("runs",))
        inputs = [self.run, seen, *(i for live in self.lives for i in live.inputs)]
        outputs = [seen, heart, *(o for live in self.lives for o in live.outputs)]
        again = {"inputs": inputs, "outputs": outputs, **QUIET}

        def follow(event: Any) -> Any:
            """After an event: show the run as it is now; its pulse then beats as fast as it needs."""
            return event.then(self.update, **again)

        self.follow = follow
        heart.pulse(self.update, **again, trigger_mode="once")
        follow(self.run.change(None, self.run, None, js=SET_RUN))
        # What a person sets is drawn again; what an update itself sets is drawn already.
        for widget in {id(i): i for live in self.lives for i in live.inputs}.values():
            (widget.change if isinstance(widget, gr.State) else widget.input)(self.update, **again)

        def opened(request: gr.Request) -> Any:
            run_id, visitor = request.query_params.get("run"), self.visitor(request)
            update = gr.update(choices=self.reader.choices(visitor), value=run_id or self.first_run(visitor))
            return [update, *linked(request.query_params)]

        def gone(event: gr.EventData) -> Any:
            data = event._data if isinstance(event._data, dict) else {}
            query = {key: value for key, value in data.items() if isinstance(value, str)}
            _, *dataset = linked(query)  # the page has opened the tab itself
            return [query.get("run") or gr.skip(), gr.skip(), *dataset]

        # The run that this chooses is a change, which draws the page.
        demo.load(opened, None, [self.run, *outputs_linked], **QUIET)
        follow(heart.go(gone, None, [self.run, *outputs_linked], **QUIET))


def unchanged(component: gr.components.Component) -> Any:
    """Leaves an output as it is. For `gr.skip()` Gradio makes the component anew, which is most of an update's work."""
    return UNCHANGED if isinstance(component, gr.HTML) else gr.skip()


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
