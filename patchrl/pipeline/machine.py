"""What the machine allows: disk, processes, and models named beside the backbone. No torch."""

from __future__ import annotations

import importlib.util
import math
import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open

from patchrl.config import StudyConfig
from patchrl.models.model_cache import model_folder
from patchrl.pipeline.launcher import launcher_problems
from patchrl.runs.folder import default_runs_dir
from patchrl.types import HUB_ID

WEIGHTS = ("*.safetensors", "*.bin")


def machine_problems(config: StudyConfig, disk_mb: float | None, runs_dir: Path | str | None = None) -> list[str]:
    """Why a study cannot run here, as far as its settings and the machine tell; one sentence each."""
    return [
        *launcher_problems(config),
        *quantization_problems(config),
        *embedder_problems(config.reward.embedder),
        *disk_problems(disk_mb, runs_dir),
    ]


def has_nvidia_gpu() -> bool:
    return next(Path("/dev").glob("nvidia[0-9]*"), None) is not None


def quantization_problems(config: StudyConfig) -> list[str]:
    """What is missing for a quantised backbone."""
    bits = config.rewriter.quantization
    if bits == "none":
        return []
    if importlib.util.find_spec("bitsandbytes") is None:
        return [
            f"rewriter.quantization: {bits} needs bitsandbytes; install it with pip install bitsandbytes, or set none."
        ]
    if config.backbone.device in ("cpu", "mps") or not has_nvidia_gpu():
        return [f"rewriter.quantization: {bits} needs an NVIDIA GPU, and the study would run without one; set none."]
    return []


def embedder_problems(name: str) -> list[str]:
    """An embedder that is neither the backbone, nor a saved model, nor a name on the Hub."""
    if name == "backbone":
        return []
    folder = Path(name)
    if folder.is_dir():
        described = (folder / "modules.json").is_file() or (folder / "config.json").is_file()
        if described and any(next(folder.rglob(pattern), None) for pattern in WEIGHTS):
            return []
        return [f"reward.embedder: {name} has no model; give the folder of a saved sentence-transformers model."]
    if HUB_ID.fullmatch(name) and not folder.is_file():
        return []
    return [f"reward.embedder: {name!r} is neither `backbone`, a model's folder, nor a Hub id such as org/name."]


def disk_problems(disk_mb: float | None, runs_dir: Path | str | None = None) -> list[str]:
    """More disk than is free where runs are kept."""
    folder = Path(runs_dir or default_runs_dir()).absolute()
    while not folder.exists():
        folder = folder.parent
    free_mb = shutil.disk_usage(folder).free / 2**20
    if disk_mb is None or disk_mb <= free_mb:
        return []
    return [
        f"The study writes about {disk_mb:,.0f} MB and {free_mb:,.0f} MB are free in {folder}; free some space, choose "
        "another folder with --runs-dir, or set finetune.keep_weights to false."
    ]


def weight_count(model: str, revision: str | None = None) -> int | None:
    """How many weights the files of a backbone hold; None for those that are not in a folder here or cannot be read."""
    folder = model_folder(model, revision)
    if folder is None:
        return None
    count = 0
    try:
        for path in folder.glob("*.safetensors"):
            with safe_open(path, "numpy") as file:
                count += sum(math.prod(file.get_slice(name).get_shape()) for name in list(file.keys()))
    except (SafetensorError, OSError):
        return None
    return count
