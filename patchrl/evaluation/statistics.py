"""Forgetting, three ways by name, with intervals over items and seeds, and the bootstrap that comparisons use. No torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import special, stats

from patchrl.evaluation.changes import correct, scored_items, turned

Correct = Mapping[str, np.ndarray]  # task -> 0/1 per item (NaN: unscorable), shape (items,)
Key = TypeVar("Key", bound=Hashable)  # an arm's name, or its name and learning rate
SCORE_KINDS = ("target", "general")
REFERENCE = "expert"  # whose drop the share avoided is measured against


@dataclass(frozen=True)
class ArmStatistics:
    """Scores as fractions; intervals are 95 % (`mean_interval`), None without anything to measure."""

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


def correct_by_task(rows: Sequence[Mapping]) -> dict[str, np.ndarray]:
    """Prediction rows as task -> 0/1 array, in item order; unscorable items count as NaN."""
    tasks: dict[str, list[float]] = {}
    for row in rows:
        tasks.setdefault(row["task"], []).append(correct(row))
    return {task: np.array(values) for task, values in tasks.items()}


def score(values: np.ndarray) -> float | None:
    """Share correct of the items that could be scored, None without any."""
    scored = values[~np.isnan(values)]
    return float(scored.mean()) if len(scored) else None


def mean_of_known(values: Sequence[float | None]) -> float | None:
    """Mean of the values that were measured; None without any."""
    measured = [v for v in values if v is not None]
    return sum(measured) / len(measured) if measured else None


def macro(correct: Correct, kind: str) -> float | None:
    """Mean over the tasks of a kind (`target` or `general`) of their mean score."""
    return mean_of_known([score(v) for task, v in correct.items() if task.startswith(f"{kind}/")])


def changed(base: Correct, tuned: Correct, before: bool) -> float | None:
    """The share of general items that were right (or wrong) before fine-tuning and are not so after it; None without any.

    Both shares are of all items, so that wrong → right less right → wrong is what the mean over items gained. The items of
    `nano` and `everyday` cannot be answered right by chance; for multiple choice nothing is taken off for guesses.
    """
    tasks = [task for task in base if task.startswith("general/") and task in tuned]
    if not tasks:
        return None
    was_I, is_I = (np.concatenate([answers[task] for task in tasks]) for answers in (base, tuned))
    scored_I = scored_items(was_I, is_I)
    return float(turned(was_I, is_I, before)[scored_I].mean()) if scored_I.any() else None


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
    return mean_of_known(ratios)


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
    scores = {rate: mean_of_known([macro(c, "validation") for c in tuned[arm, rate]]) or 0.0 for rate in rates}
    first = tuned[arm, rates[0]][0]
    return best_rate(scores, sum(len(v) for task, v in first.items() if task.startswith("validation/")))


def percentile_interval(values: np.ndarray) -> tuple[float, float] | None:
    """95 % percentile interval of resampled values; None where they are unmeasured."""
    if np.isnan(values).all():
        return None
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def mean_interval(tables: Sequence[np.ndarray], *, share: bool = False) -> tuple[float, float] | None:
    """95 % interval of a mean over tasks, for new seeds and new items.

    Seeds and items are crossed. The variance between seeds is multiplied by Student's t with S − 1 degrees of freedom, the
    variance of items beyond it by their own, and the squares are added (MOVER: Zou and Donner 2008). A percentile
    bootstrap over three seeds covers 72 to 99 % instead (tests/evaluation/test_coverage.py).

    Args:
        tables: One array (S, I) a task: S seeds, I items, NaN where an item could not be scored.
        share: Whether the mean is a share of 0 to 1. Its interval is then made on the logit scale, which keeps it inside.

    Returns:
        The interval, None where nothing was scored. One seed speaks of items only.
    """
    tables = [scored for table in tables if (scored := table[:, ~np.isnan(table).all(axis=0)]).size]
    if not tables:
        return None
    with warnings.catch_warnings():  # a seed may have no scorable item of a task
        warnings.simplefilter("ignore", RuntimeWarning)
        mean_S = np.nanmean([np.nanmean(table, axis=1) for table in tables], axis=0)
        of_items = max(sum(map(_item_variance, tables)) / len(tables) ** 2, 0.0)
    seeds, items = len(mean_S), sum(table.shape[1] for table in tables)
    of_seeds = float(mean_S.var(ddof=1)) / seeds if seeds > 1 else 0.0
    mean = float(mean_S.mean())
    t_seeds, t_items = (float(stats.t.ppf(0.975, max(count - 1, 1))) for count in (seeds, items))
    half = math.sqrt(t_seeds**2 * of_seeds + t_items**2 * of_items)
    if share and 0 < mean < 1:
        centre, half = math.log(mean / (1 - mean)), half / (mean * (1 - mean))
        return float(special.expit(centre - half)), float(special.expit(centre + half))
    return mean - half, mean + half


def _item_variance(table_SI: np.ndarray) -> float:
    """Variance that drawing other items gives a task's mean, without the noise of single answers, which seeds show."""
    seeds, items = table_SI.shape
    if items < 2:
        return 0.0
    mean_I = np.nanmean(table_SI, axis=0)
    variance = float(mean_I.var(ddof=1)) / items
    if seeds == 1:
        return variance
    residual_SI = table_SI - mean_I - np.nanmean(table_SI, axis=1, keepdims=True) + np.nanmean(table_SI)
    return variance - float(np.nansum(residual_SI**2)) / ((seeds - 1) * (items - 1) * seeds * items)


def _drawn_scores(weight_RI: np.ndarray, answers_I: np.ndarray) -> np.ndarray:
    """Share correct of the scorable items in each resample, shape (R,) + answers' leading axes reversed.

    `answers_I` is (I,) or (S, I). An unscorable item leaves the mean, as it does in the point estimate.
    """
    scored_I = ~np.isnan(answers_I)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weight_RI @ np.nan_to_num(answers_I).T) / (weight_RI @ scored_I.T)


def _item_draws(base: Correct, resamples: int, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Task by task, how often each item is drawn as a share, shape (R, I): one set of draws for every arm."""
    for task, base_I in base.items():
        count = len(base_I)
        # Multinomial weights are equivalent to drawing `count` items with replacement.
        yield task, rng.multinomial(count, np.full(count, 1 / count), size=resamples) / count


def resample(
    base: Correct, arms: Mapping[Key, Sequence[Correct]], resamples: int, seed: int = 0
) -> dict[Key, Resampled]:
    """Bootstrap scores of every arm, from its per-seed answers to the base's items: what comparisons are made from.

    Each resample draws seeds, and within each task items: the same ones for all arms, so that a difference of two arms is
    paired. Every arm has the same seeds.
    """
    rng = np.random.default_rng(seed)
    count = len(next(iter(arms.values())))
    chosen_RS = rng.integers(0, count, size=(resamples, count))
    scores: dict[Key, dict[str, list[np.ndarray]]] = {arm: {kind: [] for kind in SCORE_KINDS} for arm in arms}
    for task, weight_RI in _item_draws(base, resamples, rng):
        kind = task.split("/", 1)[0]
        if kind not in SCORE_KINDS:
            continue
        for arm, seeds in arms.items():
            tuned_RS = _drawn_scores(weight_RI, np.stack([s[task] for s in seeds]))
            tuned_R = np.take_along_axis(tuned_RS, chosen_RS, axis=1).mean(axis=1)
            scores[arm][kind].append(tuned_R)
    return {
        arm: Resampled(
            target=_over_tasks(tables["target"], resamples),
            general=_over_tasks(tables["general"], resamples),
        )
        for arm, tables in scores.items()
    }


def _tables(seeds: Sequence[Correct], kind: str) -> dict[str, np.ndarray]:
    """Answers of every task of a kind, each of shape (S, I)."""
    return {task: np.stack([s[task] for s in seeds]) for task in seeds[0] if task.startswith(f"{kind}/")}


def score_interval(seeds: Sequence[Correct], kind: str) -> tuple[float, float] | None:
    """95 % interval of an arm's `target` or `general` score (`mean_interval`), from its answers per seed."""
    return mean_interval(list(_tables(seeds, kind).values()), share=True)


def task_intervals(seeds: Sequence[Correct]) -> dict[str, tuple[float, float] | None]:
    """95 % interval of each task's mean score (`mean_interval`), by task."""
    return {task: mean_interval([np.stack([s[task] for s in seeds])], share=True) for task in seeds[0]}


def drop_interval(base: Correct, seeds: Sequence[Correct]) -> tuple[float, float] | None:
    """95 % interval of the absolute forgetting."""
    return mean_interval([base[task] - table_SI for task, table_SI in _tables(seeds, "general").items()])


def _relative_interval(base: Correct, seeds: Sequence[Correct]) -> tuple[float, float] | None:
    """95 % interval of the relative forgetting, each task's ratio made linear around its value (delta method)."""
    tables = []
    for task, after_SI in _tables(seeds, "general").items():
        before, after = score(base[task]), score(after_SI.ravel())
        if before and after is not None:
            ratio = (before - after) / before
            tables.append(ratio + (base[task] - after_SI - ratio * base[task]) / before)
    return mean_interval(tables)


def _share_interval(
    base: Correct, seeds: Sequence[Correct], reference: Sequence[Correct]
) -> tuple[float, float] | None:
    """95 % interval of the share avoided, made linear around its value (delta method); arm and plain SFT are paired.

    None where plain SFT's own drop is not clearly above zero: a ratio to it has no bounded interval (Fieller 1954).
    """
    drop = mean_of_known([absolute_forgetting(base, s) for s in seeds])
    reference_drop = mean_of_known([absolute_forgetting(base, s) for s in reference])
    bounds = drop_interval(base, reference)
    if drop is None or not reference_drop or bounds is None or bounds[0] <= 0:
        return None
    ratio = drop / reference_drop
    expert_SI = _tables(reference, "general")
    return mean_interval(
        [
            1 - ratio - (base[task] - table_SI - ratio * (base[task] - expert_SI[task])) / reference_drop
            for task, table_SI in _tables(seeds, "general").items()
        ]
    )


def _over_tasks(values: list[np.ndarray], resamples: int) -> np.ndarray:
    """Mean over tasks of each resample, shape (R,); a task without a scorable item in it is left out."""
    if not values:
        return np.full(resamples, np.nan)
    stacked_TR = np.stack(values)
    known_R = (~np.isnan(stacked_TR)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nansum(stacked_TR, axis=0) / np.where(known_R, known_R, np.nan)


def arm_statistics(base: Correct, arms: Mapping[str, Sequence[Correct]]) -> dict[str, ArmStatistics]:
    """Statistics of every arm from its answers per seed.

    The share avoided is measured against the arm named `expert`: None without it, and where its own drop cannot be distinguished
    from none.
    """
    drops = {arm: mean_of_known([absolute_forgetting(base, s) for s in seeds]) for arm, seeds in arms.items()}
    shares = {
        arm: _share_interval(base, seeds, arms[REFERENCE]) if REFERENCE in arms else None for arm, seeds in arms.items()
    }
    return {
        arm: ArmStatistics(
            target_per_seed=[m for s in seeds if (m := macro(s, "target")) is not None],
            target_ci95=score_interval(seeds, "target"),
            general_per_seed=[m for s in seeds if (m := macro(s, "general")) is not None],
            general_ci95=score_interval(seeds, "general"),
            absolute=drops[arm],
            absolute_ci95=drop_interval(base, seeds),
            relative=mean_of_known([relative_forgetting(base, s) for s in seeds]),
            relative_ci95=_relative_interval(base, seeds),
            share_avoided=share_avoided(drops[arm], drops.get(REFERENCE)) if shares[arm] else None,
            share_avoided_ci95=shares[arm],
        )
        for arm, seeds in arms.items()
    }
