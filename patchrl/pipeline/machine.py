"""What the machine allows: disk, processes, and models named beside the backbone. No torch."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open

from patchrl.config import StudyConfig
from patchrl.errors import ConfigError
from patchrl.models.model_cache import model_folder
from patchrl.runs.folder import default_runs_dir
from patchrl.types import HUB_ID

WEIGHTS = ("*.safetensors", "*.bin")


def machine_problems(config: StudyConfig, disk_mb: float | None, runs_dir: Path | str | None = None) -> list[str]:
    """Why a study cannot run here, as far as its settings and the machine tell; one sentence each."""
    return [*launcher_problems(config), *embedder_problems(config.reward.embedder), *disk_problems(disk_mb, runs_dir)]


def launched_processes() -> int:
    """How many processes a launcher started, of which this is one; 1 where none did."""
    count = os.environ.get("WORLD_SIZE", "1")
    return int(count) if count.isdecimal() and "RANK" in os.environ else 1


def launcher_problems(config: StudyConfig) -> list[str]:
    """Why the processes of a launcher cannot train the rewriter together, or are not the processes that were asked for."""
    count = launched_processes()
    wanted = os.environ.get("WORLD_SIZE", "1")
    if wanted not in ("", "1") and "RANK" not in os.environ:
        return [
            f"WORLD_SIZE is {wanted} in the environment, but no launcher set RANK; unset it, or start with accelerate launch."
        ]
    if "MASTER_PORT" in os.environ and "RANK" not in os.environ:
        return [
            "accelerate launch --cpu starts one process where MPI is not used; start with "
            "accelerate launch --config_file examples/accelerate/ddp.yaml, which works on a CPU too."
        ]
    if count == 1:
        return []
    problems = []
    try:
        config.rewriter.rollouts_per_process(count)
    except ConfigError as error:
        problems.append(str(error))
    if ":" in config.backbone.device:
        problems.append(
            f"backbone.device: {config.backbone.device} is one device, and each of {count} processes needs its own; use auto."
        )
    return problems


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
