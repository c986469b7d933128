"""What accelerate launch starts: the shipped configs are accepted, and what would train wrongly or hang is refused by name."""

import importlib.metadata
import os
from pathlib import Path

import pytest
from accelerate.commands import launch
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

from patchrl.config import resolve
from patchrl.pipeline.launcher import launcher_problems

CONFIGS = Path(__file__).parents[2] / "examples/accelerate"


def launched(monkeypatch, name, *options, deepspeed="0.19.8"):
    """The environment in which accelerate itself starts two processes from a config file of ours."""
    command = ["--config_file", str(CONFIGS / f"{name}.yaml"), "--main_process_port", "0", *options, "-m", "patchrl"]
    arguments, _, _ = launch._validate_launch_command(launch.launch_command_parser().parse_args(command))
    if arguments.use_deepspeed:
        arguments.deepspeed_fields_from_accelerate_config = ""
        environment = prepare_deepspeed_cmd_env(arguments)[1]
    else:
        environment = prepare_multi_gpu_env(arguments)
    for variable in environment.keys() - os.environ.keys():
        monkeypatch.setenv(variable, environment[variable])
    monkeypatch.setenv("WORLD_SIZE", str(arguments.num_processes))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(importlib.metadata, "version", lambda _: deepspeed)
    return arguments


def test_the_shipped_configs_are_read_by_accelerate_as_what_they_are_called(monkeypatch):
    kinds = {"ddp": "multi_gpu", "fsdp2": "use_fsdp", "zero2": "use_deepspeed"}
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == kinds.keys()
    for name, kind in kinds.items():
        with monkeypatch.context() as patch:
            arguments = launched(patch, name)
            assert [getattr(arguments, other) for other in kinds.values()] == [
                other == kind for other in kinds.values()
            ]
            assert launcher_problems(resolve({})) == []


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("fsdp2", ["--fsdp_version", "1"], "set fsdp_version: 2"),
        ("fsdp2", ["--fsdp_reshard_after_forward", "true"], "fsdp_reshard_after_forward every forward waits"),
        ("fsdp2", ["--fsdp_offload_params", "true"], "set fsdp_offload_params: false"),
        ("zero2", ["--zero_stage", "3"], "set zero_stage: 2"),
        ("zero2", ["--offload_optimizer_device", "cpu"], "set offload_optimizer_device: none"),
    ],
)
def test_what_would_hang_or_train_wrongly_is_refused_by_name(monkeypatch, name, options, sentence):
    launched(monkeypatch, name, *options)
    (problem,) = launcher_problems(resolve({}))
    assert sentence in problem


def test_versions_of_deepspeed_with_wrong_gradients_are_refused(monkeypatch):
    for version, refused in (
        ("0.17.5", False),
        ("0.17.6", True),
        ("0.18.2", True),
        ("0.19.3", True),
        ("0.19.4", False),
    ):
        with monkeypatch.context() as patch:
            launched(patch, "zero2", deepspeed=version)
            problems = launcher_problems(resolve({}))
            assert bool(problems) == refused and all("wrong gradients with ZeRO-2" in problem for problem in problems)


def test_what_a_launcher_started_must_be_able_to_train_together(monkeypatch):
    config = resolve({"rewriter": {"prompts_per_step": 3, "microbatch_size": None}})
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "no launcher set RANK" in launcher_problems(config)[0]
    monkeypatch.setenv("RANK", "0")
    assert "3 prompts cannot be shared evenly by 2 processes" in launcher_problems(config)[0]
    assert launcher_problems(resolve({})) == []
    (one_device,) = launcher_problems(resolve({"backbone": {"device": "cuda:0"}}))
    assert "each of 2 processes needs its own; use auto" in one_device
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert launcher_problems(config) == []
    for variable, value in (("MASTER_PORT", "29500"), ("ACCELERATE_MIXED_PRECISION", "no")):
        monkeypatch.setenv(variable, value)  # as accelerate launch --cpu --num_processes 2 does without MPI
    assert "was to start several processes and started one" in launcher_problems(config)[0]
