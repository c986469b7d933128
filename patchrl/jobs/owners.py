"""Whom a run belongs to. A public page shows visitors their own runs only; at home there is one user, who sees all runs."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from patchrl.errors import RunError
from patchrl.runs.folder import RUN_ID, RunFolder, exclusive

SECRET_FILE = ".secret"


@dataclass(frozen=True)
class Visitor:
    """Who asks.

    `ids` are the names that runs of this visitor have as owner; new runs get the first. `host`: sees and controls all runs.
    """

    ids: tuple[str, ...] = ()
    host: bool = False


HOST = Visitor(host=True)
NOBODY = Visitor()


def set_owner(folder: RunFolder, owner: str) -> None:
    """Record whom a run belongs to."""
    folder.write_json(folder.owner, {"owner": owner})


def owner_of(folder: RunFolder) -> str | None:
    """The owner of a run; None for a run of the host, who starts runs without a public page."""
    record = folder.read_json(folder.owner)
    owner = record.get("owner") if isinstance(record, dict) else None
    return owner if isinstance(owner, str) else None


def may_use(visitor: Visitor, runs_dir: Path, run_id: str) -> bool:
    """Whether a visitor may see and control a run. Only the record of its owner is read."""
    if not RUN_ID.fullmatch(run_id):
        return False
    return visitor.host or owner_of(RunFolder(runs_dir / run_id)) in visitor.ids


def server_secret(runs_dir: Path) -> str:
    """The key that signs the cookies of a runs folder. It is made once, so that visitors keep their runs over a restart."""
    path = runs_dir / SECRET_FILE
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        with exclusive(runs_dir):  # two servers that start at once have one key
            if not path.is_file() or not path.stat().st_size:
                temporary = path.with_name(f"{SECRET_FILE}.part")
                temporary.touch(0o600)
                temporary.write_text(secrets.token_urlsafe(32), encoding="utf-8")
                os.replace(temporary, path)
    except OSError as error:
        raise RunError(f"Runs folder {runs_dir}: {error.strerror or error}; choose another with --runs-dir.") from None
    return path.read_text(encoding="utf-8")
