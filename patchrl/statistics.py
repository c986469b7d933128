"""Forgetting, three ways by name, with paired bootstrap intervals over items and seeds. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Correct = Mapping[str, np.ndarray]  # task -> 0/1 per item, shape (items,)


@dataclass(frozen=True)
class ArmStatistics:
    """Scores as fractions; intervals are 95 % percentile bootstrap, None where there is nothing to measure."""

    target_per_seed: list[float]
    target_ci95: tuple[float, float] | None
    general_per_seed: list[float]
    general_ci95: tuple[float, float] | None
    absolute: float | None
    absolute_ci95: tuple[float, float] | None
    relative: float | None
    share_avoided: float | None


def correct_by_task(rows: Sequence[Mapping]) -> dict[str, np.ndarray]:
    """Prediction rows as task -> 0/1 array, in item order; unscorable items count as NaN."""
    tasks: dict[str, list[float]] = {}
    for row in rows:
        tasks.setdefault(row["task"], []).append(np.nan if row["passed"] is None else float(row["passed"]))
    return {task: np.array(values) for task, values in tasks.items()}


def macro(correct: Correct, kind: str) -> float | None:
    """Mean over the tasks of a kind (`target` or `general`) of their mean score."""
    means = [float(np.nanmean(v)) for task, v in correct.items() if task.startswith(f"{kind}/")]
    return sum(means) / len(means) if means else None


def absolute_forgetting(base: Correct, tuned: Correct) -> float | None:
    """base − tuned, mean over general tasks (a fraction; times 100 gives points)."""
    before, after = macro(base, "general"), macro(tuned, "general")
    return None if before is None or after is None else before - after


def relative_forgetting(base: Correct, tuned: Correct) -> float | None:
    """(base − tuned)/base, mean over the general tasks the base can do at all."""
    ratios = []
    for task, values in base.items():
        before = float(np.nanmean(values))
        if task.startswith("general/") and before > 0:
            ratios.append((before - float(np.nanmean(tuned[task]))) / before)
    return sum(ratios) / len(ratios) if ratios else None


def share_avoided(drop: float | None, expert_drop: float | None) -> float | None:
    """1 − drop/(drop of plain SFT on expert data); None where plain SFT lost nothing."""
    return None if drop is None or not expert_drop or expert_drop <= 0 else 1.0 - drop / expert_drop


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def arm_statistics(
    base: Correct, seeds: Sequence[Correct], expert_drop: float | None, resamples: int, seed: int = 0
) -> ArmStatistics:
    """Statistics of one arm from its per-seed results on the base's items.

    Bootstrap: each resample draws seeds, and within each task items, the same ones for base and tuned
    (paired). `expert_drop`: absolute forgetting of the expert arm, for the share avoided.
    """
    rng = np.random.default_rng(seed)
    chosen_RS = rng.integers(0, len(seeds), size=(resamples, len(seeds)))
    samples: dict[str, list[np.ndarray]] = {"target": [], "general": []}
    before: list[np.ndarray] = []
    for task, base_I in base.items():
        kind = task.split("/", 1)[0]
        count = len(base_I)
        # Multinomial weights stand for drawing `count` items with replacement.
        weight_RI = rng.multinomial(count, np.full(count, 1 / count), size=resamples) / count
        tuned_SI = np.stack([s[task] for s in seeds])
        tuned_RS = weight_RI @ np.nan_to_num(tuned_SI).T
        samples[kind].append(np.take_along_axis(tuned_RS, chosen_RS, axis=1).mean(axis=1))
        if kind == "general":
            before.append(weight_RI @ np.nan_to_num(base_I))
    per_seed = {kind: [m for s in seeds if (m := macro(s, kind)) is not None] for kind in samples}
    drops = [d for s in seeds if (d := absolute_forgetting(base, s)) is not None]
    relatives = [r for s in seeds if (r := relative_forgetting(base, s)) is not None]
    absolute = sum(drops) / len(drops) if drops else None
    mean = {kind: np.mean(values, axis=0) if values else None for kind, values in samples.items()}
    lost = np.mean(before, axis=0) - mean["general"] if before else None
    return ArmStatistics(
        target_per_seed=per_seed["target"],
        target_ci95=None if mean["target"] is None else _interval(mean["target"]),
        general_per_seed=per_seed["general"],
        general_ci95=None if mean["general"] is None else _interval(mean["general"]),
        absolute=absolute,
        absolute_ci95=None if lost is None else _interval(lost),
        relative=sum(relatives) / len(relatives) if relatives else None,
        share_avoided=share_avoided(absolute, expert_drop),
    )
