"""Fixed answers in the place of a model's own samples, and a recorder that keeps what is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from patchrl.models.backbone import chat_format


def roll_out_of(answers: Callable[[int], Sequence[str]]) -> Callable[[list[Any], Any], dict[str, list[Any]]]:
    """TRL's `rollout_func`: member k of the group of "What is n + 1?" is the k-th of `answers(n)`."""

    def roll_out(prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        words, prompt_ids, completion_ids = trainer.processing_class, [], []
        for i, prompt in enumerate(prompts):
            texts = answers(int(re.search(r"What is (\d+) \+ 1", prompt)[1]))
            prompt_ids.append(chat_format(words).prompt_ids(prompt))
            answer = words(texts[i % len(texts)], add_special_tokens=False)["input_ids"]
            completion_ids.append([*answer, words.eos_token_id])
        return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}

    return roll_out


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
