"""How the weights are tuned: each way is one small class with up to four moments. By name in TUNING_CLASSES."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from patchrl.config.arms import Arm

Pair = tuple[str, str]  # question, target


class Tuning:
    """Full fine-tuning: changes nothing at any moment. `number` is the part's number of `patchrl.config.arms`."""

    def __init__(self, number: float | None = None) -> None:
        self.number: float = number or 0.0

    def rate(self, rate: float) -> float:
        """The learning rate to use."""
        return rate

    def rows(self, pairs: Sequence[Pair], replay: Sequence[Pair]) -> list[Pair]:
        """The rows to train on; `replay` are general questions with the backbone's own answers."""
        return list(pairs)

    def before(self, model: Any) -> Any:
        """The model to train."""
        return model

    def after(self, model: Any) -> Any:
        """The model to keep."""
        return model


class LowRate(Tuning):
    """The learning rate times a factor: what practitioners try first."""

    def rate(self, rate: float) -> float:
        return rate * self.number


class Replay(Tuning):
    """A share ρ of the rows are the backbone's own answers to general questions: N·ρ/(1 − ρ) beside N examples.

    Self-synthesised rehearsal (arXiv 2403.01244) without its refinement. The optimiser steps stay those of
    every arm, so each example is seen (1 − ρ) times as often.
    """

    def rows(self, pairs: Sequence[Pair], replay: Sequence[Pair]) -> list[Pair]:
        return [*pairs, *replay[: replay_count(len(pairs), self.number)]]


class WeightInterpolation(Tuning):
    """θ = (1 − α)·θ0 + α·θ_tuned, WiSE-FT (arXiv 2109.01903)."""

    def before(self, model: Any) -> Any:
        self.start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        return model

    def after(self, model: Any) -> Any:
        with torch.no_grad():
            for name, weight in model.named_parameters():
                start = self.start[name]
                weight.copy_(torch.lerp(start.float(), weight.float(), self.number))
        return model


class Lora(Tuning):
    """A LoRA adapter on all linear layers (arXiv 2106.09685), alpha twice the rank, merged at the end."""

    def before(self, model: Any) -> Any:
        rank = int(self.number)
        settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
        return get_peft_model(model, settings)

    def after(self, model: Any) -> Any:
        return model.merge_and_unload()


TUNING_CLASSES: dict[str, type[Tuning]] = {
    "low-lr": LowRate,
    "replay": Replay,
    "wise-ft": WeightInterpolation,
    "lora": Lora,
}


def replay_count(examples: int, share: float) -> int:
    """Replayed rows beside `examples` rows, so that they are `share` of all."""
    return round(examples * share / (1.0 - share))


def tunings_of(arm: Arm) -> list[Tuning]:
    """An arm's tunings in the order in which they prepare the model."""
    return [TUNING_CLASSES[name](number) for name, number in arm.tunings.items()]
