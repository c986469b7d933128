"""The stages of a study as a strip: how far each is, and how long it took or will take. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from patchrl.reporting import markup
from patchrl.reporting.run_status import phase_progress
from patchrl.text import duration

NAMES = {
    "scan": "Scan",
    "warm": "Warm start",
    "train": "Train",
    "rewrite": "Rewrite",
    "finetune": "Fine-tune",
    "evaluate": "Evaluate",
    "report": "Report",
}
TRAINING = "steps"  # the phase of the stage `train` that follows the warm start


class StageBox(NamedTuple):
    """One stage. `state` is done, now or ahead; `share` is how far it is, None where that is not known yet."""

    name: str
    state: str
    share: float | None
    text: str


def stage_boxes(
    counts: Mapping[str, int], events: Sequence[dict[str, Any]], status: Mapping[str, Any], *, live: bool
) -> list[StageBox]:
    """Every stage of a study.

    Args:
        counts: How many steps each stage has, by its name in the plan; `warm` for the warm starts.
        live: Whether the run is going on; if not, the stage it ended in is marked.
    """
    done, seconds = _finished(events, warm=counts.get("warm", 0) > 0)
    current = status.get("stage")
    if current == "train" and counts.get("warm") and status.get("phase") != TRAINING:
        current = "warm"
    if current is None and live:
        current = next((stage for stage in NAMES if done.get(stage, 0) < counts.get(stage, 0)), None)
    boxes = []
    for stage, title in NAMES.items():
        if not (count := counts.get(stage, 0)):
            continue
        ended = min(done.get(stage, 0), count)
        took = duration(seconds[stage]) if seconds.get(stage) else ""
        if ended == count:
            boxes.append(StageBox(title, "done", 1.0, took))
        elif stage == current:
            part = status["done"] / status["total"] if status.get("total") else None
            # A part whose last piece is done still works on what is not counted.
            share = None if part is None or part >= 1 else (ended + part) / count
            at_work = phase_progress(dict(status)) if status.get("stage") else "starting"
            reached = "" if part is None else f", {status['done']} of {status['total']} done"
            text = at_work if live else f"ended here{reached}"
            number = f"{ended + 1} of {count}: " if count > 1 else ""
            boxes.append(StageBox(title, "now", share if live else (ended + (part or 0)) / count, number + text))
        else:
            boxes.append(StageBox(title, "ahead", ended / count, f"{ended} of {count}" if ended else ""))
    return boxes


def _finished(events: Sequence[dict[str, Any]], *, warm: bool) -> tuple[dict[str, int], dict[str, float]]:
    """How many steps of each stage have ended, and the seconds they took."""
    done: dict[str, int] = {}
    seconds: dict[str, float] = {}

    def end(stage: str, took: float) -> None:
        done[stage] = done.get(stage, 0) + 1
        seconds[stage] = seconds.get(stage, 0.0) + took

    began = warmed = 0.0
    for event in events:
        if event["kind"] == "stage" and event["state"] == "start":
            began, warmed = event["t"], 0.0
        elif event["kind"] == "phase" and event["name"] == TRAINING and warm:
            warmed = event["t"] - began
            end("warm", warmed)
        elif event["kind"] == "stage":
            if event["stage"] == "train" and warm and not warmed:
                end("warm", 0.0)  # of an earlier version, which did not tell them apart
            end(event["stage"], max(0.0, event["seconds"] - warmed))
            warmed = 0.0
    return done, seconds


def strip_html(boxes: Sequence[StageBox]) -> str:
    """The strip as a list; a stage that works and cannot say how far it is has a bar that moves."""
    signs = {"done": "✓", "now": "▸", "ahead": "·"}
    words = {"done": "done", "now": "at work", "ahead": "to come"}
    items = []
    for box in boxes:
        amount = "" if box.share is None else f' value="{box.share:.3f}" max="1"'
        current = ' aria-current="step"' if box.state == "now" else ""
        items.append(
            f'<li class="{box.state}"{current}><b><i aria-hidden="true">{signs[box.state]}</i> {box.name}</b>'
            f'<progress aria-label="{box.name}: {words[box.state]}"{amount}></progress>'
            f"<span>{markup.escape(box.text or words[box.state])}</span></li>"
        )
    return f'<ol class="stages status">{"".join(items)}</ol>'
