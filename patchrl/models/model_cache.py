"""Which folder of this machine a backbone's name stands for. Imports no torch.

PatchRL keeps two kinds of models in its cache: those that `patchrl fetch` brought by name, and those read out of a GGUF
file, as safetensors.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from platformdirs import user_cache_path

from patchrl import nano
from patchrl.config import NAMED_BACKBONES, SMOLLM2
from patchrl.errors import BackboneError
from patchrl.types import HUB_ID

SMOLLM2_REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct"  # on the Hub
ORIGIN = "origin.json"  # says where the weights of a kept model came from
GGUF = ".gguf"
INSTALL_GGUF = 'pip install "patchrl[gguf]" (in a checkout: pip install -e ".[gguf]")'


def cache_folder() -> Path:
    """Where kept models lie, a folder each: the user's cache folder."""
    return user_cache_path("patchrl") / "models"


def model_folder(model: str, revision: str | None = None) -> Path | None:
    """The folder with a backbone's config, safetensors and tokenizer; None where it is not on this machine or is a Hub id."""
    if model == "nano":
        return nano.BACKBONE_FOLDER
    path = Path(model)
    if model != SMOLLM2 and path.is_dir() and not _is_gguf_folder(path):
        return path
    folder = cached_folder(model, revision)
    return folder if folder is not None and folder.is_dir() else None


def cached_folder(model: str, revision: str | None = None) -> Path | None:
    """Where the cache keeps a backbone, there or not; None for one that it does not keep."""
    if model == SMOLLM2:
        return cache_folder() / model
    if (file := gguf_file(model)) is not None:
        state = file.stat()
        identity = f"{file.resolve()} {state.st_size} {state.st_mtime_ns}"
    elif is_hub_gguf(model):
        identity, file = f"{model} {revision or ''}", Path(model)
    else:
        return None
    name = re.sub(r"[^\w.-]", "-", file.name.removesuffix(GGUF))
    return cache_folder() / f"{name}-{hashlib.blake2b(identity.encode(), digest_size=6).hexdigest()}"


def origin_of(model: str, revision: str | None = None) -> str:
    """Where the weights of a kept backbone came from, in words; empty for any other."""
    folder = cached_folder(model, revision)
    if folder is None or not (folder / ORIGIN).is_file():
        return ""
    return json.loads((folder / ORIGIN).read_text(encoding="utf-8"))["weights"]


def gguf_file(model: str) -> Path | None:
    """The GGUF file of this machine that a path means, itself or the only one in its folder; None without exactly one."""
    path = Path(model)
    if model.endswith(GGUF):
        return path if path.is_file() else None
    files = list(path.glob(f"*{GGUF}")) if _is_gguf_folder(path) else []
    return files[0] if len(files) == 1 else None


def several_problem(model: str, names: Sequence[str]) -> str:
    """That a folder or repository has several GGUF files, of which one has to be named."""
    shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
    return f"backbone.model: {model} has {len(names)} GGUF files ({shown}); name one, such as {model}/{names[0]}."


def is_hub_gguf(model: str) -> bool:
    """Whether a name means GGUF weights on the Hub: owner/name with GGUF in the name, or owner/name/file.gguf."""
    repo, file = split_hub_gguf(model)
    return bool(HUB_ID.fullmatch(repo)) and "/" in repo and (bool(file) or GGUF[1:] in repo.lower())


def split_hub_gguf(model: str) -> tuple[str, str]:
    """Repository and file of a name on the Hub; the file is empty where the name has none."""
    owner, _, rest = model.partition("/")
    name, _, file = rest.partition("/")
    return (f"{owner}/{name}", file) if file.endswith(GGUF) else (model, "")


def name_problem(model: str) -> str | None:
    """Why a name stands for no backbone that can be loaded, as far as the name tells; None where it may."""
    if model == SMOLLM2:
        return (
            None
            if model_folder(model)
            else f"backbone.model: {model} is not on this machine; run `patchrl fetch {model}`."
        )
    path = Path(model)
    if _is_gguf_folder(path) and gguf_file(model) is None:
        return several_problem(model, sorted(file.name for file in path.glob(f"*{GGUF}")))
    if model in NAMED_BACKBONES or path.is_dir() or gguf_file(model) or is_hub_gguf(model):
        return None
    if model.endswith(GGUF):
        return f"backbone.model: {model} is not a file; check the path."
    if HUB_ID.fullmatch(model):
        return None
    return (
        f"backbone.model: {model!r} is neither `nano`, `{SMOLLM2}`, an existing folder or GGUF file, nor a Hub id such as "
        "org/name."
    )


def gguf_problem(model: str) -> str | None:
    """Why a GGUF file cannot be read here; None where it can."""
    if find_spec("gguf") is None:
        return f"backbone.model: {model} is a GGUF file, and the package that reads it is missing: {INSTALL_GGUF}."
    return None


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` of the cache when all went well, and disappears otherwise.

    Raises BackboneError while another process fills the same folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock_of(folder).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackboneError(
                f"backbone.model: {folder.name} is being fetched already; wait until it is there."
            ) from None
        prefix = f".{folder.name}.part-"
        for left in folder.parent.glob(f"{prefix}*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent) as work:
            made = Path(work, "model")
            made.mkdir()
            yield made
            os.replace(made, folder)


def lock_of(folder: Path) -> Path:
    """The file that is locked while a folder of the cache is filled."""
    return folder.with_name(f".{folder.name}.lock")


def is_filling(folder: Path) -> bool:
    """Whether a process fills a folder of the cache now."""
    try:
        with lock_of(folder).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def write_origin(folder: Path, weights: str) -> None:
    """Note in a kept model's folder where its weights came from."""
    (folder / ORIGIN).write_text(json.dumps({"weights": weights}, indent=2) + "\n", encoding="utf-8")


def _is_gguf_folder(path: Path) -> bool:
    return path.is_dir() and any(path.glob(f"*{GGUF}")) and not any(path.glob("*.safetensors"))
