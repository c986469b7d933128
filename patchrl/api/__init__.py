"""The one door behind command line and pages: start runs, follow them, read what they made. No torch."""

from patchrl.api.listing import (
    RECORDED_ID,
    delete_run,
    keep_upload,
    list_runs,
    open_run,
    recorded_group,
    recordings,
    summaries,
    summary,
    visible_folders,
)
from patchrl.api.runs import EXPORTS, Run
from patchrl.api.studies import check, require_ready, run, start
from patchrl.grading.verify import verify_answer
from patchrl.playground.client import Answer, Playground
from patchrl.playground.requests import Caps, lab_example, play_settings, prompted, typed_example, typed_text
from patchrl.types import ChatModel, Writer

__all__ = [
    "EXPORTS",
    "RECORDED_ID",
    "Answer",
    "Caps",
    "ChatModel",
    "Playground",
    "Run",
    "Writer",
    "check",
    "delete_run",
    "keep_upload",
    "lab_example",
    "list_runs",
    "open_run",
    "play_settings",
    "prompted",
    "recorded_group",
    "recordings",
    "require_ready",
    "run",
    "start",
    "summaries",
    "summary",
    "typed_example",
    "typed_text",
    "verify_answer",
    "visible_folders",
]
