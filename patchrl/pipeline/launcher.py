"""The processes that a launcher started: how many, and whether they can train a rewriter together. No torch."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterator

from patchrl.config import StudyConfig
from patchrl.errors import ConfigError

DDP_FILE = "examples/accelerate/ddp.yaml"
# ZeRO-2 computed wrong gradients on several GPUs: from the first version on deepspeedai/DeepSpeed#7718, from 0.18.3 on #8224,
# which its reporter still saw in the second.
WRONG_ZERO2 = (0, 17, 6), (0, 19, 3)


def launched_processes() -> int:
    """How many processes a launcher started, of which this is one; 1 where none did."""
    count = os.environ.get("WORLD_SIZE", "1")
    return int(count) if count.isdecimal() and "RANK" in os.environ else 1


def launcher_problems(config: StudyConfig) -> list[str]:
    """Why the processes of a launcher cannot train the rewriter together, or are not the processes that were asked for."""
    count, wanted = launched_processes(), os.environ.get("WORLD_SIZE", "1")
    if wanted not in ("", "1") and "RANK" not in os.environ:
        return [
            f"WORLD_SIZE is {wanted} in the environment, but no launcher set RANK; unset it, or start with accelerate launch."
        ]
    if {"ACCELERATE_MIXED_PRECISION", "MASTER_PORT"} <= os.environ.keys() and "RANK" not in os.environ:
        return [
            "accelerate launch was to start several processes and started one, as it does on a CPU without MPI; start with "
            f"accelerate launch --config_file {DDP_FILE}, which works on a CPU too."
        ]
    if count == 1:
        return []
    problems = [*_sharding_problems()]
    try:
        config.rewriter.rollouts_per_process(count)
    except ConfigError as error:
        problems.append(str(error))
    if ":" in config.backbone.device:
        problems.append(
            f"backbone.device: {config.backbone.device} is one device, and each of {count} processes needs its own; use auto."
        )
    return problems


def _sharding_problems() -> Iterator[str]:
    """What of the ways to divide a model's weights, gradients or moments cannot be used, as accelerate launch names it."""
    if _is("ACCELERATE_USE_DEEPSPEED", "true"):
        yield from _deepspeed_problems()
    if _is("ACCELERATE_USE_FSDP", "true"):
        if not _is("FSDP_VERSION", "2"):
            yield "FSDP 1 flattens frozen and trained weights into one; set fsdp_version: 2, as examples/accelerate/fsdp2.yaml does."
        if _is("FSDP_RESHARD_AFTER_FORWARD", "true"):
            yield (
                "FSDP: with fsdp_reshard_after_forward every forward waits for all processes, and they sample texts of different "
                "lengths; set it to false, as examples/accelerate/fsdp2.yaml does."
            )
        if _is("FSDP_OFFLOAD_PARAMS", "true"):
            yield "FSDP: offloaded weights cannot be sampled from; set fsdp_offload_params: false."


def _deepspeed_problems() -> Iterator[str]:
    example = "as examples/accelerate/zero2.yaml does"
    if not _is("ACCELERATE_DEEPSPEED_ZERO_STAGE", "0", "1", "2"):
        yield (
            "DeepSpeed: a ZeRO stage of 0, 1 or 2 is needed, since with stage 3 every forward waits for all processes, and they "
            f"sample texts of different lengths; set zero_stage: 2, {example}."
        )
    if not _is("ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE", "", "none"):
        # deepspeedai/DeepSpeed#7967 and #7981
        yield f"DeepSpeed: versions are around that lose gradients with offload; set offload_optimizer_device: none, {example}."
    try:
        version = importlib.metadata.version("deepspeed")
    except importlib.metadata.PackageNotFoundError:
        yield "DeepSpeed is not installed; install it with pip install deepspeed."
        return
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if WRONG_ZERO2[0] <= numbers <= WRONG_ZERO2[1] and not _is("ACCELERATE_DEEPSPEED_ZERO_STAGE", "0", "1"):
        yield (
            f"DeepSpeed {version} computes wrong gradients with ZeRO-2 (deepspeedai/DeepSpeed#7718, #8224); install a version "
            f"after {'.'.join(map(str, WRONG_ZERO2[1]))}."
        )


def _is(variable: str, *values: str) -> bool:
    return os.environ.get(variable, "").lower() in values
