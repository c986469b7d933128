"""Checkpoints of a training: one counts only by its mark, a file that is written last and lists all the others."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchrl.runs.folder import RunFolder
from patchrl.types import Recorder

# In the folder of what is trained, until it is: the rewriter's steps, those of its warm start, an arm's steps; and in the
# last, the steps of an SFT before RL.
CHECKPOINTS, WARM_START, TRAINER, SFT = "checkpoints", "warm-start", "trainer", "sft"
MARK_FILE = "whole.json"


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint: its folder, its step, the seconds of training until then, and the `progress` that the trainer's own
    files do not hold."""

    path: Path
    step: int
    seconds: float
    progress: dict[str, Any]


def mark_whole(path: Path, progress: dict[str, Any], seconds: float = 0.0) -> None:
    """Write the mark of a checkpoint whose other files are complete, after so many seconds of training."""
    mark = {"files": _sizes(path), "seconds": round(seconds, 3), "progress": progress}
    RunFolder.write_json(path / MARK_FILE, mark)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The whole checkpoint of the highest step in a trainer's folder, None without one."""
    return next((checkpoint for path in _newest_first(folder) if (checkpoint := whole_checkpoint(path))), None)


def resumable_checkpoint(folder: Path, recorder: Recorder) -> Checkpoint | None:
    """`newest_checkpoint`, with the torn ones deleted; a warning names those that were newer."""
    newest = newest_checkpoint(folder)
    step = newest.step if newest else 0
    for path in _newest_first(folder):
        if whole_checkpoint(path):
            continue
        shutil.rmtree(path, ignore_errors=True)
        if (torn := _step(path)) > step:
            start = f"from step {step}" if newest else "from its start"
            text = f"The checkpoint of step {torn} was not written to its end; training goes on {start}."
            recorder.event("message", level="warning", text=text)
    return newest


def newest_rewriter(folder: RunFolder, seed: int) -> tuple[Path, int | None] | None:
    """The newest whole rewriter of a seed: its folder and step (None: training ended), None without one."""
    home = folder.adapter(seed)
    if (home / "done.json").is_file():
        return home, None
    newest = newest_checkpoint(home / CHECKPOINTS)
    return (newest.path, newest.step) if newest else None


def _newest_first(folder: Path) -> list[Path]:
    paths = [path for path in folder.glob("checkpoint-*") if path.name.rpartition("-")[2].isdecimal()]
    return sorted(paths, key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])  # `_newest_first` yields no other names


def whole_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint at a path; None where its mark is missing or a file is not as long as the mark says."""
    mark = RunFolder.read_json(path / MARK_FILE)
    shape: dict[str, Any] = {"files": dict, "seconds": (int, float), "progress": dict}
    if not isinstance(mark, dict) or not all(isinstance(mark.get(name), kind) for name, kind in shape.items()):
        return None
    if not mark["files"].items() <= _sizes(path).items():
        return None
    return Checkpoint(path, _step(path), mark["seconds"], mark["progress"])


def _sizes(path: Path) -> dict[str, int]:
    """Bytes of every file but the mark, by name relative to the checkpoint."""
    files = (file for file in path.rglob("*") if file.is_file() and not file.name.endswith((MARK_FILE, ".part")))
    return {str(file.relative_to(path)): file.stat().st_size for file in files}
