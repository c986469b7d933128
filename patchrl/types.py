"""The nouns every module shares. Plain data, no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Task = Literal["math", "choice", "exact", "open"]
EvalTask = Literal[Task, "mention"]  # how an evaluation item is judged; `mention` is too lenient for training data
Decision = Literal["accepted", "fallback", "dropped"]
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")  # `owner/name`, or a `name` alone


@dataclass(frozen=True)
class Example:
    """One SFT example: `question` x, expert `solution` y*, `reference` answer (None if there is none)."""

    id: str
    question: str
    solution: str
    reference: str | None = None
    task: EvalTask = "math"


@dataclass(frozen=True)
class EvalItem:
    """One evaluation question; `skill` groups items into a reported task."""

    id: str
    question: str
    reference: str
    skill: str
    task: EvalTask = "exact"


@dataclass(frozen=True)
class Verdict:
    """The gate's word on one candidate.

    `passed` is None when the gate could not decide (no reference, verifier crashed or ran out of
    time): such a candidate is unscorable, which is neither a pass nor a failure.
    """

    passed: bool | None
    reason: str
    extracted: str | None = None
    expected: str | None = None


@dataclass(frozen=True)
class Generation:
    """One sampled completion: its `text`, its token ids without the end-of-turn token, and
    whether it was `clipped` by the token limit."""

    text: str
    token_ids: tuple[int, ...]
    clipped: bool = False


@dataclass(frozen=True)
class TokenSurprisal:
    """−log p of one token in nats, with the likeliest alternatives as (text, probability)."""

    text: str
    nll: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Rewrite:
    """The decision on one example; `patchrl.runs.samples` stores it.

    `target` is what SFT trains on (None when dropped); `nll_*` are ℓ in nats per token under the
    frozen backbone; `reward` is set when the candidates were scored as a group; `origin` is how the text was
    got: rewrite, own (question alone), guided (solution shown after own attempts failed) or rule (nothing was sampled).
    """

    example: Example
    text: str
    verdict: Verdict
    decision: Decision
    target: str | None
    nll_expert: float
    nll_rewrite: float | None
    attempts: int
    rewards: dict[str, float | None] = field(default_factory=dict)
    origin: str = "rewrite"


@dataclass
class Cost:
    """What sampling took: completion tokens, end-of-turn tokens counted, and seconds. It adds up as work goes on."""

    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.tokens + other.tokens, self.seconds + other.seconds)


@dataclass(frozen=True)
class Writer:
    """Who writes rewrites: the backbone itself, or with the LoRA adapter that lies in a folder.

    `key` stays the same while a rewriter trains on; `name` is for people.
    """

    key: str
    name: str
    adapter: str | None = None


@dataclass(frozen=True)
class ChatModel:
    """A model to ask: the backbone, or one that was fine-tuned from it, whose weights lie in a folder.

    `arm` is the arm that it was fine-tuned for, empty for the backbone; `name` is for people.
    """

    key: str
    name: str
    arm: str = ""
    weights: str | None = None


class Recorder(Protocol):
    """What a stage may tell the outside. Stages know nothing of processes, pages or terminals."""

    def event(self, kind: str, **fields: Any) -> None:
        """Something happened. A `phase` event names what a stage does from here on, whose progress counts anew; with
        `prepares` it comes before the stage's bulk and says nothing about how far the stage is."""

    def progress(self, done: int, total: int) -> None: ...

    def stop_requested(self) -> bool: ...
