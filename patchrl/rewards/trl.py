"""The gated reward inside TRL: three reward functions whose weighted sum is exactly r_i."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from patchrl.config import RewardSection
from patchrl.grading.gate import Gate
from patchrl.rewards.group_score import Group, GroupScore, judge_completions, score_groups
from patchrl.rewards.misalignment import text_nll
from patchrl.rewards.monitors import monitor_shares
from patchrl.rewards.own_answers import OwnAnswers
from patchrl.types import Example, Generation, Recorder

# Columns of the trainer's dataset beside the prompt, which is the rewriting prompt as a user turn: the example.
EXAMPLE_COLUMNS = tuple(f.name for f in fields(Example))
SAMPLED_NLL_COLUMN = "sampled_nll"  # of the rollouts: −log p under the policy that sampled it, where it was noted
REWARD_PARTS = ("consistency", "alignment", "diversity")


@dataclass
class StepStats:
    """What the reward saw of training since `take_stats` was last called: the rollouts of a step."""

    nll: list[float] = field(default_factory=list)  # of the passing rewrites, as the next four
    text_nll: list[float] = field(default_factory=list)  # nats of the whole text
    max_token_nll: list[float] = field(default_factory=list)  # nats of its most surprising token
    passing_texts: list[str] = field(default_factory=list)
    own_style: int = 0  # as likely as the backbone's own answers
    unscorable: int = 0
    failed_groups: int = 0  # without a rewrite that passes: nothing to learn from
    unscorable_groups: int = 0  # without a single verdict
    tokens: int = 0  # of completions
    seconds: float = 0.0
    newest_group: GroupScore | None = None
    texts: list[str] = field(default_factory=list)
    solutions: list[str] = field(default_factory=list)
    monitor_shares: dict[str, float] = field(default_factory=dict)
    own_distance: float | None = None

    def add(self, other: StepStats) -> None:
        """Add what another process saw of the same step, at the same time."""
        for name in ("nll", "text_nll", "max_token_nll", "passing_texts", "texts", "solutions"):
            getattr(self, name).extend(getattr(other, name))
        for name in ("own_style", "unscorable", "failed_groups", "unscorable_groups", "tokens"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.seconds, self.newest_group = max(self.seconds, other.seconds), other.newest_group

    @property
    def own_style_share(self) -> float | None:
        """Of the passing rewrites, those as likely as the backbone's own answers."""
        return self.own_style / len(self.passing_texts) if self.passing_texts else None


class GatedReward:
    """Scores whole groups once per batch and hands TRL the three parts.

    TRL adds the parts with the weights of `part_weights`; alignment and diversity of a failed rewrite are 0. An unscorable rewrite is None in all three, which TRL
    leaves out of the group's baseline.
    """

    def __init__(
        self,
        gate: Gate,
        section: RewardSection,
        group_size: int,
        own: OwnAnswers | None = None,
    ) -> None:
        """`own` are the backbone's own answers, for the monitors and where alignment is on their scale."""
        self.gate, self.section, self.group_size, self.own = gate, section, group_size, own
        self.anchor = own.anchor(section) if own else None
        self.stats = StepStats()
        self.total_tokens = 0
        self._batch: Any = None
        self._parts: dict[str, list[float | None]] = {}

    @property
    def functions(self) -> list[Callable[..., list[float | None]]]:
        """The three callables for `GRPOTrainer(reward_funcs=…)`, named as their parts."""

        def make(part: str) -> Callable[..., list[float | None]]:
            def reward(completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
                return self._score(completion_ids, columns)[part]

            reward.__name__ = part
            return reward

        return [make(part) for part in REWARD_PARTS]

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
        backbone, bf16 = self.gate.backbone, self.section.bf16_scoring
        examples = [Example(*values) for values in zip(*(columns[name] for name in EXAMPLE_COLUMNS), strict=True)]
        ids = [backbone.completion_ids(completion) for completion in completion_ids]
        judged = judge_completions(
            self.gate, examples, [Generation(backbone.decode(kept), tuple(kept)) for kept in ids], bf16=bf16
        )
        sampled_nll = columns.get(SAMPLED_NLL_COLUMN, ())
        groups = [
            Group(
                examples[start],
                columns["prompts"][start],
                judged[start : start + size],
                sampled_nll[start : start + size],
            )
            for start in range(0, len(judged), size)
        ]
        scored = score_groups(self.gate, self.section, groups, anchor=self.anchor, bf16=bf16)
        if backbone.model.training:  # an evaluation in between is not part of the step
            for group_score in scored:
                self._count(group_score)
            self.stats.newest_group = scored[-1]
            self.stats.tokens += sum(len(completion) for completion in completion_ids)
            self.stats.seconds += time.perf_counter() - started
        self._batch = completion_ids
        self._parts = {part: [v for s in scored for v in getattr(s.rewards, part)] for part in REWARD_PARTS}
        return self._parts

    def _count(self, group_score: GroupScore) -> None:
        group, consistency = group_score.group, group_score.rewards.consistency
        passing = [c for c, gate in zip(group.completions, consistency, strict=True) if gate]
        self.stats.nll += [c.score.nll for c in passing]
        self.stats.text_nll += [text_nll(c.score) for c in passing]
        self.stats.max_token_nll += [float(c.score.surprisal.max()) for c in passing]
        self.stats.passing_texts += [c.generation.text for c in passing]
        self.stats.own_style += sum(self.own.resembles(c.score) for c in passing) if self.own else 0
        self.stats.unscorable += consistency.count(None)
        self.stats.unscorable_groups += all(gate is None for gate in consistency)
        self.stats.failed_groups += not passing and any(gate is not None for gate in consistency)
        self.stats.texts += [c.generation.text for c in group.completions]
        self.stats.solutions += [group.example.solution] * len(group.completions)

    def take_stats(self, gather: Callable[[list[StepStats]], list[StepStats]] = list) -> StepStats:
        """The sums since the last call, which are then reset; `gather` collects those of processes that train together."""
        (stats, *others), self.stats = gather([self.stats]), StepStats()
        started = time.perf_counter()
        for other in others:
            stats.add(other)
        self.total_tokens += stats.tokens
        if stats.texts:
            groups = len(stats.texts) / self.group_size
            own_style_share = stats.own_style_share
            variety = self.own.variety if self.own else None
            stats.monitor_shares = monitor_shares(stats.texts, stats.solutions, variety) | {
                "failed": stats.failed_groups / groups,
                "undecided": stats.unscorable / len(stats.texts),
                "unlike": 1 - own_style_share if self.own and own_style_share is not None else 0.0,
            }
            if self.own and stats.passing_texts:
                stats.own_distance = self.own.distance(stats.passing_texts)
        stats.seconds += time.perf_counter() - started
        return stats


def emit_group(recorder: Recorder, seed: int, step: int, stats: StepStats) -> None:
    """Record the newest group as it was scored."""
    if stats.newest_group is not None:
        recorder.event("group", seed=seed, step=step, **group_fields(stats.newest_group))


def group_fields(score: GroupScore, best: int | None = None) -> dict[str, Any]:
    """A group as events hold it; `best` keeps so many different rewrites, those of the highest reward."""
    group, rewards = score.group, score.rewards
    candidates = [
        {
            "text": completion.generation.text,
            "passed": completion.verdict.passed,
            "reason": completion.verdict.reason,
            "nll": None if math.isnan(completion.score.nll) else round(completion.score.nll, 4),
            **{name: values[k] for name, values in asdict(rewards).items()},
        }
        for k, completion in enumerate(group.completions)
    ]
    if best is not None:
        by_reward = sorted(candidates, key=lambda c: c["reward"] or 0.0, reverse=True)
        candidates = list({c["text"]: c for c in by_reward}.values())[:best]
    return {"question": group.example.question, "solution": group.example.solution, "candidates": candidates}
