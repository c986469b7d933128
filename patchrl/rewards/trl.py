"""The gated reward inside TRL: three reward functions whose weighted sum is exactly r_i."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from patchrl.config import RewardSection
from patchrl.grading.gate import Gate
from patchrl.models.scoring import Score
from patchrl.rewards.alarms import watch
from patchrl.rewards.group import GroupRewards, group_rewards
from patchrl.rewards.measures import surprise, total
from patchrl.rewards.own_answers import OwnAnswers
from patchrl.types import Example, Recorder, Verdict

COLUMNS = tuple(f.name for f in fields(Example))  # what the trainer's dataset must hold beside the prompt
ASKED = "asked"  # and the rewriting prompt as text, for the measures that are held against it
SAMPLED = "sampled_nll"  # −log p of the rollout under the policy that sampled it, where that was noted


@dataclass
class StepStats:
    """What the reward saw of training since it was last asked: sums over the rollouts of a step."""

    nll_passing: list[float] = field(default_factory=list)
    total_passing: list[float] = field(default_factory=list)  # nats of the whole text
    largest_passing: list[float] = field(default_factory=list)  # nats of its most surprising token
    passing: list[str] = field(default_factory=list)
    own_like: int = 0  # of the passing ones, as likely as the backbone's own answers
    unscorable: int = 0
    failed_groups: int = 0  # without a rewrite that passes: nothing to learn from
    unscorable_groups: int = 0  # without a single verdict
    seconds: float = 0.0
    group: dict[str, Any] | None = None
    texts: list[str] = field(default_factory=list)
    solutions: list[str] = field(default_factory=list)
    signs: dict[str, float] = field(default_factory=dict)
    own_distance: float | None = None

    @property
    def own_share(self) -> float | None:
        """Of the passing rewrites, those as likely as the backbone's own answers."""
        return self.own_like / len(self.passing) if self.passing else None


class GatedReward:
    """Scores whole groups once per batch and hands TRL the three parts.

    TRL adds the parts with weights (1, λ_dist, λ_div); alignment and diversity of a failed rewrite are
    0, so the sum is g·(1 + λ_dist·a + λ_div·d). An unscorable rewrite is None in all three, which TRL
    leaves out of the group's baseline.
    """

    def __init__(
        self,
        gate: Gate,
        section: RewardSection,
        group_size: int,
        own: OwnAnswers | None = None,
    ) -> None:
        """`own` are the backbone's own answers, for the alarms and where alignment is on their scale."""
        self.gate, self.section, self.group_size, self.own = gate, section, group_size, own
        self.anchor = own.anchor(section.alignment) if own and section.alignment_scale == "own" else None
        self.stats = StepStats()
        self.total_tokens = 0
        self._batch: Any = None
        self._parts: dict[str, list[float | None]] = {}

    @property
    def weights(self) -> list[float]:
        return [1.0, self.section.lambda_dist, self.section.lambda_div]

    @property
    def functions(self) -> list[Callable[..., list[float | None]]]:
        """The three callables for `GRPOTrainer(reward_funcs=…)`, named as their parts."""

        def make(part: str) -> Callable[..., list[float | None]]:
            def reward(completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
                return self._score(completion_ids, columns)[part]

            reward.__name__ = part
            return reward

        return [make(part) for part in ("consistency", "alignment", "diversity")]

    def _score(self, completion_ids: list[list[int]], columns: dict[str, Any]) -> dict[str, list[float | None]]:
        if self._batch is completion_ids:  # the other two parts of the same call
            return self._parts
        started = time.perf_counter()
        questions, size = columns["question"], self.group_size
        broken = len(questions) % size or any(
            len(set(questions[i : i + size])) != 1 for i in range(0, len(questions), size)
        )
        if broken:
            raise ValueError(f"The reward was called with split groups; make the batch a multiple of K = {size}.")
        backbone = self.gate.backbone
        counted = backbone.model.training  # an evaluation in between is no part of the step
        examples = [Example(*values) for values in zip(*(columns[name] for name in COLUMNS), strict=True)]
        ids = [backbone.completion_ids(c) for c in completion_ids]
        texts = [backbone.decode(c) for c in ids]
        measure, bf16 = self.section.alignment, self.section.bf16_scoring
        scores = backbone.score(questions, ids, entropy=measure == "excess", bf16=bf16)
        far = surprise(measure, backbone, columns[ASKED], ids, scores, bf16, columns.get(SAMPLED))
        embeddings_ND = self.gate.embedder.embed(texts, scores)
        verdicts = self.gate.check(examples, texts, embeddings_ND)
        parts: dict[str, list[float | None]] = {"consistency": [], "alignment": [], "diversity": []}
        for start in range(0, len(ids), size):
            members = slice(start, start + size)
            passed = [_scorable(v, s) for v, s in zip(verdicts[members], scores[members], strict=True)]
            group = group_rewards(
                passed,
                far[members],
                embeddings_ND[members],
                lambda_dist=self.section.lambda_dist,
                lambda_div=self.section.lambda_div,
                diversity_scale=self.section.diversity_scale,
                anchor=self.anchor,
            )
            for part, values in parts.items():
                values.extend(getattr(group, part))
            if counted:
                self._count(passed, scores[members], texts[members])
        if counted:
            self.stats.group = self._newest_group(columns, texts, verdicts, scores, group)
            self.stats.texts += texts
            self.stats.solutions += columns["solution"]
            self.total_tokens += sum(len(c) for c in completion_ids)
            self.stats.seconds += time.perf_counter() - started
        self._batch, self._parts = completion_ids, parts
        return parts

    def _count(self, passed: list[bool | None], scores: list[Score], texts: list[str]) -> None:
        good = [(score, text) for score, text, p in zip(scores, texts, passed, strict=True) if p]
        self.stats.nll_passing += [score.nll for score, _ in good]
        self.stats.total_passing += [total(score) for score, _ in good]
        self.stats.largest_passing += [float(score.surprisal.max()) for score, _ in good]
        self.stats.passing += [text for _, text in good]
        self.stats.own_like += sum(self.own.resembles(score) for score, _ in good) if self.own else 0
        self.stats.unscorable += passed.count(None)
        self.stats.unscorable_groups += all(p is None for p in passed)
        self.stats.failed_groups += not any(passed) and any(p is not None for p in passed)

    def _newest_group(self, columns, texts, verdicts, scores, group: GroupRewards) -> dict[str, Any]:
        last = range(len(texts) - self.group_size, len(texts))
        candidates = [
            {
                "text": texts[i],
                "passed": verdicts[i].passed,
                "reason": verdicts[i].reason,
                "nll": None if np.isnan(scores[i].nll) else round(scores[i].nll, 4),
                **{part: getattr(group, part)[k] for part in ("reward", "consistency", "alignment", "diversity")},
            }
            for k, i in enumerate(last)
        ]
        return {"question": columns["question"][-1], "solution": columns["solution"][-1], "candidates": candidates}

    def take_stats(self) -> StepStats:
        """The sums since the last call, which are then reset."""
        stats, self.stats = self.stats, StepStats()
        started = time.perf_counter()
        if stats.texts:
            groups = len(stats.texts) / self.group_size
            stats.signs = watch(stats.texts, stats.solutions, self.own.variety if self.own else None) | {
                "failed": stats.failed_groups / groups,
                "undecided": stats.unscorable / len(stats.texts),
                "unlike": 1 - stats.own_share if self.own and stats.own_share is not None else 0.0,
            }
            if self.own and stats.passing:
                stats.own_distance = self.own.distance(stats.passing)
        stats.seconds += time.perf_counter() - started
        return stats


def _scorable(verdict: Verdict, score: Score) -> bool | None:
    """The gate's word, undecided where a rewrite passed but its ℓ or embedding is no finite number."""
    finite = np.isfinite(score.nll) and np.isfinite(score.embedding).all()
    return verdict.passed if finite or not verdict.passed else None


def emit_group(recorder: Recorder, seed: int, step: int, stats: StepStats) -> None:
    """Record the newest group as it was scored."""
    if stats.group:
        recorder.event("group", seed=seed, step=step, **stats.group)
