"""How far a rewrite is from what the backbone would say: what alignment compares. By name in MEASURES; lower is nearer.

π0 is the frozen backbone given the question alone, q(x); y a rewrite of T tokens with the end of its turn after them,
s_t = −log π0(y_t | q(x), y_<t) in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score

WORST_SHARE = 0.1


def mean(score: Score) -> float:
    """ℓ = Σ s_t / T over the tokens of the text (arXiv 2602.11220). Many dull tokens dilute a few surprising ones."""
    return score.nll


def total(score: Score) -> float:
    """Σ s_t with the end of the turn: −log π0(y | q(x)) of the whole text. Padding adds to it, and so does stopping early."""
    return float(score.surprisal.sum())


def excess(score: Score) -> float:
    """Mean of max(0, s_t − H_t), H_t the backbone's entropy there: what it could not have chosen is not held against it."""
    return float(np.maximum(score.surprisal - score.entropy, 0.0).mean())


def worst(score: Score) -> float:
    """Mean of the most surprising tenth of s_t, at least one: a template's odd opening cannot hide behind its length."""
    count = math.ceil(WORST_SHARE * len(score.surprisal))
    return float(np.sort(score.surprisal)[-count:].mean())


# Those of a text's score alone.
MEASURES: dict[str, Callable[[Score], float]] = {"mean": mean, "total": total, "excess": excess, "worst": worst}


def surprise(
    name: str,
    backbone: Backbone,
    prompts: Sequence[str],
    completions: Sequence[Sequence[int]],
    scores: Sequence[Score],
    bf16: bool = False,
    sampled: Sequence[float] | None = None,
) -> list[float]:
    """The measure `name` of each completion; NaN where it has no tokens. `scores` are theirs under q(x), `sampled`
    −log π_φ(y | r) of each as noted while it was sampled, NaN where it was not: what is known needs no forward.

    Beside MEASURES there are two against the rewriting prompt r(x, y*), one of `prompts` each, of the whole text:

    - `ratio`: log π0(y | r) − log π0(y | q(x)), what the instruction to rewrite alone brings in.
    - `kl`: log π_φ(y | r) − log π0(y | q(x)), π_φ the rewriter as it now is. Its mean over the rewriter's samples at
      temperature 1 is KL(π_φ ‖ π0(·|q(x))): a template costs as much as it is preferred to the backbone's own answers, and
      where the gate holds the best rewriter is π0(·|q(x)) restricted to what passes, variety included. Likelihoods are those
      of temperature 1 whatever rollouts are sampled at, because the dataset is rewritten at 1.
    """
    known = [not math.isnan(score.nll) for score in scores]
    if name in MEASURES:
        values = [MEASURES[name](score) if ok else math.nan for score, ok in zip(scores, known, strict=True)]
    else:
        theirs = list(sampled) if name == "kl" and sampled is not None else [math.nan] * len(completions)
        if unread := [i for i, nll in enumerate(theirs) if math.isnan(nll)]:
            asked, texts = [prompts[i] for i in unread], [completions[i] for i in unread]
            for i, score in zip(unread, backbone.score(asked, texts, adapted=name == "kl", bf16=bf16), strict=True):
                theirs[i] = total(score)
        values = [total(score) - nll for score, nll in zip(scores, theirs, strict=True)]
    return [value if ok else math.nan for value, ok in zip(values, known, strict=True)]
