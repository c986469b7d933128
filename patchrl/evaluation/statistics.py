"""Forgetting, three ways by name, with paired bootstrap intervals over items and seeds. No torch."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Correct = Mapping[str, np.ndarray]  # task -> 0/1 per item (NaN: unscorable), shape (items,)
Key = TypeVar("Key", bound=Hashable)  # an arm's name, or its name and learning rate
KINDS = ("target", "general")
REFERENCE = "expert"  # whose drop the share avoided is measured against


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
    relative_ci95: tuple[float, float] | None
    share_avoided: float | None
    share_avoided_ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Resampled:
    """Bootstrap scores of one set of answers, each of shape (R,), R the number of resamples; NaN where unmeasured."""

    target: np.ndarray
    general: np.ndarray
    lost: np.ndarray
    relative: np.ndarray


def correct_by_task(rows: Sequence[Mapping]) -> dict[str, np.ndarray]:
    """Prediction rows as task -> 0/1 array, in item order; unscorable items count as NaN."""
    tasks: dict[str, list[float]] = {}
    for row in rows:
        tasks.setdefault(row["task"], []).append(np.nan if row["passed"] is None else float(row["passed"]))
    return {task: np.array(values) for task, values in tasks.items()}


def score(values: np.ndarray) -> float | None:
    """Share correct of the items that could be scored, None where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def macro(correct: Correct, kind: str) -> float | None:
    """Mean over the tasks of a kind (`target` or `general`) of their mean score."""
    return _mean([score(v) for task, v in correct.items() if task.startswith(f"{kind}/")])


def absolute_forgetting(base: Correct, tuned: Correct) -> float | None:
    """base − tuned, mean over general tasks (a fraction; times 100 gives points)."""
    before, after = macro(base, "general"), macro(tuned, "general")
    return None if before is None or after is None else before - after


def relative_forgetting(base: Correct, tuned: Correct) -> float | None:
    """(base − tuned)/base, mean over the general tasks the base can do at all."""
    ratios = []
    for task, values in base.items():
        before, after = score(values), score(tuned[task])
        if task.startswith("general/") and before and after is not None:
            ratios.append((before - after) / before)
    return _mean(ratios)


def share_avoided(drop: float | None, expert_drop: float | None) -> float | None:
    """1 − drop/(drop of plain SFT on expert data); None where plain SFT lost nothing."""
    return None if drop is None or not expert_drop or expert_drop <= 0 else 1.0 - drop / expert_drop


def best_rate(scores: Mapping[float, float], items: int) -> float:
    """The learning rate to compare an arm at: the lowest whose score is within one standard error of the best.

    `scores`: rate -> share correct of the `items` validation examples. The one-standard-error rule (Breiman
    et al. 1984): of rates that chance cannot tell apart, the one that moves the weights least.
    """
    best = max(scores.values())
    error = float(np.sqrt(best * (1 - best) / max(items, 1)))
    return min(rate for rate, value in scores.items() if value >= best - error)


def chosen_rate(arm: str, rates: Sequence[float], tuned: Mapping[tuple[str, float], Sequence[Correct]]) -> float:
    """The rate to compare an arm at (`best_rate`), from its per-seed answers to the validation items at each."""
    if len(rates) == 1:
        return rates[0]
    scores = {rate: _mean([macro(c, "validation") for c in tuned[arm, rate]]) or 0.0 for rate in rates}
    first = tuned[arm, rates[0]][0]
    return best_rate(scores, sum(len(v) for task, v in first.items() if task.startswith("validation/")))


def interval(values: np.ndarray) -> tuple[float, float] | None:
    """95 % percentile interval of resampled values; None where they are unmeasured."""
    if np.isnan(values).all():
        return None
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _drawn_scores(weight_RI: np.ndarray, answers_I: np.ndarray) -> np.ndarray:
    """Share correct of the scorable items in each resample, shape (R,) + answers' leading axes reversed.

    `answers_I` is (I,) or (S, I). An unscorable item leaves the mean, as it does in the point estimate.
    """
    known = ~np.isnan(answers_I)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weight_RI @ np.nan_to_num(answers_I).T) / (weight_RI @ known.T)


def _item_draws(base: Correct, resamples: int, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Task by task, how often each item is drawn as a share, shape (R, I): one set of draws for every arm."""
    for task, base_I in base.items():
        count = len(base_I)
        # Multinomial weights stand for drawing `count` items with replacement.
        yield task, rng.multinomial(count, np.full(count, 1 / count), size=resamples) / count


def resample(
    base: Correct, arms: Mapping[Key, Sequence[Correct]], resamples: int, seed: int = 0
) -> dict[Key, Resampled]:
    """Bootstrap scores of every arm, from its per-seed answers to the base's items.

    Each resample draws seeds, and within each task items: the same ones for the base and for all arms, so
    that any difference or ratio of two of them is paired. Every arm has the same seeds.
    """
    rng = np.random.default_rng(seed)
    count = len(next(iter(arms.values())))
    chosen_RS = rng.integers(0, count, size=(resamples, count))
    scores: dict[Key, dict[str, list[np.ndarray]]] = {arm: {kind: [] for kind in KINDS} for arm in arms}
    ratios: dict[Key, list[np.ndarray]] = {arm: [] for arm in arms}
    before: list[np.ndarray] = []
    for task, weight_RI in _item_draws(base, resamples, rng):
        kind = task.split("/", 1)[0]
        if kind not in KINDS:
            continue
        base_R = _drawn_scores(weight_RI, base[task])
        if kind == "general":
            before.append(base_R)
        for arm, seeds in arms.items():
            tuned_RS = _drawn_scores(weight_RI, np.stack([s[task] for s in seeds]))
            tuned_R = np.take_along_axis(tuned_RS, chosen_RS, axis=1).mean(axis=1)
            scores[arm][kind].append(tuned_R)
            if kind == "general" and score(base[task]):
                with np.errstate(invalid="ignore", divide="ignore"):
                    ratios[arm].append(np.where(base_R > 0, (base_R - tuned_R) / base_R, np.nan))
    return {
        arm: Resampled(
            target=_over_tasks(found["target"], resamples),
            general=_over_tasks(found["general"], resamples),
            lost=_over_tasks(before, resamples) - _over_tasks(found["general"], resamples),
            relative=_over_tasks(ratios[arm], resamples),
        )
        for arm, found in scores.items()
    }


def task_intervals(
    arms: Mapping[Key, Sequence[Correct]], resamples: int, seed: int = 0
) -> dict[Key, dict[str, tuple[float, float] | None]]:
    """95 % bootstrap interval of each task's mean score over seeds, seeds and items drawn; by arm and task."""
    rng = np.random.default_rng(seed)
    first = next(iter(arms.values()))[0]
    found: dict[Key, dict[str, tuple[float, float] | None]] = {arm: {} for arm in arms}
    for task, weight_RI in _item_draws(first, resamples, rng):
        for arm, seeds in arms.items():
            chosen_RS = rng.integers(0, len(seeds), size=(resamples, len(seeds)))
            drawn_RS = _drawn_scores(weight_RI, np.stack([s[task] for s in seeds]))
            found[arm][task] = interval(np.take_along_axis(drawn_RS, chosen_RS, axis=1).mean(axis=1))
    return found


def _over_tasks(values: list[np.ndarray], resamples: int) -> np.ndarray:
    """Mean over tasks of each resample, shape (R,); a task without a scorable item in it is left out."""
    if not values:
        return np.full(resamples, np.nan)
    stacked_TR = np.stack(values)
    known_R = (~np.isnan(stacked_TR)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nansum(stacked_TR, axis=0) / np.where(known_R, known_R, np.nan)


def _share_interval(drawn: Resampled, reference: Resampled) -> tuple[float, float] | None:
    """Interval of the share avoided, arm and plain SFT resampled together.

    None where plain SFT's own drop is not clearly above zero: a ratio to it has no bounded interval
    (Fieller 1954).
    """
    if np.isnan(reference.lost).all() or np.mean(reference.lost <= 0) > 0.025:
        return None
    positive = reference.lost > 0
    return interval(1.0 - drawn.lost[positive] / reference.lost[positive])


def arm_statistics(
    base: Correct, arms: Mapping[str, Sequence[Correct]], drawn: Mapping[str, Resampled]
) -> dict[str, ArmStatistics]:
    """Statistics of every arm from its per-seed answers and their bootstrap (`resample`).

    The share avoided is measured against the arm named `expert`: None without it, and where its own drop cannot be told
    from none.
    """
    drops = {arm: _mean([absolute_forgetting(base, s) for s in seeds]) for arm, seeds in arms.items()}
    shares = {arm: _share_interval(drawn[arm], drawn[REFERENCE]) for arm in arms} if REFERENCE in arms else {}
    return {
        arm: ArmStatistics(
            target_per_seed=[m for s in seeds if (m := macro(s, "target")) is not None],
            target_ci95=interval(drawn[arm].target),
            general_per_seed=[m for s in seeds if (m := macro(s, "general")) is not None],
            general_ci95=interval(drawn[arm].general),
            absolute=drops[arm],
            absolute_ci95=interval(drawn[arm].lost),
            relative=_mean([relative_forgetting(base, s) for s in seeds]),
            relative_ci95=interval(drawn[arm].relative),
            share_avoided=share_avoided(drops[arm], drops.get(REFERENCE)) if shares.get(arm) else None,
            share_avoided_ci95=shares.get(arm),
        )
        for arm, seeds in arms.items()
    }
