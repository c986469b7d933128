"""The drawer of a new study: its settings, checked before anything loads."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.config import presets, read_config, to_toml
from patchrl.data.examples import LAB_DATASETS
from patchrl.errors import ConfigError, PatchRLError
from patchrl.jobs.expiry import LIFETIME_SECONDS
from patchrl.jobs.public import CHANGEABLE
from patchrl.reporting import markup, sentences
from patchrl.text import counted, dropped_rows
from patchrl.ui import fetching
from patchrl.ui.forms import Form, problems_by_field
from patchrl.ui.session import CLOSE_DRAWER, QUIET, Session

BASIC = (
    *("backbone.model", "data.dataset", "study.arms", "study.seeds", "data.train_size"),
    *("reward.kind", "rewriter.steps", "finetune.learning_rate", "finetune.epochs", "study.name"),
)
ADVANCED = {
    "study": "Study",
    "data": "Data",
    "backbone": "Backbone",
    "engine": "Engine",
    "gate": "Gate",
    "reward": "Reward",
    "rewriter": "Rewriter",
    "rewrite": "Rewriting",
    "finetune": "Fine-tuning",
    "onpolicy": "On-policy arms",
    "evaluate": "Evaluation",
}
MAX_TOML = 100_000  # characters
REPLY_SCRIPT = "watch('value', () => patchrl.answer(element, props.value || {}));"
DRAFT_KEY = "patchrl-new-study"
PUBLIC_NOTE = (
    "This page is public. Settings that you can change say which values they take here; the others stay as the preset has them. "
    f"Your runs are shown to you only, in this browser or after signing in, and kept for {LIFETIME_SECONDS / 86400:.0f} days."
)


@dataclass(frozen=True)
class SetupWidgets:
    """The widgets of the drawer that others are connected to.

    `reply` gets what `patchrl.answer` of page.js shows: a run that `started`, a file to `save`, or `problems` by field.
    """

    preset: gr.Dropdown
    starters: dict[str, gr.Button]  # by the last stage that they run
    check: gr.Button
    card: gr.HTML
    load: gr.Button
    save: gr.Button
    reply: gr.HTML


def build(session: Session, form: Form) -> SetupWidgets:
    """The drawer."""
    public = session.limits.public
    drawer_head("New study")
    if public:
        gr.HTML(markup.note(PUBLIC_NOTE))
    preset = gr.Dropdown(
        [(presets()[name].title, name) for name in session.offered()],
        value=next(iter(session.offered())),
        label="Preset",
        info="Fills every setting.",
        elem_id="preset",
    )
    with gr.Row():
        for path in CHANGEABLE if public else BASIC:
            form.field(*path.split("."))
    upload = gr.UploadButton(
        "Your own data: JSONL, CSV, Parquet",
        file_types=[".jsonl", ".json", ".csv", ".tsv", ".gz", ".parquet"],
        visible=session.limits.uploads,
        size="sm",
        elem_id="upload",
    )
    if not public:
        fetching.build()
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        for section, title in ADVANCED.items():
            if keys := form.left(section):
                with gr.Accordion(title, open=False, elem_id=f"advanced-{section}"), gr.Row():
                    for key in keys:
                        form.field(section, key)
    with gr.Row(elem_id="files"):
        load = gr.Button("Load a TOML file", size="sm", elem_id="load-toml")
        save = gr.Button("Save as TOML", size="sm", elem_id="save-toml")
        train = gr.Button("Train the rewriter only", size="sm", elem_id="train")
    card = gr.HTML("", elem_id="preflight")
    with gr.Column(elem_id="drawer-foot"):
        reply = gr.HTML(
            value={},
            html_template="<div></div>",
            js_on_load=REPLY_SCRIPT,
            elem_id="reply",
            label="Problems of the settings",
        )
        with gr.Row():
            start = gr.Button("Start the study", variant="primary", elem_id="start")
            check = gr.Button("Check first", elem_id="check")
            scan = gr.Button("Scan a sample", elem_id="scan")

    def keep_upload(request: gr.Request, path: str | None) -> Any:
        if path is None:
            return gr.skip()
        try:
            # Gradio may clear its own upload folder.
            return str(session.keep_upload(session.visitor(request), path))
        except PatchRLError as error:
            raise gr.Error(str(error), print_exception=False) from None

    upload.upload(keep_upload, upload, form.widgets["data", "dataset"], api_visibility="private")
    return SetupWidgets(preset, {"report": start, "scan": scan, "train": train}, check, card, load, save, reply)


def drawer_head(title: str) -> None:
    """The title of a drawer, and the button that closes it."""
    with gr.Row(elem_classes=["drawer-head"]):
        gr.HTML(f"<h2>{title}</h2>")
        gr.Button("Close", size="sm", scale=0, min_width=80).click(None, js=CLOSE_DRAWER)


def wire(session: Session, form: Form, parts: SetupWidgets, demo: gr.Blocks) -> None:
    """Connect what needs every setting, once all are made."""

    def fill(name: Any) -> list[Any]:
        offered = session.offered()
        return form.values(offered[name]) if name in list(offered) else [gr.skip()] * len(form.inputs())

    parts.preset.input(fill, parts.preset, form.inputs(), **QUIET)

    def preflight(request: gr.Request, *values: Any) -> Iterator[tuple[Any, str]]:
        try:
            config = session.allowed(session.visitor(request), form.config(values))
            card = api.check(config)
            reads = card["ok"] and config.backbone.model != "nano" and not session.limits.public
            yield problems(*card["problems"]) | {"checked": True}, preflight_card(card, reading=reads)
            if reads:
                card = api.check(config, model=True)
                yield problems(*card["problems"]), preflight_card(card)
        except PatchRLError as error:
            yield problems(str(error)), ""

    parts.check.click(preflight, form.inputs(), [parts.reply, parts.card], api_visibility="private")

    def save(request: gr.Request, *values: Any) -> dict[str, Any]:
        try:
            config = session.allowed(session.visitor(request), form.config(values))
        except PatchRLError as error:
            return problems(str(error))
        return {
            "save": [f"{config.study.name}.toml", to_toml(config) or "# every setting has its default value\n"]
        } | _now()

    parts.save.click(save, form.inputs(), parts.reply, **QUIET)

    def load(request: gr.Request, text: Any) -> list[Any]:
        unchanged = [gr.skip()] * (1 + len(form.inputs()))
        if not isinstance(text, str) or not text:
            return [gr.skip(), *unchanged]
        try:
            if len(text) > MAX_TOML:
                raise ConfigError("The file is too long for the settings of a study; choose another.")
            config = session.allowed(session.visitor(request), read_config(text, "The file"))
        except PatchRLError as error:
            return [problems(str(error)), *unchanged]
        return [problems(), None, *form.values(config)]

    parts.load.click(
        load, parts.reply, [parts.reply, parts.preset, *form.inputs()], js="async () => [await patchrl.pick()]", **QUIET
    )
    _keep_draft(session, form, parts.preset, demo)


def _keep_draft(session: Session, form: Form, preset: gr.Dropdown, demo: gr.Blocks) -> None:
    """What was typed is kept in the browser, until these settings or their defaults change."""
    opening = form.values(form.opening)
    version = hashlib.sha256(repr([*form.widgets, opening]).encode()).hexdigest()[:16]
    draft = gr.BrowserState(None, storage_key=DRAFT_KEY, secret=DRAFT_KEY)
    fields = [preset, *form.inputs()]
    keep = f"(...values) => ({{version: '{version}', values}})"
    gr.on([field.change for field in fields], None, fields, draft, js=keep)

    def restore(request: gr.Request, kept: Any) -> list[Any]:
        values = kept.get("values") if isinstance(kept, dict) and kept.get("version") == version else None
        if not isinstance(values, list) or len(values) != len(fields):
            return [gr.skip()] * len(fields)
        if session.limits.public:
            values = _changeable(form, values, session.uploads_folder(session.visitor(request)))
        return values

    demo.load(restore, draft, fields, **QUIET)


def _changeable(form: Form, values: list[Any], uploads: Path | None) -> list[Any]:
    """The draft of a visitor of a public page: what can be changed there, and no data file but the visitor's own."""
    preset, *settings = values
    kept = []
    for (section, key), value in zip(form.widgets, settings, strict=True):
        own = uploads is not None and uploads.resolve() in Path(str(value)).resolve().parents
        known = (section, key) != ("data", "dataset") or value in LAB_DATASETS or own
        kept.append(value if f"{section}.{key}" in CHANGEABLE and known else gr.skip())
    return [preset, *kept]


def problems(*sentences: str) -> dict[str, Any]:
    """What `reply` shows of errors; without any it shows nothing."""
    return {"problems": [problem for sentence in sentences for problem in problems_by_field(sentence)]} | _now()


def started(run_id: str) -> dict[str, Any]:
    """What `reply` gets when a run was started."""
    return {"started": run_id} | _now()


def _now() -> dict[str, Any]:
    return {"at": time.time()}  # what is answered again is shown again


def preflight_card(check: dict[str, Any], reading: bool = False) -> str:
    """The result of the preflight as HTML; `reading` says that the backbone is still reading the first example."""
    parts = ["<h3>Check of these settings</h3>"]
    parts += [f'<p class="note">⚠ {markup.escape(text)}</p>' for text in check["warnings"]]
    if check.get("rows"):
        facts = [
            ["Rows", f"{check['rows']['train']} to train on, {check['rows']['eval']} held out"],
            ["Dropped", dropped_rows(check["dropped"])],
            ["Columns", ", ".join(f"{role} = {name}" for role, name in check["columns"].items())],
            *([["Columns not used", ", ".join(check["unused_columns"])]] if check["unused_columns"] else []),
            *(["Note", note] for note in check["notes"]),
            ["Task", check["task"]],
            *(
                [f"{choice['setting']}, left out", f"{choice['value']}: {choice['reason']}"]
                for choice in check.get("chosen", ())
            ),
            *([["Weights", check["origin"]]] if check["origin"] else []),
            *map(list, sentences.estimates(check).items()),
            *([["First solution", sentences.first_reading(check)]] if check.get("first_nll") is not None else []),
            ["Command", check["command"]],
        ]
        first = check["first"]
        parts += [
            markup.table(("Preflight", "Found"), facts),
            f"<p><b>First example.</b> {markup.escape(first['question'])}</p>",
            f"<p><b>Expert.</b> {markup.escape(first['solution'])} <b>Answer:</b> {markup.escape(first['reference'])}</p>",
        ]
        if check["row"]:
            parts.append(token_strip(check["row"]["texts"]))
        else:
            parts.append('<p class="note">Its tokens are shown once the tokenizer is on this machine.</p>')
    if reading:
        parts.append('<p class="note">The backbone is loading to read the first example once …</p>')
    else:
        parts.append("<p>✓ Ready to run.</p>" if check["ok"] else "<p>✗ This cannot run as it is.</p>")
    return "".join(parts)


def token_strip(tokens: dict[str, list[str]]) -> str:
    """The first row as every stage reads it, token by token."""
    parts = []
    for part, title in (("prompt", "Prompt"), ("completion", "Solution"), ("end", "End of the turn")):
        cut = "".join(f"<span>{markup.escape(token) or '∅'}</span>" for token in tokens[part])
        parts.append(f'<p><b>{title}, {counted(len(tokens[part]), "token")}.</b></p><div class="cut">{cut}</div>')
    return "".join(parts)
