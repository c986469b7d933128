"""Ways to get an arm's targets, each verified by the same gate. One function per source, in REWRITE_METHODS."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from patchrl.config import StudyConfig
from patchrl.config.instructions import rewrite_prompt
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score
from patchrl.rewards import group_rewards
from patchrl.types import Decision, Example, Generation, Rewrite, Verdict

Progress = Callable[[int], None] | None
ATTEMPT_SEED, GUIDED_SEED = 10_007, 500_009  # offsets, so that no two draws of a study share one


@dataclass(frozen=True)
class Candidate:
    """One sampled text with the gate's word on it, its ℓ and its embedding of shape (D,)."""

    generation: Generation
    verdict: Verdict
    score: Score
    embedding: np.ndarray


def best_feasible(verdicts: Sequence[Verdict], scores: Sequence[Score]) -> int | None:
    """Index of the passing candidate with the lowest ℓ, None when none passes."""
    passing = [i for i, v in enumerate(verdicts) if v.passed and not math.isnan(scores[i].nll)]
    return min(passing, key=lambda i: scores[i].nll) if passing else None


def first_passing(verdicts: Sequence[Verdict]) -> int | None:
    """Index of the first passing candidate, which is a fair draw among those that pass; None when none does."""
    return next((i for i, verdict in enumerate(verdicts) if verdict.passed), None)


# --- the sources ----------------------------------------------------------------------------------


def one_rewrite(config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: Progress):
    """One rewrite of the expert's solution by whatever adapter the backbone carries, else the expert's text.

    Without an adapter: prompt-based rewriting (compare SDFT, arXiv 2402.13669). With the rewriter's: PatchRL
    (arXiv 2602.11220, generate – verify – fallback).
    """
    return rewrite_examples(config, gate, examples, candidates=1, seed=seed, on_progress=progress)


def best_of_k(config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: Progress):
    """Of K rewrites the passing one with the lowest ℓ.

    Without an adapter: whether RL adds anything to sampling more. With the rewriter's: whether sampling more adds
    anything to RL.
    """
    k = config.rewrite.best_of_k
    return rewrite_examples(config, gate, examples, candidates=k, seed=seed, on_progress=progress)


def own_solutions(config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: Progress):
    """The backbone's own correct solutions only, of K sampled answers the first that passes; others are dropped.

    Rejection sampling; "Retaining by Doing" (arXiv 2510.18874) studies what such data keeps and forgets.
    """
    groups, tokens = judged_answers(config, gate, examples, seed, progress, config.rewrite.best_of_k)
    experts = _expert_scores(gate, examples)
    made = [
        _decide(config, e, expert, group, first_passing([c.verdict for c in group]), "drop", "own")
        for e, expert, group in zip(examples, experts, groups, strict=True)
    ]
    return made, tokens


def mind_the_gap(config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: Progress):
    """Own correct solution, else one re-solved with the expert's shown, else the expert's (arXiv 2509.15157).

    K samples in each of the first two stages, the first that passes is kept. The guided prompt is the
    study's rewriting instruction, so that arms differ in method and not in prompt. The paper's second stage
    is the DFT loss: `mind-the-gap+dft`.
    """
    groups, tokens = judged_answers(config, gate, examples, seed, progress, config.rewrite.best_of_k)
    picks = [first_passing([c.verdict for c in group]) for group in groups]
    unsolved = [i for i, pick in enumerate(picks) if pick is None]
    origins = ["own"] * len(examples)
    if unsolved:
        rows = [examples[i] for i in unsolved]
        guided, more = _sample(
            gate,
            rows,
            [rewrite_prompt(config.rewriter.instruction, e.question, e.solution) for e in rows],
            samples=config.rewrite.best_of_k,
            temperature=config.rewrite.temperature,
            max_new_tokens=config.rewriter.max_new_tokens,
            seed=seed * 1_000_003 + GUIDED_SEED,
        )
        tokens += more
        for i, group in zip(unsolved, guided, strict=True):
            groups[i], picks[i], origins[i] = group, first_passing([c.verdict for c in group]), "guided"
    experts = _expert_scores(gate, examples)
    fallback = config.rewrite.fallback
    made = [
        _decide(config, e, expert, group, pick, fallback, origin)
        for e, expert, group, pick, origin in zip(examples, experts, groups, picks, origins, strict=True)
    ]
    return made, tokens


# By the sources of patchrl.config.arms; `expert` needs no rows, and `rl-drop` starts from those of `rl`.
REWRITE_METHODS = {
    "prompted": one_rewrite,
    "best-of-k": best_of_k,
    "rl": one_rewrite,
    "rl-paper": one_rewrite,
    "rl-mean": one_rewrite,
    "rl-best-of-k": best_of_k,
    "rl-no-alignment": one_rewrite,
    "rl-no-diversity": one_rewrite,
    "mind-the-gap": mind_the_gap,
    "self": own_solutions,
}


def resample_own(
    config: StudyConfig, backbone: Backbone, gate: Gate, examples: Sequence[Example], seed: int
) -> tuple[list[tuple[str, str]], int]:
    """(question, own correct answer) pairs of a model as it now is, and the completion tokens sampled.

    Approximately on-policy data, sampled at the start of an epoch (arXiv 2510.18874); `gate` stands on the
    frozen backbone.
    """
    groups = _generate_own(config, backbone, examples, seed, None, config.rewrite.best_of_k)
    texts = [g.text for group in groups for g in group]
    verdicts = gate.check([e for e, group in zip(examples, groups, strict=True) for _ in group], texts)
    k = config.rewrite.best_of_k
    picks = [first_passing(verdicts[i * k : (i + 1) * k]) for i in range(len(examples))]
    pairs = [
        (e.question, group[pick].text)
        for e, group, pick in zip(examples, groups, picks, strict=True)
        if pick is not None
    ]
    return pairs, sum(len(g.token_ids) + 1 for group in groups for g in group)


# --- what they are made of ------------------------------------------------------------------------


def rewrite_examples(
    config: StudyConfig,
    gate: Gate,
    examples: Sequence[Example],
    *,
    candidates: int,
    seed: int,
    on_progress: Progress = None,
) -> tuple[list[Rewrite], int]:
    """Generate, verify, fall back: one Rewrite per example, and the completion tokens sampled.

    Each attempt samples `candidates` rewrites at the configured temperature with whatever adapter the
    backbone carries; the feasible one with the lowest ℓ is kept. Examples without one are tried again
    up to `rewrite.attempts` times and then fall back.
    """
    experts = _expert_scores(gate, examples)
    chosen: dict[int, tuple[list[Candidate], int | None]] = {}
    attempts = dict.fromkeys(range(len(examples)), 0)
    tokens = 0
    for attempt in range(config.rewrite.attempts):
        open_rows = [i for i in attempts if i not in chosen or chosen[i][1] is None]
        if not open_rows:
            break
        rows = [examples[i] for i in open_rows]
        groups, sampled = _sample(
            gate,
            rows,
            [rewrite_prompt(config.rewriter.instruction, e.question, e.solution) for e in rows],
            samples=candidates,
            temperature=config.rewrite.temperature,
            max_new_tokens=config.rewriter.max_new_tokens,
            seed=seed * 1_000_003 + attempt * ATTEMPT_SEED,
            progress=on_progress if attempt == 0 else None,
        )
        tokens += sampled
        for row, group in zip(open_rows, groups, strict=True):
            chosen[row] = group, best_feasible([c.verdict for c in group], [c.score for c in group])
            attempts[row] += 1
    fallback = config.rewrite.fallback
    rewrites = [
        _decide(config, example, experts[i], *chosen[i], fallback, "rewrite", attempts[i])
        for i, example in enumerate(examples)
    ]
    return rewrites, tokens


def judged_answers(
    config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: Progress, samples: int
) -> tuple[list[list[Candidate]], int]:
    """`samples` answers to the bare question of every example, judged, and the completion tokens sampled."""
    return _judge(gate, examples, _generate_own(config, gate.backbone, examples, seed, progress, samples))


def _generate_own(
    config: StudyConfig,
    backbone: Backbone,
    examples: Sequence[Example],
    seed: int,
    progress: Progress,
    samples: int,
) -> list[list[Generation]]:
    """Answers to the bare question, q(x), each."""
    return backbone.generate(
        [e.question for e in examples],
        samples=samples,
        temperature=config.rewrite.temperature,
        max_new_tokens=config.rewriter.max_new_tokens,
        seed=seed * 1_000_003,
        on_progress=progress,
    )


def _sample(
    gate: Gate,
    examples: Sequence[Example],
    prompts: Sequence[str],
    *,
    samples: int,
    temperature: float,
    max_new_tokens: int,
    seed: int,
    progress: Progress = None,
) -> tuple[list[list[Candidate]], int]:
    """`samples` judged texts for each prompt, and the completion tokens sampled."""
    groups = gate.backbone.generate(
        prompts,
        samples=samples,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        seed=seed,
        on_progress=progress,
    )
    return _judge(gate, examples, groups)


def _judge(
    gate: Gate, examples: Sequence[Example], groups: Sequence[Sequence[Generation]]
) -> tuple[list[list[Candidate]], int]:
    flat = [(e, g) for e, group in zip(examples, groups, strict=True) for g in group]
    texts = [g.text for _, g in flat]
    scores = gate.backbone.score([e.question for e, _ in flat], [g.token_ids for _, g in flat])
    embeddings_ND = gate.embedder.embed(texts, scores)
    verdicts = gate.check([e for e, _ in flat], texts, embeddings_ND)
    judged = iter(
        Candidate(g, verdict, score, embedding)
        for (_, g), verdict, score, embedding in zip(flat, verdicts, scores, embeddings_ND, strict=True)
    )
    tokens = sum(len(g.token_ids) + 1 for _, g in flat)
    return [[next(judged) for _ in group] for group in groups], tokens


def _expert_scores(gate: Gate, examples: Sequence[Example]) -> list[tuple[Score, np.ndarray]]:
    """Score and embedding of every expert solution."""
    solutions = [e.solution for e in examples]
    scores = gate.backbone.score([e.question for e in examples], solutions)
    return list(zip(scores, gate.embedder.embed(solutions, scores), strict=True))


def _decide(
    config: StudyConfig,
    example: Example,
    expert: tuple[Score, np.ndarray],
    group: Sequence[Candidate],
    pick: int | None,
    fallback: str,
    origin: str,
    attempts: int = 1,
) -> Rewrite:
    """The decision on one example: its picked candidate, or, shown for what it is, the first of a failed group."""
    made = group[pick or 0]
    if pick is not None:
        decision: Decision = "accepted"
        target: str | None = made.generation.text
    elif fallback == "expert":
        decision, target = "fallback", example.solution
    else:
        decision, target = "dropped", None
    nll, expert_nll = made.score.nll, expert[0].nll
    return Rewrite(
        example=example,
        text=made.generation.text,
        verdict=made.verdict,
        decision=decision,
        target=target,
        nll_expert=expert_nll,
        nll_rewrite=None if math.isnan(nll) else nll,
        attempts=attempts,
        rewards=_against_expert(config, made.verdict, [nll, expert_nll], np.stack([made.embedding, expert[1]])),
        origin=origin,
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
