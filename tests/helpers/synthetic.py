"""Run folders written through the same recorder a worker uses, for tests of what reads them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from patchrl.config import resolve
from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder

EXPERT = "Solution. Let n denote the tally, with n := 18 at the outset. Hence n = 42. QED"


class GrowingRun:
    """A run that this very process keeps alive and that takes a training step when told to."""

    def __init__(self, runs_dir: Path, name: str = "growing", seeds: tuple[int, ...] = (0, 1)) -> None:
        self.folder = RunFolder.create(runs_dir, resolve({"study": {"name": name, "seeds": list(seeds)}}))
        self.recorder = RunRecorder(self.folder)
        self.recorder.event("stage", state="start", stage="train", seed=0, arm="rl")
        self.id, self.seeds, self.step = self.folder.id, seeds, 0
        self._random = random.Random(0)

    def grow(self, steps: int = 1) -> None:
        for _ in range(steps):
            self.step += 1
            for seed in self.seeds:
                value = 1 + self.step / 100 + self._random.gauss(0, 0.05)
                self.recorder.event(
                    "train", seed=seed, step=self.step, samples=64 * self.step, reward=value, reward_std=0.1,
                    consistency=min(1.0, value / 2), nll=2 - value, loss=0.0,
                )  # fmt: skip
        self.recorder.progress(self.step, 1000)

    def finish(self) -> None:
        self.recorder.finish("done", 0)


def sample_row(number: int) -> dict:
    """A row of a rewritten dataset; every fifth failed the gate, every seventh could not be scored."""
    passed = None if number % 7 == 6 else number % 5 != 4
    return {
        "id": f"row{number:05d}", "question": f"Vera has {number} seeds. <b>How many</b> are there in the end?",
        "expert": EXPERT, "reference": "42", "rewrite": f"{number} + 24 = 42, so the answer is 42.",
        "decision": "accepted" if passed else "fallback", "passed": passed,
        "reason": "" if passed else "3 + 4 = 8 does not hold", "extracted": "42", "nll_expert": 2.0,
        "nll_rewrite": None if passed is None else round((number * 7919 % 1000) / 500, 3), "attempts": 1, "target": EXPERT,
        "reward": 1.2, "consistency": 1.0, "alignment": 0.5, "diversity": 0.1,
    }  # fmt: skip


def finished_run(runs_dir: Path, rows: int, name: str = "table") -> str:
    """A run with a rewritten dataset of so many rows and the surprisal of their tokens; returns its id."""
    folder = RunFolder.create(runs_dir, resolve({"study": {"name": name, "seeds": [0]}}))
    recorder = RunRecorder(folder)
    recorder.event("scan", expert_nll=[1.9, 2.0, 2.1], own_nll=[0.1, 0.05], prompted_nll=[0.8, 0.9])
    folder.samples("rl", 0).parent.mkdir()
    tokens = [[" word", 0.5 * i, [[" other", 0.6], [" third", 0.2]]] for i in range(12)]
    with (
        folder.samples("rl", 0).open("w", encoding="utf-8") as samples,
        folder.surprisal("rl", 0).open("w", encoding="utf-8") as surprisal,
    ):
        for number in range(rows):
            samples.write(json.dumps(sample_row(number)) + "\n")
            surprisal.write(json.dumps({"id": f"row{number:05d}", "expert": tokens, "rewrite": tokens[:6]}) + "\n")
    recorder.finish("done", 0)
    return folder.id


def long_events(path: Path, steps: int) -> None:
    """events.jsonl as `steps` steps of training leave it, groups included; larger than memory should hold."""
    candidates = [{"text": EXPERT, "passed": True, "reason": "", "nll": 0.5, "reward": 1.0}] * 8
    with path.open("w", encoding="utf-8") as file:
        for step in range(1, steps + 1):
            head = {"t": 1.7e9 + step, "kind": "train", "seed": 0, "step": step, "samples": 64 * step}
            values = {"reward": step / steps, "reward_std": 0.1, "consistency": 1.0, "nll": 0.5, "loss": 0.0}
            group = {"t": 1.7e9 + step, "kind": "group", "seed": 0, "step": step, "question": "q", "solution": EXPERT}
            file.write(json.dumps(head | values) + "\n" + json.dumps(group | {"candidates": candidates}) + "\n")
