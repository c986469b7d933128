"""The runs of a folder and the recordings: open, list, delete."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from patchrl import recordings as shipped
from patchrl.api.runs import Run, require_own
from patchrl.errors import PatchRLError, RunError
from patchrl.jobs import deletion
from patchrl.jobs.owners import HOST, Visitor, may_use
from patchrl.jobs.public import uploads_folder
from patchrl.jobs.status import resolve_status
from patchrl.reporting.run_summary import RunSummary, summarise
from patchrl.runs.folder import UPLOADS, RunFolder, default_runs_dir, keep_file, run_folders

RECORDED_ID = shipped.LAB


def open_run(run_id: str | Path, runs_dir: Path | str | None = None) -> Run:
    """Open an existing run by its id (text) or by its folder (a Path).

    Text is never read as a path, so that what a visitor types cannot leave the runs folder. The ids of the recordings
    that ship with PatchRL (`recordings`) open those.

    Raises:
        RunError: no run has this id.

    Example:
        >>> patchrl.open_run("recorded-nano").status()["state"]
        'done'
    """
    return Run(_folder(run_id, runs_dir))


def _folder(run_id: str | Path, runs_dir: Path | str | None) -> RunFolder:
    """The folder of a run by its id or its path; raises RunError where there is none."""
    if isinstance(run_id, Path):
        return RunFolder.at(run_id)
    if not isinstance(run_id, str):
        raise RunError(f"open_run: {run_id!r:.40} is not the id of a run, which is text; list_runs names them.")
    if run_id in shipped.folders():
        return RunFolder(shipped.folders()[run_id])
    return RunFolder.find(runs_dir or default_runs_dir(), run_id)


def recordings() -> dict[str, str]:
    """The runs that ship with PatchRL: their titles by id, the one that a page shows first in front.

    Example:
        >>> list(patchrl.api.recordings())[-1]
        'recorded-nano'
    """
    return {run_id: shipped.about(path)["title"] for run_id, path in shipped.folders().items()}


def recorded_group() -> dict[str, Any]:
    """Four candidates of the lab's recorded training, with ℓ and embeddings, for the walkthrough."""
    return json.loads((shipped.folders()[RECORDED_ID] / "group.json").read_text(encoding="utf-8"))


def list_runs(runs_dir: Path | str | None = None, *, visitor: Visitor = HOST) -> list[Run]:
    """List all runs that a visitor may see, newest first; those whose settings are damaged only `summaries` names.

    Args:
        runs_dir: Where the runs are; your data folder unless given.
        visitor: Of a public page; without one, all runs are listed.

    Example:
        >>> [run.id for run in patchrl.list_runs("an-empty-folder")]
        []
    """
    runs = []
    for folder in visible_folders(runs_dir, visitor):
        try:
            runs.append(Run(folder))
        except PatchRLError:
            continue
    return runs


def summaries(runs_dir: Path | str | None = None, *, visitor: Visitor = HOST) -> list[RunSummary]:
    """What a list shows of all runs that a visitor may see, damaged ones included, newest first."""
    return [summary(folder) for folder in visible_folders(runs_dir, visitor)]


def summary(folder: RunFolder) -> RunSummary:
    """What a list shows of one run."""
    return summarise(folder, resolve_status(folder))


def visible_folders(runs_dir: Path | str | None, visitor: Visitor) -> list[RunFolder]:
    """Folders of all runs that a visitor may see, newest first."""
    home = Path(runs_dir or default_runs_dir())
    paths = [path for path in run_folders(home) if visitor.host or may_use(visitor, home, path.name)]
    dated = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            dated.append(((path / "config.json").stat().st_mtime, path))
    return [RunFolder(path) for _, path in sorted(dated, reverse=True)]


def delete_run(run_id: str | Path, runs_dir: Path | str | None = None) -> None:
    """Delete a run by its id or its folder, also one that is damaged: with everything that it made, or not at all.

    Raises RunError for a run that is going on or a recording.
    """
    folder = _folder(run_id, runs_dir)
    require_own(folder)
    deletion.delete(folder)


def keep_upload(path: Path | str, runs_dir: Path | str | None = None, owner: str | None = None) -> Path:
    """Copy a data file to where runs find it again when they are resumed, and return the copy.

    Inside the runs folder, hidden from its list: under a digest of its bytes, so that another file of the same
    name does not take its place. With an `owner`, a visitor of a public page, it is among that visitor's files.
    """
    home = Path(runs_dir or default_runs_dir())
    return keep_file(uploads_folder(home, owner) if owner else home / UPLOADS, Path(path))
