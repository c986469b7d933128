"""A run's folder: the one place that knows its file names."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from patchrl.config import StudyConfig
from patchrl.config.fields import text_problem
from patchrl.errors import RunError
from patchrl.runs.shapes import shape_problem
from patchrl.text import parse_json

UPLOADS, VISITOR_UPLOADS, EVALUATIONS = ".uploads", ".visitor-uploads", ".evaluations"
TRASH = ".trash"  # runs that are being deleted
MAX_NAME = 80  # characters of a run's name
# Fields of status.json that earlier versions wrote by other names.
STATUS_FIELDS = {"asked": "queued_at", "worked": "seconds_before", "ahead": "queued_behind", "note": "phase"}
RUN_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$")


def default_runs_dir() -> Path:
    """$PATCHRL_RUNS_DIR, else the user's data folder; never the working directory."""
    setting = os.environ.get("PATCHRL_RUNS_DIR")
    return Path(setting) if setting else user_data_path("patchrl") / "runs"


def name_problem(name: str) -> str | None:
    """Why a text cannot be the name of a run; None where it can."""
    if len(name) > MAX_NAME:
        return f"at most {MAX_NAME} characters can be given"
    return text_problem(name)


def run_folders(runs_dir: Path) -> list[Path]:
    """Folders of all runs in a folder, in no order."""
    paths = runs_dir.iterdir() if runs_dir.is_dir() else ()
    return [path for path in paths if RUN_ID.fullmatch(path.name) and (path / "config.json").exists()]


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder: a run's, so that no two launches find it without a worker; that of all runs, to take a turn."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def keep_file(uploads: Path, path: Path) -> Path:
    """A copy of a file in a folder of uploads; the same bytes are kept once."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    copy = uploads / digest / path.name
    if not copy.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        temporary = copy.with_name(f".{secrets.token_hex(4)}.part")
        shutil.copyfile(path, temporary)
        os.replace(temporary, copy)
    return copy.resolve()


class RunFolder:
    """Every path inside one run's folder."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, runs_dir: Path | str, config: StudyConfig, name: str | None = None) -> RunFolder:
        """A new folder with its resolved config; the id is made here and never by a visitor."""
        name = name or config.study.name
        run_id = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        if not RUN_ID.fullmatch(run_id):
            raise RunError(f"Run name {name!r}: use letters, digits, - and _, at most 40 of them.")
        folder = cls(Path(runs_dir) / run_id)
        try:
            folder.path.mkdir(parents=True)
            try:
                folder.write_json(folder.config, config.model_dump(mode="json"))
            except OSError:
                shutil.rmtree(folder.path, ignore_errors=True)
                raise
        except OSError as error:
            raise RunError(
                f"Runs folder {runs_dir}: {error.strerror or error}; choose another with --runs-dir."
            ) from None
        return folder

    @classmethod
    def find(cls, runs_dir: Path | str, run_id: str) -> RunFolder:
        """The folder of an existing run; raises RunError for an id that is malformed or unknown."""
        if not RUN_ID.fullmatch(run_id):
            raise RunError(f"Run {run_id!r:.90} is not a run id; the tab Runs and `patchrl list` show all.")
        folder = cls(Path(runs_dir) / run_id)
        if not folder.config.exists():
            raise RunError(f"Run {run_id!r} is not in {runs_dir}; the tab Runs and `patchrl list` show its runs.")
        return folder

    @classmethod
    def at(cls, path: Path) -> RunFolder:
        """The folder of an existing run by its path; raises RunError where it contains no run."""
        folder = cls(path)
        try:
            folder.config.stat()
        except (OSError, ValueError):  # ValueError: a NUL character
            raise RunError(f"Folder {str(path)!r:.200} contains no run; `patchrl list` shows all ids.") from None
        return folder

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def owner(self) -> Path:
        """Whom a run of a public page belongs to."""
        return self.path / "owner.json"

    @property
    def name(self) -> Path:
        """What somebody called the run."""
        return self.path / "name.json"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def stop_flag(self) -> Path:
        return self.path / "stop"

    @property
    def scan(self) -> Path:
        return self.path / "scan.json"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def table(self) -> Path:
        """The numbers of `result`, one a row."""
        return self.path / "result.csv"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def samples_dir(self) -> Path:
        return self.path / "samples"

    def samples(self, source: str, seed: int) -> Path:
        """Rows of one source of targets (`Arm.data`), one JSON line an example; arms of that source share them."""
        return self.samples_dir / f"{source}-seed{seed}.jsonl"

    def surprisal(self, source: str, seed: int) -> Path:
        """Token surprisal of the same rows."""
        return self.samples_dir / f"{source}-seed{seed}.surprisal.jsonl"

    def targets(self, source: str, seed: int) -> Path:
        """Summary of a source's fine-tuning targets."""
        return self.samples_dir / f"{source}-seed{seed}.summary.json"

    def embeddings(self, source: str) -> Path:
        """Embeddings of a sample of texts: `scan` (expert, own, prompted), or a source of targets."""
        return self.path / "embeddings" / f"{source}.npz"

    def replay(self, seed: int) -> Path:
        """General questions with the backbone's own answers, for arms with replay."""
        return self.samples_dir / f"replay-seed{seed}.jsonl"

    def replay_summary(self, seed: int) -> Path:
        return self.samples_dir / f"replay-seed{seed}.summary.json"

    def adapter(self, seed: int, rewriter: str = "rl") -> Path:
        """A trained rewriter, by its name in `patchrl.config.arms.REWRITERS`."""
        home = self.path / "adapter"
        return (home if rewriter == "rl" else home / rewriter) / f"seed-{seed}"

    @property
    def arms(self) -> Path:
        return self.path / "arms"

    def arm(self, arm: str, seed: int, rate: float | None = None) -> Path:
        """A tuned arm; `rate` where the study tunes each arm at several learning rates."""
        home = self.arms / arm / f"seed-{seed}"
        return home if rate is None else home / f"lr-{rate:g}"

    def base(self) -> Path:
        return self.arms / "base"

    @property
    def base_texts(self) -> Path:
        """Texts of the backbone on which `patchrl.evaluation.divergence` is measured."""
        return self.base() / "texts.json"

    @property
    def journals(self) -> Path:
        """What steps that are not done have finished so far."""
        return self.path / "journals"

    @property
    def evaluations(self) -> Path:
        """Answers of earlier evaluations, shared by all runs beside this one; may be deleted at any time."""
        return self.path.parent / EVALUATIONS

    def read_status(self) -> dict[str, Any] | None:
        """The status as the worker wrote it, None if it is missing or damaged."""
        status = self.read_json(self.status)
        if not isinstance(status, dict):
            return None
        status = {STATUS_FIELDS.get(str(field), str(field)): value for field, value in status.items()}
        return None if shape_problem("status", status) else status

    def read_shaped(self, path: Path, kind: str) -> Any | None:
        """The value of a file of a kind in `patchrl.runs.shapes`; None where it is absent or damaged."""
        value = self.read_json(path)
        return None if value is None or shape_problem(kind, value) else value

    def read_name(self) -> str | None:
        """What somebody called the run; None where nobody did."""
        record = self.read_json(self.name)
        name = record.get("name") if isinstance(record, dict) else None
        return name if isinstance(name, str) and name and not name_problem(name) else None

    @staticmethod
    def write_json(path: Path, value: Any) -> None:
        """Write to a temporary name and rename, so that a reader sees the old file or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            temporary.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False), encoding="utf-8")
            os.replace(temporary, path)
        except OSError:  # a full disk: what was written of it must not take what is left
            temporary.unlink(missing_ok=True)
            raise

    @staticmethod
    def read_json(path: Path) -> Any | None:
        """The file's value, None where it is absent or damaged: writes are whole, so that somebody else cut it."""
        try:
            return parse_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
