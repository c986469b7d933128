"""Mismatch scan: how surprising expert solutions are to the backbone, next to its own answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from patchrl.backbone import Backbone
from patchrl.config import StudyConfig
from patchrl.types import Example, Recorder

SAMPLE = 128


def scan(config: StudyConfig, backbone: Backbone, examples: Sequence[Example], recorder: Recorder) -> dict[str, Any]:
    """ℓ of expert solutions and of the backbone's own sampled answers on up to 128 questions.

    Returns both lists (nats per token), their means and the standardised gap
    (mean expert − mean own) / pooled standard deviation.
    """
    sample = list(examples)[:SAMPLE]
    questions = [e.question for e in sample]
    expert = [s.nll for s in backbone.score(questions, [e.solution for e in sample])]
    answers = backbone.generate(
        questions,
        temperature=1.0,
        max_new_tokens=config.evaluate.max_new_tokens,
        on_progress=lambda done: recorder.progress(done, len(sample)),
    )
    own = [s.nll for s in backbone.score(questions, [a[0].token_ids for a in answers])]
    expert = [round(v, 4) for v in expert if not math.isnan(v)]
    own = [round(v, 4) for v in own if not math.isnan(v)]
    if not expert or not own:
        return {"expert_nll": expert, "own_nll": own, "gap": None}
    pooled = math.sqrt((np.var(expert) + np.var(own)) / 2)
    return {
        "expert_nll": expert,
        "own_nll": own,
        "expert_mean": float(np.mean(expert)),
        "own_mean": float(np.mean(own)),
        "gap": float((np.mean(expert) - np.mean(own)) / pooled) if pooled else None,
    }
