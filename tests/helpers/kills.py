"""Studies killed with SIGKILL at random times and resumed: `python -m helpers.kills FOLDER KILLS STAGE…` prints what became of
them as JSON.

Children are forked from one process that has imported everything, so that a kill costs no start of torch. Checkpoints are
written at every step and pieces are small, so that many kills fall into the writing of one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

STAGES = ("scan", "train", "rewrite", "finetune", "evaluate", "report")
STUDY = {
    "study": {
        "name": "kills",
        "seeds": [0],
        "arms": ["expert", "rl", "expert+replay=0.2", "self-resampled", "grpo"],
    },
    "data": {"dataset": "nano-foreign", "train_size": 8, "eval_size": 12},
    "rewriter": {"steps": 4, "prompts_per_step": 4, "group_size": 2, "warm_start_steps": 2, "max_new_tokens": 64},
    "finetune": {"epochs": 2, "batch_size": 4, "keep_weights": True},
    "onpolicy": {"group_size": 2},
    "evaluate": {"general_size": 30, "bootstrap": 100},
}
PIECE_PROMPTS = 4  # answers to so many prompts are kept together
MEASURED = {"seconds", "finetune_seconds", "recommendation"}  # times, and what follows from them


def study(folder: Path, upto: str) -> int:
    """Carry a run to a stage in this process; returns the worker's exit code."""
    from patchrl.jobs import worker
    from patchrl.models.engines.transformers import TransformersEngine
    from patchrl.runs.folder import RunFolder
    from patchrl.training import checkpoints

    checkpoints.SAVE_SECONDS, checkpoints.MAX_SAVING_SHARE = 0.0, 1e9
    TransformersEngine._rows = lambda self, tokens, request, kept: PIECE_PROMPTS * request.samples
    return worker.work(RunFolder(folder), upto)


def run(folder: Path, upto: str, seconds: float | None = None) -> int | None:
    """Run to a stage in a child, killed after so many seconds; returns the exit code, None where it was killed."""
    pid = os.fork()
    if not pid:
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = 99
        try:
            code = study(folder, upto)
        finally:
            os._exit(code)
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() >= deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.002)


def outcome(folder: Path) -> dict[str, Any]:
    """All that a run's folder says, without times: rows, tensors and figures by file."""
    from safetensors.torch import load_file

    outcomes: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".safetensors":
            outcomes[name] = {key: (list(t.shape), t.numpy().tobytes()) for key, t in load_file(path).items()}
        elif path.suffix == ".npz":
            outcomes[name] = path.stat().st_size
        elif path.suffix == ".jsonl" and name != "events.jsonl":
            outcomes[name] = [json.loads(line) for line in path.read_text().splitlines()]
        elif path.suffix == ".json" and name != "status.json":
            outcomes[name] = untimed(json.loads(path.read_text()))
        elif path.is_dir():
            outcomes[name] = "folder"
    return outcomes


def untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: untimed(member) for key, member in value.items() if key not in MEASURED}
    return [untimed(member) for member in value] if isinstance(value, list) else value


def repeated_steps(folder: Path) -> int:
    """Steps of the rewriter that were trained more than once."""
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines() if '"train"' in line]
    steps = [event["step"] for event in events if event["kind"] == "train"]
    return len(steps) - len(set(steps))


def kill_stage(
    home: Path, before: Path, whole: Path, stage: str, duration: float, kills: int, draw: random.Random
) -> dict[str, Any]:
    """Kill a stage so many times, in as many studies as that takes, each of which is then finished and compared.

    `duration` is how many seconds the stage took in the uninterrupted study `whole`.
    """
    report: dict[str, Any] = {"seconds": round(duration, 1), "kills": 0, "studies": 0, "different": [], "torn": 0}
    report["repeated_steps"] = 0
    expected = outcome(whole)
    while report["kills"] < kills:
        folder = home / str(report["studies"]) / "run"
        shutil.copytree(before, folder)
        code = None
        while code is None:
            again = report["kills"] < kills
            code = run(folder, stage, draw.uniform(0.0, 0.7 * duration) if again else None)
            report["kills"] += code is None
        assert code == 0, (folder / "log.txt").read_text()[-2000:]
        actual = outcome(folder)
        names = sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
        report["different"] += [f"{report['studies']}: {name}" for name in names]
        report["torn"] += (folder / "events.jsonl").read_text().count("was not written to its end")
        report["repeated_steps"] += repeated_steps(folder)
        report["studies"] += 1
        if not names:
            shutil.rmtree(folder.parent)
    return report


def main(home: Path, kills: int, stages: list[str], seed: int = 0) -> None:
    import torch  # noqa: F401
    import trl  # noqa: F401

    from patchrl.config import resolve
    from patchrl.evaluation import evaluate, scan  # noqa: F401
    from patchrl.pipeline import study as _  # noqa: F401
    from patchrl.reporting import report
    from patchrl.rewriting import dataset  # noqa: F401
    from patchrl.runs.folder import RunFolder
    from patchrl.training import finetune, train_rewriter  # noqa: F401

    before = RunFolder.create(home / "before", resolve(STUDY)).path
    for stage in STAGES:
        whole = home / f"whole-{stage}" / "run"  # each has its own cache of answers beside it
        shutil.copytree(before, whole)
        started = time.monotonic()
        assert run(whole, stage) == 0, (whole / "log.txt").read_text()[-2000:]
        duration = time.monotonic() - started
        if stage in stages:
            draw = random.Random(f"{seed} {stage}")
            report = kill_stage(home / stage, before, whole, stage, duration, kills, draw)
            print(json.dumps({"stage": stage} | report), flush=True)
        before = whole
        if stage == stages[-1]:
            break


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or list(STAGES))
