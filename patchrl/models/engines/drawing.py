"""Tokens drawn from logits, with random numbers that depend on the batch and not on the process that draws."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor, TemperatureLogitsWarper, TopPLogitsWarper

from patchrl.models.engines.interface import SampleRequest


class Draws:
    """Draws one token a row, over and over.

    Args:
        request: Its temperature (greedy at 0) and top-p.
        seed: Of the batch.
        device: Of the logits.
        rows: B, the rows of the whole batch.
        own: Places in the batch of the rows that are drawn here; all of them unless given.
    """

    def __init__(
        self, request: SampleRequest, seed: int, device: torch.device, rows: int, own: Sequence[int] | None = None
    ) -> None:
        self.temperature, self.rows = request.temperature, rows
        self.own = None if own is None else torch.tensor(own, device=device)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.warpers = [TemperatureLogitsWarper(request.temperature)] if request.temperature not in (0.0, 1.0) else []
        self.warpers += [TopPLogitsWarper(request.top_p)] if request.temperature and request.top_p < 1 else []

    def __call__(self, logits_BV: torch.Tensor) -> torch.Tensor:
        """One token of each row that is drawn here, of shape (B,)."""
        if not self.temperature:
            return logits_BV.argmax(-1)
        for warper in self.warpers:
            logits_BV = warper(None, logits_BV)
        # The largest of p / E with E exponential is a sample of p; torch.multinomial stops the device at a NaN.
        noise_BV = logits_BV.new_empty(self.rows, logits_BV.shape[-1]).exponential_(generator=self.generator)
        return (logits_BV.softmax(-1) / (noise_BV if self.own is None else noise_BV[self.own])).argmax(-1)


class Drawn(LogitsProcessor):
    """Leaves Transformers' own loop one token to choose: the one that `draws` drew."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.full_like(scores, -torch.inf).scatter(1, self.draws(scores)[:, None], 0.0)
