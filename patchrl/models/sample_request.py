"""How completions are sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

Watch = Callable[[torch.Tensor], bool]  # sees a batch's completions so far, shape (B, T); True ends the batch


@dataclass(frozen=True)
class SampleRequest:
    """How completions are sampled: so many of each prompt, greedy at temperature 0, and whether their −log p is noted."""

    samples: int
    temperature: float
    top_p: float
    max_new_tokens: int
    with_nll: bool
    watch: Watch | None
