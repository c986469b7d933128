"""When does RL pay? RL against best-of-k at equal sampled tokens, over the lab's dial and the rows to rewrite. No torch.

RL samples its rollouts and the warm start's answers once, and one rewrite a row afterwards; best-of-k samples K a row for
ever. So the K that RL's tokens buy falls towards one as the rows grow. RL is held against the next measured K, which costs as
much as RL or more. Scores are those measured with 512 rows: what is assumed is that a rewriter does as well on more rows of
the same kind.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from examples.nano_lab.dial import BEST_OF, RL_BEST_OF_K, DialSetting, SettingResult, of_backbone, read, setting_results
from patchrl.text import listed

MEASURED_ROWS, MEASURED_K = 512, 8
ROWS = (MEASURED_ROWS, 1_024, 4_096)
ARM_OF = {**{k: arm for arm, k in BEST_OF.items()}, MEASURED_K: "best-of-k"}
(COMBINED_ARM,) = RL_BEST_OF_K


@dataclass(frozen=True)
class ArmDifference:
    """One arm's target and general score less another's, as fractions, and what may be said of each.

    `verdicts` are corrected for all pairs of arms that were compared in the setting.
    """

    target: float
    general: float
    verdicts: tuple[str, str]

    @property
    def outcome(self) -> str:
        """`better` or `worse` where the arm is so on a count and not the contrary on the other, `split` where it is
        both, `cannot tell` where that holds for both counts."""
        verdicts = set(self.verdicts) - {"cannot tell"}
        return "split" if len(verdicts) == 2 else next(iter(verdicts), "cannot tell")

    @property
    def description(self) -> str:
        return f"target {100 * self.target:+z.1f}, general {100 * self.general:+z.1f} points"


@dataclass(frozen=True)
class Point:
    """RL against the best of `k`, for one setting of the dial and number of rows; `affordable_k` is the K that its tokens buy."""

    setting: DialSetting
    rows: int
    affordable_k: float
    k: int
    rl: ArmDifference
    seeds: int


def affordable_k(rl: float, tokens_per_rewrite: float, rows: int) -> float:
    """The K whose samples for `rows` cost what RL costs there.

    `rl`: tokens RL sampled in all for MEASURED_ROWS rows; `tokens_per_rewrite`: tokens of a prompted rewrite. One of the rewriter's is
    counted at no less, though its are shorter.
    """
    return (rl + (rows - MEASURED_ROWS) * tokens_per_rewrite) / (rows * tokens_per_rewrite)


def next_measured(k: float) -> int:
    """The smallest measured K that is at least this large, or the largest measured one."""
    return min((measured for measured in ARM_OF if measured >= k), default=MEASURED_K)


def compare_costs(lines: Sequence[dict[str, Any]]) -> list[Point]:
    """Every point of the map that the recorded lines hold, in the order of the dial; settings with every k measured.

    RL and a k are compared over all seeds that both have.
    """
    by_k = {k: setting_results(lines, ("expert", "rl", arm)) for k, arm in ARM_OF.items()}
    points = []
    for setting, widest in _in_order(by_k[MEASURED_K]):
        if not all(setting in results for results in by_k.values()):
            continue
        tokens_per_rewrite = widest.tokens["best-of-k"] / (MEASURED_ROWS * MEASURED_K)
        for rows in ROWS:
            k_affordable = affordable_k(widest.tokens["rl"], tokens_per_rewrite, rows)
            k = next_measured(k_affordable)
            result = by_k[k][setting]
            points.append(
                Point(setting, rows, k_affordable, k, _arm_difference(result, "rl", ARM_OF[k]), len(result.seeds))
            )
    return points


def combined(lines: Sequence[dict[str, Any]]) -> dict[DialSetting, ArmDifference]:
    """The best of 8 of the rewriter's rewrites against one of them, in every setting where both were measured."""
    results = setting_results(lines, ("expert", "rl", COMBINED_ARM))
    return {setting: _arm_difference(result, COMBINED_ARM, "rl") for setting, result in _in_order(results)}


def _in_order(results: dict[DialSetting, SettingResult]) -> list[tuple[DialSetting, SettingResult]]:
    return sorted(results.items(), key=lambda item: item[0].order)


def _arm_difference(result: SettingResult, arm: str, other: str) -> ArmDifference:
    by = {(c.a, c.b, c.on): (c.difference, c.verdict) for c in result.comparisons}
    (target, first), (general, second) = (_difference(by, arm, other, on) for on in ("target", "general"))
    return ArmDifference(target, general, (first, second))


def _difference(
    by: Mapping[tuple[str, str, str], tuple[float, str]], arm: str, other: str, on: str
) -> tuple[float, str]:
    if (arm, other, on) in by:
        return by[arm, other, on]
    difference, verdict = by[other, arm, on]
    return -difference, {"better": "worse", "worse": "better"}.get(verdict, verdict)


# --- in words -------------------------------------------------------------------------------------


def sentences(points: Sequence[Point], both: Mapping[DialSetting, ArmDifference]) -> list[str]:
    """What the map says in plain words: by rows, by setting, and of RL and best-of-k together. Empty without points."""
    if not points:
        return []
    few, many = ([p for p in points if p.rows == rows] for rows in (ROWS[0], ROWS[-1]))
    texts = [_at_rows(few), _at_rows(many), f"By setting, {ROWS[0]} rows: {_where(few)}."]
    if both:
        target, general = (_between([100 * getattr(a, on) for a in both.values()], "+") for on in ("target", "general"))
        texts.append(
            f"RL and best-of-k together: taking the rewrite with the lowest ℓ of {MEASURED_K} of the rewriter's, instead of one, "
            f"changes the target by {target} and general skills by {general} points. In {_settings(len(both))} it "
            f"{_counted(both.values())}."
        )
    return texts


def _at_rows(points: Sequence[Point]) -> str:
    """RL against best-of-k for one number of rows."""
    return (
        f"Rewriting {points[0].rows:,} rows: RL's sampled tokens would pay for best-of-{_between([p.affordable_k for p in points])}. "
        f"Compared with {_ks(points)}, the next k that was measured, RL {_counted(p.rl for p in points)} of "
        f"{_settings(len(points))} ({_seeds(points)})."
    )


def _between(values: Sequence[float], sign: str = "") -> str:
    low, high = (f"{value:{sign}.1f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _settings(count: int) -> str:
    return "one setting" if count == 1 else f"{count} settings"


def _seeds(points: Sequence[Point]) -> str:
    fewest, most = min(p.seeds for p in points), max(p.seeds for p in points)
    return (
        "one seed each" if most == 1 else f"{fewest} seeds each" if fewest == most else f"{fewest} to {most} seeds each"
    )


def _ks(points: Sequence[Point]) -> str:
    return " or ".join(f"best-of-{k}" for k in sorted({p.k for p in points}))


OUTCOME_VERBS = {"better": "is ahead in", "worse": "is behind in", "split": "trades one count for the other in", "cannot tell": "cannot be told apart in"}  # fmt: skip


def _counted(results: Iterable[ArmDifference]) -> str:
    counts = Counter(against.outcome for against in results)
    return listed([f"{words} {counts[outcome]}" for outcome, words in OUTCOME_VERBS.items() if counts[outcome]])


def _where(points: Sequence[Point]) -> str:
    """Each expert's settings by outcome."""
    clauses = []
    for expert in dict.fromkeys(p.setting.expert for p in points):
        of_expert = [p for p in points if p.setting.expert == expert]
        at = {outcome: [p.setting.label for p in of_expert if p.rl.outcome == outcome] for outcome in OUTCOME_VERBS}
        parts = [f"{OUTCOME_VERBS[outcome][:-2]}at {listed(settings)}" for outcome, settings in at.items() if settings]
        clauses.append(f"on the {expert} expert RL {listed(parts)} own style")
    return "; ".join(clauses)


def as_rows(points: Sequence[Point]) -> list[dict[str, Any]]:
    """The points as plain rows, what the figure is made of."""
    return [
        {
            "expert": p.setting.expert,
            "setting": p.setting.label,
            "rows": p.rows,
            "affordable_k": p.affordable_k,
            "k": p.k,
            "outcome": p.rl.outcome,
            "target": p.rl.target,
            "general": p.rl.general,
            "seeds": p.seeds,
        }
        for p in points
    ]


def describe(point: Point) -> str:
    """A point as a line of text."""
    return (
        f"{point.setting.backbone}, {point.setting.expert}, {point.setting.label}, {point.rows:,} rows: {point.rl.outcome} "
        f"(RL's tokens buy best-of-{point.affordable_k:.1f}; RL against best-of-{point.k}: {point.rl.description}; seeds: {point.seeds})"
    )


@functools.cache
def shipped() -> tuple[list[dict[str, Any]], list[str]]:
    """`as_rows` and `sentences` of the lab's own studies."""
    lines = of_backbone(read())
    points = compare_costs(lines)
    return as_rows(points), sentences(points, combined(lines))
