"""Ways to get a rewrite, each verified by the same gate: prompted, best-of-k, rl."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from patchrl.backbone import Score
from patchrl.config import StudyConfig
from patchrl.gate import Gate
from patchrl.instructions import rewrite_prompt
from patchrl.rewards import group_rewards
from patchrl.types import Decision, Example, Generation, Rewrite, Verdict


def best_feasible(verdicts: Sequence[Verdict], scores: Sequence[Score]) -> int | None:
    """Index of the passing candidate with the lowest ℓ, None when none passes."""
    passing = [i for i, v in enumerate(verdicts) if v.passed and not math.isnan(scores[i].nll)]
    return min(passing, key=lambda i: scores[i].nll) if passing else None


def rewrite_examples(
    config: StudyConfig,
    gate: Gate,
    examples: Sequence[Example],
    *,
    candidates: int,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[list[Rewrite], int]:
    """Generate, verify, fall back: one Rewrite per example, and the completion tokens sampled.

    Each attempt samples `candidates` rewrites at the configured temperature with whatever adapter the
    backbone carries; the feasible one with the lowest ℓ is kept. Examples without one are tried again
    up to `rewrite.attempts` times and then fall back.
    """
    backbone = gate.backbone
    solutions = [e.solution for e in examples]
    expert_scores = backbone.score([e.question for e in examples], solutions)
    expert_embeddings_ND = gate.embedder.embed(solutions, expert_scores)
    chosen: dict[int, tuple[Generation, Verdict, Score, np.ndarray]] = {}
    attempts = dict.fromkeys(range(len(examples)), 0)
    tokens = 0
    for attempt in range(config.rewrite.attempts):
        open_rows = [i for i in attempts if i not in chosen or not chosen[i][1].passed]
        if not open_rows:
            break
        rows = [examples[i] for i in open_rows]
        groups = backbone.generate(
            [rewrite_prompt(config.rewriter.instruction, e.question, e.solution) for e in rows],
            samples=candidates,
            temperature=config.rewrite.temperature,
            max_new_tokens=config.rewriter.max_new_tokens,
            seed=seed * 1_000_003 + attempt * 10_007,
            on_progress=on_progress if attempt == 0 else None,
        )
        flat = [(e, g) for e, group in zip(rows, groups, strict=True) for g in group]
        texts = [g.text for _, g in flat]
        scores = backbone.score([e.question for e, _ in flat], [g.token_ids for _, g in flat])
        embeddings_ND = gate.embedder.embed(texts, scores)
        verdicts = gate.check([e for e, _ in flat], texts, embeddings_ND)
        tokens += sum(len(g.token_ids) + 1 for _, g in flat)
        for position, row in enumerate(open_rows):
            members = slice(position * candidates, (position + 1) * candidates)
            best = best_feasible(verdicts[members], scores[members])
            pick = position * candidates + (best or 0)
            chosen[row] = (flat[pick][1], verdicts[pick], scores[pick], embeddings_ND[pick])
            attempts[row] += 1
    rewrites = [
        _decide(
            config,
            example,
            expert_scores[i],
            *chosen[i][:3],
            attempts[i],
            np.stack([chosen[i][3], expert_embeddings_ND[i]]),
        )
        for i, example in enumerate(examples)
    ]
    return rewrites, tokens


def _decide(
    config: StudyConfig,
    example: Example,
    expert: Score,
    made: Generation,
    verdict: Verdict,
    score: Score,
    attempts: int,
    embeddings_2D: np.ndarray,
) -> Rewrite:
    if verdict.passed:
        decision: Decision = "accepted"
        target: str | None = made.text
    elif config.rewrite.fallback == "expert":
        decision, target = "fallback", example.solution
    else:
        decision, target = "dropped", None
    return Rewrite(
        example=example,
        text=made.text,
        verdict=verdict,
        decision=decision,
        target=target,
        nll_expert=expert.nll,
        nll_rewrite=None if math.isnan(score.nll) else score.nll,
        attempts=attempts,
        rewards=_against_expert(config, verdict, [score.nll, expert.nll], embeddings_2D),
    )


def _against_expert(
    config: StudyConfig, verdict: Verdict, nll: list[float], embeddings_2D: np.ndarray
) -> dict[str, float | None]:
    """The rewrite's rewards in a group of two with the expert solution, so that alignment above 0.5
    means: more like the backbone's own answers than the expert."""
    passed = None if math.isnan(nll[0]) and verdict.passed else verdict.passed
    group = group_rewards(
        [passed, True],
        nll,
        embeddings_2D,
        lambda_dist=config.reward.lambda_dist,
        lambda_div=config.reward.lambda_div,
        diversity_scale=config.reward.diversity_scale,
    )
    return {name: values[0] for name, values in asdict(group).items()}
