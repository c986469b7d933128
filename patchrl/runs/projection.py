"""Embeddings of several sources on one plane: principal components by numpy. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Projection:
    """Points of shape (N, 2) by source, and the shares of variance that both axes carry."""

    points: dict[str, np.ndarray]
    explained: tuple[float, float]


def project(sources: dict[str, np.ndarray]) -> Projection | None:
    """All sources, vectors of shape (N, D) each, on the first two principal components of their union.

    Directions are fixed by the first source, whose mean lies to the right and above. None for fewer than
    three vectors or dimensions, or without any variance.
    """
    stacked_ND = np.concatenate([np.asarray(v, np.float64) for v in sources.values()]) if sources else np.zeros((0, 0))
    if min(stacked_ND.shape) < 3 or not np.isfinite(stacked_ND).all():
        return None
    centre_D = stacked_ND.mean(0)
    _, values, axes_DD = np.linalg.svd(stacked_ND - centre_D, full_matrices=False)
    variance = values**2
    if not variance.sum() > 0:
        return None
    axes_2D = axes_DD[:2]
    first_2 = (np.asarray(next(iter(sources.values())), np.float64).mean(0) - centre_D) @ axes_2D.T
    axes_2D = axes_2D * np.where(first_2 < 0, -1.0, 1.0)[:, None]
    points = {name: (np.asarray(v, np.float64) - centre_D) @ axes_2D.T for name, v in sources.items()}
    shares = variance[:2] / variance.sum()
    return Projection(points, (float(shares[0]), float(shares[1])))
