"""Which arm is better: every pair of arms, paired over items and seeds, corrected for many comparisons. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from scipy import stats

from patchrl.evaluation.statistics import SCORE_KINDS, Correct, Resampled, macro

LEVEL = 0.05  # of all comparisons of a study together
POWER = 0.8  # of the minimum detectable difference
METHOD = (
    "Two-sided test of each difference: bootstrap standard error, the same items and seeds drawn for both arms, with "
    "the variance between seeds that drawing S of S seeds leaves out (1/S of that of their mean) added, and Student's t "
    "with Satterthwaite's degrees of freedom; no p is below that of the exact sign test of the items that differ. "
    "p-values by Holm over all comparisons of the study, 5 % in all. Intervals are 95 % for one comparison. Detectable: the difference found with 80 % power at Bonferroni's level."
)
ComparisonVerdict = Literal["better", "worse", "cannot tell"]


@dataclass(frozen=True)
class Comparison:
    """Arm `a` against arm `b` on `target` or `general`; differences a − b are fractions.

    `p_holm` decides the verdict (what `a` is, seen from `b`); `detectable` is the smallest true difference
    that a study of this size would have called with 80 % power (None where nothing varied).
    With a single seed the interval and the p-value cover the items only.
    """

    a: str
    b: str
    on: str
    difference: float
    ci95: tuple[float, float]
    p: float
    p_holm: float
    detectable: float | None
    verdict: ComparisonVerdict


@dataclass(frozen=True)
class _Test:
    difference: float
    error: float
    freedom: float
    p: float


def holm(p: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down adjusted p-values, in the order given.

    The i-th smallest of m is multiplied by m − i + 1, kept monotone and at most 1.
    """
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def detectable_difference(error: float, freedom: float, level: float = LEVEL, power: float = POWER) -> float:
    """The true difference that a two-sided test at `level` finds with probability `power`.

    (t_{1−level/2} + t_power) · standard error, both quantiles of Student's t (Bloom 1995).
    """
    return float((stats.t.ppf(1 - level / 2, freedom) + stats.t.ppf(power, freedom)) * error)


def compare(
    arms: Mapping[str, Sequence[Correct]], drawn: Mapping[str, Resampled], level: float = LEVEL
) -> list[Comparison]:
    """Every pair of arms, each on target and on general skills where these were measured.

    `arms`: per-seed answers, the same seeds for all; `drawn`: their joint bootstrap (`statistics.resample`).
    """
    # The later arm is compared with the earlier one: "rl is better than expert".
    kinds = [on for on in SCORE_KINDS if _measured(arms, on)]
    pairs = [(a, b, on) for b, a in combinations(arms, 2) for on in kinds]
    tests = [_paired_test(arms[a], arms[b], getattr(drawn[a], on) - getattr(drawn[b], on), on) for a, b, on in pairs]
    adjusted = holm([test.p for test in tests])
    return [
        Comparison(
            a,
            b,
            on,
            difference=test.difference,
            ci95=_ci95(test),
            p=test.p,
            p_holm=p_holm,
            detectable=detectable_difference(test.error, test.freedom, level / len(pairs)) if test.error else None,
            verdict="cannot tell" if p_holm >= level else "better" if test.difference > 0 else "worse",
        )
        for (a, b, on), test, p_holm in zip(pairs, tests, adjusted, strict=True)
    ]


def _measured(arms: Mapping[str, Sequence[Correct]], on: str) -> bool:
    return all(macro(answers, on) is not None for seeds in arms.values() for answers in seeds)


def _ci95(test: _Test) -> tuple[float, float]:
    half = float(stats.t.ppf(0.975, test.freedom)) * test.error
    return test.difference - half, test.difference + half


def _paired_test(a: Sequence[Correct], b: Sequence[Correct], drawn_R: np.ndarray, on: str) -> _Test:
    """Difference a − b and what chance does to it.

    The variance is the bootstrap's; as S seeds drawn from S show only (S − 1)/S of the variance between
    seeds, the rest is added. It errs on the safe side: drawing seeds and items counts what is peculiar to
    one item in one seed more than once (Owen 2007). Satterthwaite's (1946) degrees of freedom are those of
    few seeds where seeds make the variance, and those of many items where items do.
    """
    per_seed_S = np.array([(macro(x, on) or 0.0) - (macro(y, on) or 0.0) for x, y in zip(a, b, strict=True)])
    tables = _differences(a, b, on)
    seeds, items = len(per_seed_S), sum(table_SI.shape[1] for table_SI in tables)
    between = float(per_seed_S.var(ddof=1)) / seeds if seeds > 1 else 0.0
    variance = float(np.nanvar(drawn_R, ddof=1)) + between / seeds
    difference, error = float(per_seed_S.mean()), float(np.sqrt(variance))
    within = max(variance - between, 0.0)
    spread = (between**2 / (seeds - 1) if seeds > 1 else 0.0) + within**2 / max(items - 1, 1)
    freedom = variance**2 / spread if spread > 0 else max(items - 1, 1)
    p = 1.0 if difference == 0 else 2 * float(stats.t.sf(abs(difference) / error, freedom)) if error > 0 else 0.0
    # Where hardly any item differs no test can be surer than the exact sign test (McNemar 1947) of those that do.
    differing = sum(int((table_SI != 0).any(axis=0).sum()) for table_SI in tables)
    return _Test(difference, error, freedom, max(p, min(1.0, 2.0 ** (1 - differing))))


def _differences(a: Sequence[Correct], b: Sequence[Correct], on: str) -> list[np.ndarray]:
    """a − b of every item in every seed, one table of shape (S, I) per task; unscorable counts as no difference."""
    tasks = [task for task in a[0] if task.startswith(f"{on}/")]
    return [np.stack([np.nan_to_num(x[task] - y[task]) for x, y in zip(a, b, strict=True)]) for task in tasks]


def as_dicts(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The `comparisons` of `result.json`: the method in words, the study's detectable difference, and every pair."""
    largest = {on: [c.detectable for c in comparisons if c.on == on and c.detectable is not None] for on in SCORE_KINDS}
    return {
        "method": METHOD,
        "level": LEVEL,
        "power": POWER,
        "detectable": {on: max(values) if values else None for on, values in largest.items()},
        "pairs": [{**vars(c), "ci95": list(c.ci95)} for c in comparisons],
    }
