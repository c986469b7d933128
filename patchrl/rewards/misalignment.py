"""What alignment compares: how far a completion is from what the backbone itself would say. Lower is nearer.

π0 is the frozen backbone given the question alone, q(x). y is a completion of T tokens, and s_t = −log π0(y_t | q(x), y_<t)
is the surprisal of its t-th token in nats. `reward.alignment` names one of two figures:

- `mean`: ℓ = Σ s_t / T over the tokens of the text (arXiv 2602.11220). Many dull tokens dilute a few surprising ones.
- `kl`: log π_φ(y | r) − log π0(y | q(x)) of the whole text and the end of its turn. r is the rewriting prompt and π_φ the
  rewriter as it now is. The mean over the rewriter's samples at temperature 1 is KL(π_φ ‖ π0(·|q(x))): a template costs
  as much as the rewriter prefers it to the backbone's own answers. Where the gate is met, the best rewriter is
  π0(·|q(x)) restricted to what passes, variety included. Both likelihoods are those of temperature 1 without top-p,
  however the rollouts are sampled. A rewriter that answers as the backbone does then has `kl` 0. With top-p in them, a
  text that π0 would not sample had no likelihood. Rollouts below temperature 1 are the likelier texts, so their mean
  differs from the KL above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from patchrl.config import Alignment
from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score


def text_nll(score: Score) -> float:
    """−log p of a whole text with the end of its turn, in nats."""
    return float(score.surprisal.sum())


def misalignment(
    alignment: Alignment,
    backbone: Backbone,
    prompts: Sequence[str],
    completions: Sequence[Sequence[int]],
    scores: Sequence[Score],
    *,
    sampled_nll: Sequence[float] | None = None,
    bf16: bool = False,
) -> list[float]:
    """The figure that `alignment` names of each of N completions.

    It is NaN for a completion without tokens, and for one that does not fit the model's context after its prompt.

    Args:
        prompts: N rewriting prompts.
        completions: the token ids of N completions.
        scores: their N scores under q(x).
        sampled_nll: N values of −log π_φ(y | r) in nats, as noted while sampling. What is NaN here, or a completion that
            was not sampled, costs a forward of the model with its adapter on.
        bf16: compute that forward under autocast.
    """
    if alignment == "mean":
        return [score.nll for score in scores]
    policy_nll = list(sampled_nll or [math.nan] * len(completions))
    missing = [i for i, nll in enumerate(policy_nll) if math.isnan(nll)]
    if unread := [i for i in missing if backbone.fits(prompts[i], len(completions[i]))]:
        rows = [prompts[i] for i in unread], [completions[i] for i in unread]
        for i, score in zip(unread, backbone.score(*rows, adapted=True, bf16=bf16), strict=True):
            policy_nll[i] = text_nll(score)
    return [
        text_nll(score) - nll if math.isfinite(score.nll) else math.nan
        for score, nll in zip(scores, policy_nll, strict=True)
    ]
