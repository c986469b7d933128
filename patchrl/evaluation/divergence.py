"""How far a model has moved from its backbone on the inputs of a task: KL(backbone ‖ model), nats per token.

Measured on texts that the backbone samples at temperature 1 for the task's questions, as in RL's Razor (arXiv 2509.04259),
which found that this figure tells forgetting better than anything about the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score

QUESTIONS = 64
MAX_TOKENS = 128
SampledText = dict[str, Any]  # question, ids, whether it ended, and its surprisal under the backbone in nats


def sample_texts(backbone: Backbone, questions: Sequence[str], seed: int) -> list[SampledText]:
    """Texts that the backbone samples for the first QUESTIONS questions, as plain data."""
    asked = list(dict.fromkeys(questions))[:QUESTIONS]
    prompts = [backbone.prompt_ids(question) for question in asked]
    groups = backbone.sample(prompts, temperature=1.0, max_new_tokens=MAX_TOKENS, seed=seed)
    stops = backbone.stop_ids
    texts: list[SampledText] = [
        {"question": question, "ids": ids, "ended": ids[-1] in stops}
        for question, (ids,) in zip(asked, groups, strict=True)
    ]
    scores = backbone.score(asked, [text["ids"] for text in texts])
    return [
        text | {"surprisal": round(_total(score, text["ended"]), 4)} for text, score in zip(texts, scores, strict=True)
    ]


def divergence(model: Backbone, texts: Sequence[SampledText]) -> float:
    """KL(backbone ‖ model) estimated on `sample_texts`, in nats per token; it can fall a little below 0 by chance."""
    scores = model.score([text["question"] for text in texts], [text["ids"] for text in texts], adapted=True)
    rise = sum(_total(s, text["ended"]) - text["surprisal"] for s, text in zip(scores, texts, strict=True))
    return rise / sum(len(text["ids"]) for text in texts)


def _total(score: Score, ended: bool) -> float:
    return float(np.sum(score.surprisal if ended else score.surprisal[:-1]))
