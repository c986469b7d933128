"""The page: run picker, status line, seven tabs, and the drawer of a new study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from patchrl.errors import PatchRLError
from patchrl.jobs.public import CHANGEABLE
from patchrl.jobs.status import LIVE_STATES
from patchrl.reporting import glossary, markup, run_status
from patchrl.ui import compare, forgetting, learn, results, runs, runsettings, setup, story, training
from patchrl.ui.forms import Form
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import OPEN_DRAWER, Session

TITLE = (
    "<h1>PatchRL</h1><p>Rewrite fine-tuning data the way the model itself answers, and measure what is forgotten.</p>"
)
CACHE_SECONDS, CACHE_SWEEP_SECONDS = 24 * 3600, 3600  # Gradio's copies of files for download
NO_RUN = "No run is chosen. Choose one above, or press New study."
TABS = ("story", "training", "compare", "forgetting", "report", "runs", "learn")
CAPTIONS = {  # what each tab shows, in words that the glossary explains
    "training": "The [rewriter] learns by [GRPO]: it samples a [group] of rewrites for each question, the [gate] refuses those that "
    "are wrong, and the [reward] ranks the others.",
    "compare": "Each [expert solution] beside its [rewrite]: the verdict of the [gate], [ℓ] of both, or the [fallback].",
    "forgetting": "Each [arm] makes training text in its own way; the [backbone] then learns the [target] from it, and what is "
    "[forgotten] of its [general] skills is measured.",
    "report": "What a [study] leaves: its report, the [rewrite|rewrites], and the adapter of the [rewriter].",
}
SHOWN = {"report": "story", "train": "training", "scan": "compare"}  # the tab that follows a start, by its last stage


def build(session: Session) -> gr.Blocks:
    """The app over the runs of one folder."""
    form = Form(next(iter(session.offered().values())), CHANGEABLE if session.limits.public else None)
    with gr.Blocks(title="PatchRL", delete_cache=(CACHE_SWEEP_SECONDS, CACHE_SECONDS)) as demo:
        gr.HTML(TITLE, elem_id="title")
        with gr.Row(elem_id="controls"):
            session.run = gr.Dropdown([], value=None, label="Run", allow_custom_value=True, elem_id="run", scale=3)
            settings = gr.Button("Run settings", elem_id="show-settings", scale=1)
            settings.click(None, js="() => patchrl.drawer('settings')")
            stop = gr.Button("Stop & save", elem_id="stop", scale=1, visible=False)
            cancel = gr.Button("Cancel", elem_id="cancel", variant="stop", scale=1, visible=False)
            resume = gr.Button("Resume", elem_id="resume", scale=1, visible=False)
            new = gr.Button("New study", elem_id="new-study", variant="primary", scale=1)
            new.click(None, js=OPEN_DRAWER)
        status = gr.HTML("", elem_id="status")
        session.live(status_line, [status], depends=("run", "status"))
        session.live(usable, [stop, cancel, resume], depends=("run", "status", "result"))
        with gr.Tabs(selected=TABS[0], elem_id="tabs") as session.tabs:
            with gr.Tab("Story", id="story"):
                story_buttons = story.build(session)
            with gr.Tab("Training", id="training"):
                caption("training")
                training.build(session)
            with gr.Tab("Compare", id="compare"):
                caption("compare")
                arm, seed = compare.build(session)
            with gr.Tab("Forgetting", id="forgetting"):
                caption("forgetting")
                forgetting.build(session)
            with gr.Tab("Report", id="report"):
                caption("report")
                results.build(session)
            with gr.Tab("Runs", id="runs"):
                all_runs = runs.build(session)
            with gr.Tab("Learn", id="learn") as lesson:
                walkthrough = learn.build(session)
        with gr.Column(elem_id="drawer", elem_classes=["drawer"]):
            parts = setup.build(session, form)
        with gr.Column(elem_id="settings", elem_classes=["drawer"]):
            clone = runsettings.build(session)
        session.wire(demo, linked, [session.tabs, arm, seed])
        story.wire(session, story_buttons, walkthrough.recording)
        learn.wire(walkthrough, lesson, session.tabs, session)
        setup.wire(session, form, parts, demo)
        runsettings.wire(session, form, clone, parts.preset)
        runs.wire(session, all_runs)
        _wire_buttons(session, form, parts, (stop, cancel, resume))
    return demo


def caption(tab: str) -> None:
    """What a tab shows, with its terms explained where they first stand."""
    gr.HTML(f'<p class="caption">{glossary.explained(CAPTIONS[tab])}</p>')


def _wire_buttons(session: Session, form: Form, parts: setup.SetupWidgets, controls: Any) -> None:
    """Connect the buttons that start (up to a stage), stop and continue runs."""
    stop, cancel, resume = controls

    def starter(upto: str) -> Any:
        def start(request: gr.Request, *values: Any) -> tuple[Any, Any, Any]:
            visitor = session.visitor(request)
            try:
                run, message = session.begin(visitor, session.allowed(visitor, form.config(values)), upto)
            except PatchRLError as error:
                return gr.skip(), gr.skip(), setup.problems(str(error))
            gr.Info(message)
            run_update = gr.update(choices=session.reader.choices(visitor), value=run.id)
            return run_update, gr.Tabs(selected=SHOWN[upto]), setup.started(run.id)

        return start

    # One queue for all of them: pressing twice must not start two runs.
    one_at_a_time: dict[str, Any] = {"concurrency_id": "start", "concurrency_limit": 1, "api_visibility": "private"}
    outputs = [session.run, session.tabs, parts.reply]
    for upto, button in parts.starters.items():
        button.click(None, js="() => patchrl.starting()")
        session.follow(button.click(starter(upto), form.inputs(), outputs, show_progress="hidden", **one_at_a_time))

    def act(what: str) -> Any:
        def do(request: gr.Request, run_id: str | None) -> None:
            visitor = session.visitor(request)
            try:
                run = session.reader.open(visitor, run_id)
                if what == "resume":
                    session.require_place(visitor)
                    # A run that ended where it was asked to goes on to the end.
                    run.resume("report" if run.status()["state"] == "done" else None, queue=True)
                    gr.Info(session.queue_message(visitor, run) or "Resumed; finished steps are not done again.")
                elif run.status()["state"] not in LIVE_STATES:
                    raise PatchRLError("This run is not running.")
                elif what == "stop":
                    run.stop()
                    gr.Info("Stopping within a minute; what is done so far is kept.")
                else:
                    run.cancel()
            except PatchRLError as error:
                gr.Warning(str(error))

        return do

    for button, what in ((stop, "stop"), (cancel, "cancel"), (resume, "resume")):
        options = one_at_a_time if what == "resume" else {"api_visibility": "private"}
        session.follow(button.click(act(what), session.run, None, **options))


def addressed_tab(query: Mapping[str, str]) -> str:
    """The tab that an address names, or the tab of its row or question."""
    return query.get("tab") or ("compare" if query.get("row") else "forgetting" if query.get("question") else TABS[0])


def linked(query: Mapping[str, str]) -> list[Any]:
    """The tab and the dataset that an address names: `?tab=…`; `&row=…` opens a row on Compare, `&question=…` one on Forgetting."""
    tab = addressed_tab(query)
    # The page opens on the first tab by itself; opening it once more would undo a click that was quicker.
    selected = gr.Tabs(selected=tab) if tab in TABS[1:] else gr.skip()
    return [selected, query.get("arm") or gr.skip(), query.get("seed") or gr.skip()]


def usable(snapshot: Snapshot) -> list[Any]:
    """Stop and Cancel for a run that is going on, Resume for one that ended unfinished."""
    state = snapshot.status.get("state")
    live = state in LIVE_STATES
    unfinished = snapshot.run is not None and not live and snapshot.result is None
    going_on = "Go on to the end" if state == "done" else "Resume"
    return [*(gr.update(visible=live),) * 2, gr.update(visible=unfinished, value=going_on)]


def status_line(snapshot: Snapshot) -> str:
    """State and progress of the run, and why it failed if it did; without one, what to do."""
    if snapshot.run is None:
        return f'<p class="note">{markup.escape(snapshot.problem or NO_RUN)}</p>'
    status, line = snapshot.status, run_status.describe_status(snapshot.status)
    line = "; ".join([line, *snapshot.run.damage()])
    if snapshot.run.about:
        line = snapshot.run.about
    if status["state"] == "failed":
        last = markup.escape("\n".join(snapshot.run.log_tail(12))) or "The log is empty."
        log = f'<details><summary>Last lines of its log</summary><pre class="code" tabindex="0">{last}</pre></details>'
        return f'<p class="problem" role="alert">✗ {markup.escape(line)}</p>{log}'
    sign = {"done": "✓ ", "stopped": "■ ", "cancelled": "■ "}.get(status["state"], "")
    if status["state"] not in LIVE_STATES:
        return f'<div class="status">{sign}{markup.escape(line)}</div>'
    amount = f' value="{status["done"]}" max="{status["total"]}"' if status.get("total") else ""
    return f'<div class="status" role="status">{markup.escape(line)}<progress aria-label="progress of this stage"{amount}></progress></div>'
