"""The backbone's own sampled answers: what rewrites are held against while the rewriter trains.

None of the figures here but the anchor is in the reward, so they can tell that it is being won in the wrong way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score
from patchrl.rewards.alarms import Variety
from patchrl.rewards.alignment import Anchor
from patchrl.rewards.measures import MEASURES, total
from patchrl.rewards.variety import energy_distance

LIKELIEST = 0.975  # share of own answers that are at most as surprising as what counts as in their style


@dataclass(frozen=True)
class OwnAnswers:
    """Texts that the backbone answered with, and their scores under q(x)."""

    texts: list[str]
    scores: list[Score]

    @classmethod
    def sample(
        cls,
        backbone: Backbone,
        questions: Sequence[str],
        *,
        samples: int,
        temperature: float,
        max_new_tokens: int,
        seed: int,
    ) -> OwnAnswers:
        """`samples` answers to each question alone."""
        groups = backbone.generate(
            questions, samples=samples, temperature=temperature, max_new_tokens=max_new_tokens, seed=seed
        )
        asked = [(q, answer) for q, group in zip(questions, groups, strict=True) for answer in group]
        scores = backbone.score([q for q, _ in asked], [a.token_ids for _, a in asked], entropy=True)
        return cls([a.text for _, a in asked], scores)

    @cached_property
    def variety(self) -> Variety:
        return Variety.of(self.texts)

    def anchor(self, measure: str) -> Anchor:
        """Mean and standard deviation of a measure of surprise over these answers.

        The measures against the rewriting prompt are 0 where the rewriter answers as the backbone does.
        """
        known = [s for s in self.scores if not math.isnan(s.nll)]
        values = [MEASURES.get(measure, total)(s) for s in known] or [0.0]
        return (float(np.mean(values)) if measure in MEASURES else 0.0), float(np.std(values))

    @cached_property
    def _limit(self) -> float:
        return float(np.quantile([total(s) for s in self.scores], LIKELIEST)) if self.scores else math.inf

    def resembles(self, score: Score) -> bool:
        """Whether a text is as likely as a whole as these answers are, told by its total surprisal in nats.

        A long template that is dull token by token is not: its tokens add up.
        """
        return total(score) <= self._limit

    def distance(self, texts: Sequence[str]) -> float:
        """How far the wording of some texts is from these answers', from 0 (alike) to 1 (`energy_distance`)."""
        return energy_distance(texts, self.texts)
