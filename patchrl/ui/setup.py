"""The drawer of a new study: its settings, checked before anything loads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from patchrl import api
from patchrl.config import SECTIONS, presets, to_toml
from patchrl.errors import PatchRLError
from patchrl.jobs.expiry import LIFETIME_SECONDS
from patchrl.reporting import findings, markup, sentences
from patchrl.text import counted, dropped_rows
from patchrl.ui import fetching
from patchrl.ui.forms import Form
from patchrl.ui.reader import Snapshot
from patchrl.ui.session import CLOSE_DRAWER, Session

PUBLIC_NOTE = (
    "This page is public. Settings that you can change say which values they take here; the others stay as the preset has them. "
    f"Your runs are shown to you only, in this browser or after signing in, and kept for {LIFETIME_SECONDS / 86400:.0f} days."
)


ADVANCED = {
    "data": "Data",
    "backbone": "Backbone",
    "gate": "Gate",
    "reward": "Reward",
    "rewriter": "Rewriter",
    "rewrite": "Rewriting",
    "finetune": "Fine-tuning",
    "onpolicy": "On-policy",
    "evaluate": "Evaluation",
}


@dataclass(frozen=True)
class SetupWidgets:
    """The widgets of the drawer that others are connected to; `card` is the place for messages."""

    preset: gr.Dropdown
    start: gr.Button
    train: gr.Button
    check: gr.Button
    scan: gr.Button
    card: gr.HTML
    toml: gr.Code


def build(session: Session, form: Form) -> SetupWidgets:
    """The drawer."""
    with gr.Row(elem_id="drawer-head"):
        gr.HTML("<h2>New study</h2>")
        close = gr.Button("Close", elem_id="close-drawer", size="sm", scale=0)
        close.click(None, js=CLOSE_DRAWER)
    if session.limits.public:
        gr.HTML(markup.note(PUBLIC_NOTE))
    preset = gr.Dropdown(
        [(presets()[name].title, name) for name in session.offered()],
        value=next(iter(session.offered())),
        label="Preset",
        info="Fills every setting.",
    )
    with gr.Row():
        form.field("backbone", "model")
        form.field("data", "dataset")
    upload = gr.File(
        label="Or your own data: JSONL, CSV, Parquet",
        file_types=[".jsonl", ".json", ".csv", ".tsv", ".gz", ".parquet"],
        visible=session.limits.uploads,
        height=150,
    )
    if not session.limits.public:
        fetching.build()
    form.field("study", "arms")
    with gr.Row():
        for section in SECTIONS:
            form.basic(section)
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        for section, title in ADVANCED.items():
            with gr.Accordion(title, open=False), gr.Row():
                form.fields(section)
    with gr.Row(elem_id="drawer-buttons"):
        start = gr.Button("Start the study", variant="primary", elem_id="start")
        check = gr.Button("Check first", elem_id="check")
        scan = gr.Button("Scan a sample", elem_id="scan")
        train = gr.Button("Train the rewriter only", elem_id="train")
    card = gr.HTML("", elem_id="preflight")
    scanned = gr.HTML("", elem_id="scanned", elem_classes=["maybe"])
    with gr.Accordion("The same as a file and a command", open=False):
        toml = gr.Code(
            "", language=None, label="study.toml — run with: python -m patchrl run study.toml", interactive=False
        )

    session.live(scan_findings, [scanned], depends=("run", "events", "status"))

    def keep_upload(request: gr.Request, path: str | None) -> Any:
        if path is None:
            return gr.skip()
        try:
            # Gradio may clear its own upload folder.
            return str(session.keep_upload(session.visitor(request), path))
        except PatchRLError as error:
            raise gr.Error(str(error), print_exception=False) from None

    upload.upload(keep_upload, upload, form.widgets["data", "dataset"], api_visibility="private")

    return SetupWidgets(preset, start, train, check, scan, card, toml)


def wire(session: Session, form: Form, parts: SetupWidgets) -> None:
    """Connect what needs the settings of all tabs, once all tabs are built."""

    def fill(name: Any) -> list[Any]:
        offered = session.offered()
        return form.values(offered[name]) if name in list(offered) else [gr.skip()] * len(form.inputs())

    parts.preset.input(fill, parts.preset, form.inputs(), api_visibility="private", show_progress="hidden")

    def preflight(request: gr.Request, *values: Any) -> Iterator[tuple[str, str]]:
        try:
            config = session.allowed(session.visitor(request), form.config(values))
            toml = to_toml(config) or "# every setting has its default value"
            card = api.check(config)
            reads = card["ok"] and config.backbone.model != "nano" and not session.limits.public
            yield preflight_card(card, reading=reads), toml
            if reads:
                yield preflight_card(api.check(config, model=True)), toml
        except PatchRLError as error:
            yield markup.error(str(error)), ""

    parts.check.click(preflight, form.inputs(), [parts.card, parts.toml], api_visibility="private")


def preflight_card(check: dict[str, Any], reading: bool = False) -> str:
    """The result of the preflight as HTML; `reading` says that the backbone is still reading the first example."""
    parts = ["<h3>Check of the settings on this page</h3>"]
    parts += [markup.error(text) for text in check["problems"]]
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


def scan_findings(snapshot: Snapshot) -> str:
    """The findings of the chosen run's scan, and what to do next."""
    scan = snapshot.last("scan")
    if scan is None or snapshot.run is None:
        return ""
    name = f"<b>Scan of {markup.escape(snapshot.run.id)}</b>, the run chosen above, not of the settings in this form."
    if scan.get("gap") is None:
        return f'<p class="note">{name} It found nothing it could score.</p>'
    only = snapshot.status.get("state") == "done" and snapshot.last("train") is None and snapshot.result is None
    then = "<p>Press Resume to go on with this very study.</p>" if only else ""
    return f"<p>{name}</p>{findings.as_html(scan)}{then}"
