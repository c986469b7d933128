"""The backbone's own sampled answers, which rewrites are compared with.

Only the anchor enters the reward. The other figures stay outside it, so that they can show a reward won in the wrong way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from patchrl.config import RewardSection, RewriterSection, StudyConfig
from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score
from patchrl.rewards.alignment import Anchor
from patchrl.rewards.gain import first_time_nll
from patchrl.rewards.misalignment import text_nll
from patchrl.rewards.monitors import OWN_STYLE_QUANTILE
from patchrl.rewards.variety import Variety, energy_distance
from patchrl.types import Example


@dataclass(frozen=True)
class OwnAnswers:
    """Texts that the backbone answered with, and their scores under q(x)."""

    texts: list[str]
    scores: list[Score]
    token_ids: list[tuple[int, ...]] = field(default_factory=list)
    question_ids: list[list[int]] = field(default_factory=list)

    @classmethod
    def sample(cls, backbone: Backbone, questions: Sequence[str], rewriter: RewriterSection, seed: int) -> OwnAnswers:
        """Answers of the frozen backbone to each question alone, as many as a group has rewrites.

        The number matters: variety depends on how many texts are compared.
        """
        with backbone.frozen():
            groups = backbone.generate(
                questions,
                samples=rewriter.group_size,
                temperature=rewriter.temperature,
                top_p=rewriter.top_p,
                max_new_tokens=rewriter.max_new_tokens,
                seed=seed,
            )
        rows = [(question, answer) for question, group in zip(questions, groups, strict=True) for answer in group]
        scores = backbone.score([question for question, _ in rows], [answer.token_ids for _, answer in rows])
        question_ids = [backbone.completion_ids(question) for question, _ in rows]
        return cls([answer.text for _, answer in rows], scores, [answer.token_ids for _, answer in rows], question_ids)

    @cached_property
    def variety(self) -> Variety:
        return Variety.of(self.texts)

    def anchor(self, reward: RewardSection) -> Anchor | None:
        """Mean and standard deviation over these answers of the figure that alignment compares; None where it compares the
        members of a group with each other.

        `kl` is 0 where the rewriter answers as the backbone does; it varies as much as the surprisal of whole answers.
        """
        scores = [score for score in self.scores if not math.isnan(score.nll)]
        if reward.kind == "gain":
            rows = zip(self.scores, self.token_ids, self.question_ids, strict=True)
            figures = [first_time_nll(score.surprisal, ids, question) for score, ids, question in rows]
            nll = [figure for figure in figures if not math.isnan(figure)]
            return float(np.mean(nll or [0.0])), float(np.std(nll or [0.0]))
        if reward.alignment_scale == "group":
            return None
        if reward.alignment == "mean":
            values = [score.nll for score in scores] or [0.0]
            return float(np.mean(values)), float(np.std(values))
        return 0.0, float(np.std([text_nll(score) for score in scores] or [0.0]))

    @cached_property
    def _max_own_nll(self) -> float:
        values = [text_nll(score) for score in self.scores]
        return float(np.quantile(values, OWN_STYLE_QUANTILE)) if values else math.inf

    def resembles(self, score: Score) -> bool:
        """Whether a text as a whole is as likely as these answers are, by its surprisal in nats.

        A long template that is dull token by token is not: its tokens add up.
        """
        return text_nll(score) <= self._max_own_nll

    def distance(self, texts: Sequence[str]) -> float:
        """How far the wording of some texts is from these answers', from 0 (alike) to 1 (`energy_distance`)."""
        return energy_distance(texts, self.texts)


def own_anchor(config: StudyConfig, backbone: Backbone, examples: Sequence[Example], seed: int) -> Anchor | None:
    """The scale of alignment that training would have on these examples; None where it is relative to the group."""
    if config.reward.kind == "paper" and config.reward.alignment_scale == "group":
        return None
    questions = [example.question for example in examples[: config.rewriter.prompts_per_step]]
    return OwnAnswers.sample(backbone, questions, config.rewriter, seed).anchor(config.reward)
