"""A real GRPO training whose rollouts are fixed beforehand, so that every reward can be compared.

As a script it is one process of a distributed training: `python -m helpers.rollouts FOLDER [section.key=value …]`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from trl import GRPOConfig

from helpers import tiny
from helpers.answering import Recorder, roll_out_of
from helpers.contexts import context_of
from patchrl.config import apply_overrides, resolve
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.rewards.trl import GatedReward
from patchrl.training import train_rewriter as stage
from patchrl.training.ranks import ALONE, Ranks
from patchrl.training.shared_prompts import SharedPromptTrainer
from patchrl.types import Example

K, STEPS, PROMPTS = 4, 2, 4
ALL_FAIL, NO_REFERENCE = 3, 5  # of the examples: no rewrite passes, none can be judged
EXAMPLES = [
    Example(f"e{n}", f"What is {n} + 1?", f"{n} + 1 = {n + 1}.", None if n == NO_REFERENCE else str(n + 1))
    for n in range(8)
]
TEXTS = ("{a}", "It is {a}.", "{n} + 1 = {a}. So it is {a}.", "It is {n}.")  # the last one is wrong


def rewrites(n: int) -> list[str]:
    """The K fixed rewrites of example `n`."""
    return [text.format(n=n, a=-1 if n == ALL_FAIL else n + 1) for text in TEXTS]


roll_out = roll_out_of(rewrites)


class Watched(GatedReward):
    """Keeps each part of the reward by question and member, and how many rows each call had."""

    scored: dict[str, float | None]
    calls: list[int]

    @property
    def functions(self):
        def watched(function):
            def reward(completion_ids, **columns):
                values = function(completion_ids=completion_ids, **columns)
                Watched.calls.append(len(values))
                keys = (f"{q}|{i % K}|{function.__name__}" for i, q in enumerate(columns["question"]))
                Watched.scored.update(zip(keys, values, strict=True))
                return values

            reward.__name__ = function.__name__
            return reward

        return [watched(function) for function in super().functions]


@contextlib.contextmanager
def fixed_rollouts(trainer: type[SharedPromptTrainer] = SharedPromptTrainer, **settings: Any) -> Iterator[None]:
    """Trainings inside use the fixed rollouts, a `trainer`, and TRL `settings` over PatchRL's own."""
    Watched.scored, Watched.calls = {}, []

    def configured(**arguments: Any) -> GRPOConfig:
        return GRPOConfig(**arguments | settings)

    with (
        mock.patch.object(stage, "SharedPromptTrainer", trainer),
        mock.patch.object(stage, "roll_out", lambda backbone, with_nll: roll_out),
        mock.patch.object(stage, "GRPOConfig", configured),
        mock.patch.object(stage, "GatedReward", Watched),
    ):
        yield


def train(folder: Path, *overrides: str, dtype: torch.dtype = torch.float32, ranks: Ranks = ALONE) -> Recorder:
    """Train the tiny rewriter for STEPS steps; the rewards are in `Watched.scored`."""
    sizes = {"steps": STEPS, "prompts_per_step": PROMPTS, "group_size": K, "max_new_tokens": 24, "lora_rank": 2}
    plain = {"rewriter": sizes | {"warm_start_steps": 0}, "reward": {"alignment": "mean"}}
    config = resolve(apply_overrides(plain, overrides))
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)).to(dtype), words)
    recorder = Recorder()
    with Gate(config, backbone) as gate:
        stage.train_rewriter(context_of(config, gate, folder, recorder), EXAMPLES, 0, folder, ranks)
    return recorder


if __name__ == "__main__":
    out = Path(sys.argv[1])
    processes = Ranks.launched()
    with fixed_rollouts():
        events = train(out / "training", *sys.argv[2:], ranks=processes)
    (out / f"{processes.rank}.json").write_text(json.dumps({"scored": Watched.scored, "events": events.events}))
