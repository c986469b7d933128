"""Diversity: what each feasible rewrite adds to the variety of its group."""

from __future__ import annotations

from typing import Literal

import numpy as np

Scale = Literal["paper", "group"]
MIN_DIVERSITY = 1e-4  # D(S) from which the own scale of a group means something; below it copies would earn the most


def _distances(embeddings_FD: np.ndarray) -> np.ndarray:
    embeddings_FD = np.asarray(embeddings_FD, dtype=np.float64)
    norms = np.linalg.norm(embeddings_FD, axis=1, keepdims=True)
    unit = embeddings_FD / np.where(norms == 0, 1.0, norms)
    return np.clip((1.0 - unit @ unit.T) / 2.0, 0.0, 1.0)


def mean_pairwise_distance(embeddings_FD: np.ndarray) -> float:
    """D(S): mean over pairs of (1 − cos)/2, in [0, 1]; 0 for fewer than two members."""
    count = len(embeddings_FD)
    if count < 2:
        return 0.0
    return float(_distances(embeddings_FD)[np.triu_indices(count, 1)].mean())


def diversity(embeddings_FD: np.ndarray, scale: Scale = "paper") -> np.ndarray:
    """d_i = max(0, D(S) − D(S without i)) over the feasible rewrites of one group (arXiv 2602.11220).

    `embeddings_FD`: shape (F, D). `scale="group"` divides by D(S), or by MIN_DIVERSITY where that is less, so that the
    term keeps its size when the whole group lies in a small region of embedding space. Returns shape (F,).
    """
    count = len(embeddings_FD)
    if count < 2:
        return np.zeros(count)
    distances = _distances(embeddings_FD)
    np.fill_diagonal(distances, 0.0)
    total, own = distances.sum() / 2, distances.sum(axis=1)
    mean_distance = total / (count * (count - 1) / 2)
    rest_pairs = (count - 1) * (count - 2) / 2
    without = (total - own) / rest_pairs if rest_pairs else np.zeros(count)
    gain = mean_distance - without
    gain[gain < 1e-12] = 0.0
    return gain if scale == "paper" else gain / max(mean_distance, MIN_DIVERSITY)
