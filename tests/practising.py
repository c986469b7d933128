"""On-policy training of a tiny backbone whose answers are fixed beforehand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tiny

from patchrl.arms import parse
from patchrl.backbone import Backbone
from patchrl.config import apply_overrides, resolve
from patchrl.gate import Gate
from patchrl.stages.finetune import finetune
from patchrl.types import Cost, Example

K = 3
# Answers to "What is n + 1?", by n: all right, some right, none right.
ANSWERS = {0: ("1", "It is 1.", "So 1"), 1: ("2", "It is 7.", "3 + 3 = 2"), 2: ("9", "8", "It is 5.")}
EXAMPLES = [Example(f"e{n}", f"What is {n} + 1?", f"{n} + 1 = {n + 1}.", str(n + 1)) for n in ANSWERS]


def roll_out(prompts: list[Any], trainer: Any) -> dict[str, list[Any]]:
    """TRL's `rollout_func`: member k of each group is its k-th fixed answer."""
    words, prompt_ids, completion_ids = trainer.processing_class, [], []
    for i, prompt in enumerate(prompts):
        text = words.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        n = int(re.search(r"What is (\d+) \+ 1", text)[1])
        prompt_ids.append(words(text, add_special_tokens=False)["input_ids"])
        answer = words(ANSWERS[n][i % K], add_special_tokens=False)["input_ids"]
        completion_ids.append([*answer, words.eos_token_id])
    return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}


class Recorder:
    """Keeps events; asks to stop once there are `stop_after` of them."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.stop_after = stop_after

    def event(self, kind: str, **fields: Any) -> None:
        self.events.append({"kind": kind, **fields})

    def progress(self, done: int, total: int, note: str = "") -> None: ...

    def stop_requested(self) -> bool:
        return self.stop_after is not None and len(self.events) >= self.stop_after


def practise(
    name: str,
    folder: Path,
    *overrides: str,
    steps: int = 2,
    examples: list[Example] = EXAMPLES,
    recorder: Recorder | None = None,
    gate: Any = None,
    template: bool = True,
) -> tuple[Backbone, Recorder, Cost]:
    """Fine-tune a tiny backbone, saved in `folder` as a user's own would be, as arm `name` says."""
    values = {
        "backbone": {"model": str(tiny.save("qwen2", folder / "backbone", template=template)), "device": "cpu"},
        "finetune": {"batch_size": len(EXAMPLES), "max_length": 64},
        "rewriter": {"max_new_tokens": 6},
        "onpolicy": {"group_size": K, "rate_factor": 1.0},
    }
    config, recorder, cost = resolve(apply_overrides(values, overrides)), recorder or Recorder(), Cost()
    backbone = Backbone.load(config.backbone)
    with Gate(config, backbone, answers_only=True) as answers:
        finetune(
            config, backbone, examples, steps, parse(name), 0, folder, recorder,
            rate=1e-2, gate=gate or answers, sampled=cost,
        )  # fmt: skip
    return backbone, recorder, cost
