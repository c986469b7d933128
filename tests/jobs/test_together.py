"""A run in the processes of `accelerate launch`: its rewriter is the one that a single process trains."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.small import options
from helpers.workers import until, worker_here
from safetensors.torch import load_file

from patchrl.cli.main import main
from patchrl.jobs import launch
from patchrl.runs.events import read_events
from patchrl.runs.folder import RunFolder

ROOT = Path(__file__).parents[2]
DDP = ROOT / "examples/accelerate/ddp.yaml"
LAUNCHER = ["-m", "accelerate.commands.launch", "--config_file", str(DDP), "--main_process_port", "0", "-m", "patchrl"]
STUDY = options(
    "study.seeds=[0]",
    "finetune.learning_rate=1e-3",
    'study.arms=["expert","rl"]',
    "rewriter.steps=4",
    "data.train_size=8",
)
CLOCK = {"t", "step_seconds", "reward_seconds"}


def launched(*arguments):
    """A command of PatchRL in two processes, started from the repository as a user would."""
    return subprocess.Popen(
        [sys.executable, *LAUNCHER, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run_of(runs_dir, name):
    return RunFolder(next(runs_dir.glob(f"{name}-*")))


def numbers(event, prefix=""):
    """The numbers of an event, by their path."""
    for key, value in event.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and key not in CLOCK:
            yield f"{prefix}{key}", value


@pytest.mark.slow
def test_two_processes_stopped_and_resumed_train_the_rewriter_of_one(runs_dir, monkeypatch):
    monkeypatch.setattr(launch, "_start_worker", worker_here)
    assert main(["train", "nano", *STUDY, "--name", "one"]) == 0
    two = launched("train", "nano", *STUDY, "--name", "two")
    until(lambda: any(runs_dir.glob("two-*/events.jsonl")) and steps(run_of(runs_dir, "two")), 240)
    alone, folder = run_of(runs_dir, "one"), run_of(runs_dir, "two")
    folder.stop_flag.touch()
    said = two.communicate(timeout=120)[0]
    assert folder.read_status()["state"] == "stopped" and f"patchrl resume {folder.id}" in said, said[-3000:]
    assert 0 < len(steps(folder)) < 4
    resumed = launched("finetune", folder.id)
    assert resumed.wait(300) == 0, resumed.stdout.read()[-3000:]

    assert folder.read_status()["state"] == "done"
    for kind in ("train", "warm", "group"):
        pairs = zip(events(alone, kind), events(folder, kind), strict=True)
        for expected, event in ((dict(numbers(a)), dict(numbers(b))) for a, b in pairs):
            assert event == pytest.approx(expected, abs=1e-4), (kind, event["step"])
    assert not [e for e in events(folder, "train") if math.isnan(e["loss"])]
    weights, others = (load_file(run.adapter(0) / "adapter_model.safetensors") for run in (alone, folder))
    assert (
        all((weights[name] - others[name]).abs().max() < 1e-4 for name in weights) and weights.keys() == others.keys()
    )
    done, expected = (json.loads((run.adapter(0) / "done.json").read_text()) for run in (folder, alone))
    assert done["tokens"] == expected["tokens"]
    for arm in ("expert", "rl"):  # which the first process fine-tuned alone
        assert (folder.arm(arm, 0) / "finetuned.json").is_file()


def events(folder, kind):
    return [event for event in read_events(folder.events) if event["kind"] == kind]


def steps(folder):
    return events(folder, "train")
