"""A row of a rewritten dataset as a run stores it, one JSON line an example."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, cast

from patchrl.runs.jsonl import read_rows
from patchrl.types import Decision, Rewrite


class SampleRow(TypedDict, total=False):
    """One example and its rewrite.

    `target` is what fine-tuning learns, None where the row was dropped; `nll_expert` and `nll_rewrite` are ℓ in nats per token
    under the frozen backbone; `extracted` is the answer that was read from the rewrite. The rewards are None where the gate
    could not decide.
    """

    id: str
    question: str
    expert: str
    reference: str | None
    rewrite: str
    decision: Decision
    passed: bool | None
    reason: str
    extracted: str | None
    nll_expert: float
    nll_rewrite: float | None
    attempts: int
    origin: str
    target: str | None
    reward: float | None
    consistency: float | None
    alignment: float | None
    diversity: float | None


def read_samples(path: Path) -> list[SampleRow]:
    """Every row of a rewritten dataset; raises FileNotFoundError where it is absent."""
    return cast(list[SampleRow], read_rows(path))


def sample_row(rewrite: Rewrite) -> SampleRow:
    """The stored form of one rewrite; numbers are rounded to five places."""
    example, verdict = rewrite.example, rewrite.verdict
    row: SampleRow = {
        "id": example.id,
        "question": example.question,
        "expert": example.solution,
        "reference": example.reference,
        "rewrite": rewrite.text,
        "decision": rewrite.decision,
        "passed": verdict.passed,
        "reason": verdict.reason,
        "extracted": verdict.extracted,
        "nll_expert": round(rewrite.nll_expert, 5),
        "nll_rewrite": None if rewrite.nll_rewrite is None else round(rewrite.nll_rewrite, 5),
        "attempts": rewrite.attempts,
        "origin": rewrite.origin,
        "target": rewrite.target,
    }
    rewards = {name: None if value is None else round(value, 5) for name, value in rewrite.rewards.items()}
    return {**row, **rewards}  # type: ignore[typeddict-item]
