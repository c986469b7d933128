"""The one place that scores groups of completions: training, rewriting, playground and the `try` command all use it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from patchrl.config import RewardSection
from patchrl.grading.gate import Gate
from patchrl.models.scoring import Score
from patchrl.rewards.alignment import Anchor
from patchrl.rewards.gain import Gap, first_time_nll
from patchrl.rewards.group import GroupRewards, configured_rewards
from patchrl.rewards.misalignment import misalignment
from patchrl.types import Example, Generation, Verdict

CUT_OFF = "it does not end within the length limit"


@dataclass(frozen=True)
class JudgedCompletion:
    """A completion with the gate's verdict, its score under q(x) and its embedding of shape (D,)."""

    generation: Generation
    verdict: Verdict
    score: Score
    embedding: np.ndarray


@dataclass(frozen=True)
class Group:
    """K completions of one example, which are rewarded relative to each other.

    `prompt` is the example's rewriting prompt. `sampled_nll` is −log p of each completion in nats under the policy
    that sampled it, NaN where it was not noted, and nothing where none was.
    """

    example: Example
    prompt: str
    completions: Sequence[JudgedCompletion]
    sampled_nll: Sequence[float] = ()


@dataclass(frozen=True)
class GroupScore:
    """What comes out for one group: K values of the figure that alignment compares, and K rewards with their parts."""

    group: Group
    misalignment: list[float]
    rewards: GroupRewards


def judge_completions(
    gate: Gate, examples: Sequence[Example], generations: Sequence[Generation], *, top: int = 0, bf16: bool = False
) -> list[JudgedCompletion]:
    """Verdict, score and embedding of N completions of N examples.

    Args:
        top: so many alternatives to every token; 0 leaves the tokens out.
        bf16: score under autocast.
    """
    texts = [generation.text for generation in generations]
    scores = gate.backbone.score(
        [e.question for e in examples], [generation.token_ids for generation in generations], top=top, bf16=bf16
    )
    embeddings_ND = gate.embedder.embed(texts, scores)
    verdicts = [
        # A text without an end is often one that repeats itself, and whoever is fine-tuned on it learns to.
        Verdict(False, CUT_OFF, verdict.extracted) if generation.clipped and verdict.passed else verdict
        for generation, verdict in zip(generations, gate.check(examples, texts, embeddings_ND), strict=True)
    ]
    return [JudgedCompletion(*judged) for judged in zip(generations, verdicts, scores, embeddings_ND, strict=True)]


def score_groups(
    gate: Gate, section: RewardSection, groups: Sequence[Group], *, anchor: Anchor | None = None, bf16: bool = False
) -> list[GroupScore]:
    """The rewards of each group, as the settings in `section` define them.

    The adapter that the backbone carries is the rewriter which `kl` compares with the frozen backbone.

    Args:
        anchor: the scale of the backbone's own answers (`OwnAnswers.anchor`), which the gain and `alignment_scale = "own"`
            need.
        bf16: read what is not known yet under autocast.
    """
    members = [(group, completion) for group in groups for completion in group.completions]
    is_gain = section.kind == "gain"
    gaps: dict[str, Gap] = {}
    if is_gain:
        if anchor is None:
            raise ValueError("score_groups: the gain is measured against own answers; give their anchor.")
        gaps = {
            group.example.id: (nll, anchor[0]) for group, nll in zip(groups, _expert_nll(gate, groups), strict=True)
        }
        questions = {g.example.id: gate.backbone.completion_ids(g.example.question) for g in groups}
        figures = iter(
            [first_time_nll(c.score.surprisal, c.generation.token_ids, questions[g.example.id]) for g, c in members]
        )
    else:
        figures = iter(
            misalignment(
                section.alignment,
                gate.backbone,
                [group.prompt for group, _ in members],
                [completion.generation.token_ids for _, completion in members],
                [completion.score for _, completion in members],
                sampled_nll=[
                    nll for group in groups for nll in group.sampled_nll or [math.nan] * len(group.completions)
                ],
                bf16=bf16,
            )
        )
    scored = []
    for group in groups:
        values_K = [next(figures) for _ in group.completions]
        rewards = configured_rewards(
            section,
            [completion.verdict.passed for completion in group.completions],
            values_K,
            np.stack([completion.embedding for completion in group.completions]),
            None if is_gain else anchor,
            gaps.get(group.example.id),
        )
        scored.append(GroupScore(group, values_K, rewards))
    return scored


def _expert_nll(gate: Gate, groups: Sequence[Group]) -> list[float]:
    """What the gain compares, of each group's expert solution."""
    examples, ids = [group.example for group in groups], gate.backbone.completion_ids
    figures = [
        (first_time_nll(score.surprisal, ids(example.solution), ids(example.question)), score.nll)
        for score, example in zip(gate.expert_scores(examples), examples, strict=True)
    ]
    return [nll if math.isnan(figure) else figure for figure, nll in figures]  # an expert may only repeat the question
