"""QA-style alignment: how likely the backbone itself finds a rewrite, relative to its group."""

from __future__ import annotations

import numpy as np

EPSILON = 1e-6


def alignment(nll_F: np.ndarray) -> np.ndarray:
    """a = σ(−(ℓ − μ)/(s + ε)) over the feasible rewrites of one group (arXiv 2602.11220).

    `nll_F`: ℓ in nats per token of the F feasible members. Returns values in (0, 1), shape (F,);
    a single member, or members all alike, get 0.5.
    """
    nll_F = np.asarray(nll_F, dtype=np.float64)
    if nll_F.size == 0:
        return nll_F
    centred = nll_F - nll_F.mean()
    spread = centred.std()
    if spread <= 1e-12 * max(1.0, float(np.abs(nll_F).max())):  # ties up to rounding
        return np.full_like(nll_F, 0.5)
    # |z| of a group of K is at most sqrt(K − 1), so the exponential cannot overflow.
    return 1.0 / (1.0 + np.exp(centred / (spread + EPSILON)))
