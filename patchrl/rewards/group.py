"""The gated reward of one group, as published (arXiv 2602.11220) or as the gain over the fallback."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, get_args

import numpy as np

from patchrl.config import RewardSection
from patchrl.rewards.alignment import Anchor, alignment
from patchrl.rewards.consistency import consistency
from patchrl.rewards.diversity import Scale, diversity
from patchrl.rewards.gain import PASS_SHARE, Gap, closed_gap

MAX_NUMBER = 1e100  # sums of squares overflow beyond it


@dataclass(frozen=True)
class GroupRewards:
    """One value per member of the group. Unscorable members (gate undecided) hold None throughout;
    alignment and diversity of members that failed the gate are 0. The reward is the sum of the three parts, each times
    its weight (`part_weights`)."""

    reward: list[float | None]
    consistency: list[float | None]
    alignment: list[float | None]
    diversity: list[float | None]


def _numbers(name: str, values: Any, wanted: str) -> np.ndarray:
    """Values as float64; None reads as NaN, a tensor as its numbers."""
    if isinstance(values, (list, tuple)):
        values = [_as_array(value) for value in values]
    values = _as_array(values)
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iufO" and array.size:
            raise TypeError("text or truth values")
        return array.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"group_rewards: {name} must be {wanted} (found {values!r:.80}).") from None


def _as_array(value: Any) -> Any:
    """A tensor as an array, anything else as it is."""
    return value.detach().double().cpu().numpy() if hasattr(value, "detach") else value


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _is_pair(values: Any) -> bool:
    """Whether it is two finite numbers."""
    return isinstance(values, (tuple, list, np.ndarray)) and len(values) == 2 and all(map(_is_number, values))


def group_rewards(
    passed: Sequence[bool | None],
    nll: Sequence[float],
    embeddings: np.ndarray | Sequence[Sequence[float]],
    *,
    lambda_dist: float = 0.35,
    lambda_div: float = 0.5,
    diversity_scale: Scale = "paper",
    anchor: Anchor | None = None,
    gap: Gap | None = None,
) -> GroupRewards:
    """Compute the gated rewards of the K rewrites sampled for one question.

    As published (arXiv 2602.11220), r = g · (1 + λ_dist · a + λ_div · d). With a `gap` r is the gain over the fallback,
    g · (β + (1 − β) · u + λ_div · u · d): u takes the place of a, β is 0.1, and being different pays only as far as a
    rewrite is near the backbone (`patchrl.rewards.gain`).

    Args:
        passed: K gate verdicts; None is unscorable.
        nll: K values of ℓ in nats per token under the frozen backbone, or of another measure where lower is nearer.
        embeddings: shape (K, D).
        lambda_dist, lambda_div: weights of alignment and diversity; the gain has its own weight of alignment.
        diversity_scale: `paper` or `group`.
        anchor: mean and deviation to standardise with, instead of the group's own; see `alignment`.
        gap: ℓ of the expert solution and of the backbone's own answers, for the gain over the fallback.

    Only ℓ and embeddings of rewrites that passed are read.

    Raises:
        ValueError: lengths differ, something is not a number, or a rewrite that passed has NaN or infinity.

    Example:
        >>> rewards = patchrl.group_rewards([True, True, False], [0.4, 0.9, 0.7], [[1, 0], [0, 1], [1, 1]])
        >>> [round(reward, 3) for reward in rewards.reward]
        [1.506, 1.344, 0.0]
    """
    if not np.iterable(passed) or not hasattr(passed, "__len__") or isinstance(passed, (set, frozenset, dict)):
        raise ValueError(f"group_rewards: passed must be K verdicts (found {passed!r:.40}).")
    count = len(passed)
    nll_K = _numbers("nll", nll, "K numbers")
    embeddings_KD = _numbers("embeddings", embeddings, "K vectors of numbers, all of one length")
    vectors = (embeddings_KD.ndim == 2 and embeddings_KD.shape[1] > 0) or not count
    if nll_K.shape != (count,) or embeddings_KD.shape[:1] != (count,) or not vectors:
        raise ValueError(
            f"group_rewards: {count} verdicts, nll of shape {nll_K.shape} and embeddings of shape "
            f"{embeddings_KD.shape}; give K values, K values and K vectors."
        )
    for name, weight in (("lambda_dist", lambda_dist), ("lambda_div", lambda_div)):
        if not _is_number(weight) or not 0 <= float(weight) <= MAX_NUMBER:
            raise ValueError(f"group_rewards: {name} must be a number from 0 to {MAX_NUMBER:g} (found {weight!r:.40}).")
    odd = [p for p in passed if p is not None and (np.ndim(p) or p not in (False, True))]
    if odd:
        raise ValueError(f"group_rewards: a verdict is True, False or None (found {odd[0]!r:.40}).")
    if gap is not None and not _is_pair(gap):
        raise ValueError(f"group_rewards: gap must be two finite numbers, of expert and backbone (found {gap!r:.60}).")
    if anchor is not None and not (_is_pair(anchor) and anchor[1] >= 0):
        raise ValueError(
            f"group_rewards: anchor must be a finite mean and a deviation from 0 on (found {anchor!r:.60})."
        )
    if not isinstance(diversity_scale, str) or diversity_scale not in get_args(Scale):
        raise ValueError(f"group_rewards: diversity_scale is {diversity_scale!r}; use 'paper' or 'group'.")
    feasible = np.array([p is True or (p is not None and bool(p)) for p in passed], dtype=bool)
    for name, values in (("nll", nll_K), ("embeddings", embeddings_KD)):
        if not (np.abs(values[feasible]) <= MAX_NUMBER).all():
            raise ValueError(
                f"group_rewards: {name} of a feasible rewrite must be finite (found NaN, None or infinity)."
            )

    gate = consistency(passed)
    align, diverse = np.zeros(count), np.zeros(count)
    align[feasible] = alignment(nll_K[feasible], anchor) if gap is None else closed_gap(nll_K[feasible], gap)
    diverse[feasible] = diversity(embeddings_KD[feasible], diversity_scale)
    if gap is not None:
        diverse *= align

    def scored(values: np.ndarray) -> list[float | None]:
        return [None if g is None else float(v) for g, v in zip(gate, values, strict=True)]

    gate_K = np.array([g or 0.0 for g in gate])
    passing, aligned = _weights(lambda_dist, is_gain=gap is not None)
    total = gate_K * (passing + aligned * align + lambda_div * diverse)
    return GroupRewards(scored(total), gate, scored(align), scored(diverse))


def part_weights(section: RewardSection) -> list[float]:
    """The weights of consistency, alignment and diversity in the reward."""
    return [*_weights(section.lambda_dist, is_gain=section.kind == "gain"), section.lambda_div]


def _weights(lambda_dist: float, *, is_gain: bool) -> tuple[float, float]:
    """The weights of passing and of alignment."""
    return (PASS_SHARE, 1 - PASS_SHARE) if is_gain else (1.0, lambda_dist)


def configured_rewards(
    section: RewardSection,
    passed: Sequence[bool | None],
    misalignment: Sequence[float],
    embeddings_KD: np.ndarray,
    anchor: Anchor | None = None,
    gap: Gap | None = None,
) -> GroupRewards:
    """The rewards that the settings in `section` give K rewrites of one question.

    A rewrite that passes without a finite `misalignment` (the figure that alignment compares) or embedding, such as an
    empty text, counts as unscorable.
    """
    finite_K = np.isfinite(misalignment) & np.isfinite(embeddings_KD).all(axis=1)
    return group_rewards(
        [None if verdict and not finite else verdict for verdict, finite in zip(passed, finite_K, strict=True)],
        misalignment,
        embeddings_KD,
        lambda_dist=section.lambda_dist,
        lambda_div=section.lambda_div,
        diversity_scale=section.diversity_scale,
        anchor=anchor,
        gap=gap,
    )
