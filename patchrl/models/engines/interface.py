"""What every engine that samples takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

TOKEN_VARIABLE = "PATCHRL_SERVER_TOKEN"  # its value is sent to the servers of engine.url as a bearer token
Watch = Callable[["torch.Tensor"], bool]  # sees a batch's completions so far, shape (B, T); True ends the batch
# Ids of a completion and their −log p in nats. It ends with the id that ended its turn, or was cut off by the limit.
Sample = tuple[list[int], float]
# What a piece is made from, and a function that makes it -> the piece, kept from before or made now; both are plain data.
Keep = Callable[[Any, Callable[[], Any]], Any]


@dataclass(frozen=True)
class SampleRequest:
    """How completions are sampled: so many of each prompt, greedy at temperature 0, and whether their −log p is noted.

    `part` are the places of the prompts that are sampled here, where processes share the work: each process samples what one
    alone would have sampled for them. None means all.
    """

    samples: int
    temperature: float
    top_p: float
    max_new_tokens: int
    with_nll: bool
    watch: Watch | None
    part: range | None = None

    def source(self, prompts: Sequence[Sequence[int]], seed: int) -> list[Any]:
        """All that decides the completions of some prompts, as plain data."""
        settings = [self.samples, self.temperature, self.top_p, self.max_new_tokens, self.with_nll]
        return ["sample", prompts, settings, getattr(self.watch, "name", None), seed]


class Engine(Protocol):
    """Samples completions of prompts."""

    def sample(
        self,
        prompts: Sequence[list[int]],
        request: SampleRequest,
        seed: int,
        on_progress: Callable[[int], None] | None = None,
        keep: Keep | None = None,
    ) -> list[list[Sample]]:
        """The completions of each prompt's ids.

        Args:
            on_progress: Gets the number of prompts done.
            keep: Keeps what is finished, so that it is not sampled again after the process died.
        """
        ...
