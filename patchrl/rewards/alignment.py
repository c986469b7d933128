"""QA-style alignment: how likely the backbone itself finds a rewrite, relative to its group."""

from __future__ import annotations

import numpy as np

EPSILON = 1e-6
Anchor = tuple[float, float]  # mean and standard deviation of the measure over the backbone's own answers


def alignment(nll_F: np.ndarray, anchor: Anchor | None = None) -> np.ndarray:
    """a = σ(−(ℓ − μ)/(s + ε)) over the feasible rewrites of one group (arXiv 2602.11220).

    `nll_F`: ℓ in nats per token of the F feasible members, or another measure of surprise. Returns values in (0, 1),
    shape (F,); a single member, or members all alike, get 0.5.

    With an `anchor` the scale is absolute: a = 1/(1 + max(0, ℓ − μ)/s) in (0, 1], μ and s of the backbone's own sampled
    answers. What is as likely as those are on average gets 1, and nothing is gained by being likelier: that would be
    its one favourite phrasing. The tail is heavy so that far rewrites are still told apart.

    Raises ValueError for NaN or infinity, which would make every other member's value meaningless.
    """
    nll_F = np.asarray(nll_F, dtype=np.float64)
    if not np.isfinite(nll_F).all():
        raise ValueError("alignment: every value must be finite; leave out members without one.")
    if nll_F.size == 0:
        return nll_F
    if anchor is not None:
        centre, spread = anchor
        return 1.0 / (1.0 + np.maximum(0.0, nll_F - centre) / max(spread, EPSILON))
    centred = nll_F - nll_F.mean()
    spread = centred.std()
    if spread <= 1e-12 * max(1.0, float(np.abs(nll_F).max())):  # ties up to rounding
        return np.full_like(nll_F, 0.5)
    # |z| of a group of K is at most sqrt(K − 1), so the exponential cannot overflow.
    return 1.0 / (1.0 + np.exp(centred / (spread + EPSILON)))
