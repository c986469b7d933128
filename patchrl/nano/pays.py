"""When does RL pay? RL against best-of-k at equal sampled tokens, over the lab's dial and the rows to rewrite. No torch.

RL samples its rollouts and the warm start's answers once, and one rewrite a row afterwards; best-of-k samples K a row for
ever. So the K that RL's tokens buy falls to one as the rows grow. Scores are those measured with 512 rows: what is
assumed is that a rewriter does as well on more rows of the same kind, and that fewer rows are too few for either.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from patchrl.nano.dial import BEST_OF, MORE, Cell, Found, found_of, of_the_lab, read

MEASURED_ROWS, MEASURED_K = 512, 8
ROWS = (256, 512, 1_024, 4_096)
ARM_OF = {1: "prompted", **{k: arm for arm, k in BEST_OF.items()}, MEASURED_K: "best-of-k"}
(TOGETHER,) = MORE


@dataclass(frozen=True)
class Against:
    """One arm's target and general score less another's, as fractions, and what may be said of each.

    `verdicts` are corrected for all pairs of arms that were compared in the setting.
    """

    target: float
    general: float
    verdicts: tuple[str, str]

    @property
    def outcome(self) -> str:
        """`better` or `worse` where the arm is so on a count and not the contrary on the other, `split` where it is
        both, `tie` where neither count can be told apart."""
        told = set(self.verdicts) - {"cannot tell"}
        return "split" if len(told) == 2 else next(iter(told), "tie")

    @property
    def told(self) -> str:
        return f"target {100 * self.target:+.1f}, general {100 * self.general:+.1f} points"


@dataclass(frozen=True)
class Point:
    """RL against the best of `k` that its tokens buy, for one setting of the dial and number of rows."""

    cell: Cell
    rows: int
    k: int
    rl: Against
    seeds: int


def affordable(trained: float, a_rewrite: float, rows: int) -> int:
    """The largest measured K whose samples for `rows` cost no more than RL's training and one rewrite a row.

    `trained`: tokens sampled to train the rewriter; `a_rewrite`: tokens of one rewrite.
    """
    each = 1 + trained / (a_rewrite * rows)
    return max(k for k in ARM_OF if k <= each)


def pays(lines: Sequence[dict[str, Any]]) -> list[Point]:
    """Every point of the map that the recorded lines hold, in the order of the dial."""
    points = []
    for cell, made in _in_order(found_of(lines, ("expert", "rl", *ARM_OF.values()))):
        a_rewrite = made.tokens["best-of-k"] / (MEASURED_ROWS * MEASURED_K)
        trained = made.tokens["rl"] - MEASURED_ROWS * a_rewrite
        for rows in ROWS:
            k = affordable(trained, a_rewrite, rows)
            points.append(Point(cell, rows, k, _against(made, "rl", ARM_OF[k]), len(made.seeds)))
    return points


def together(lines: Sequence[dict[str, Any]]) -> dict[Cell, Against]:
    """The best of 8 of the rewriter's rewrites against one of them, in every setting where both were measured."""
    found = found_of(lines, ("expert", "rl", TOGETHER))
    return {cell: _against(made, TOGETHER, "rl") for cell, made in _in_order(found)}


def _in_order(found: dict[Cell, Found]) -> list[tuple[Cell, Found]]:
    return sorted(found.items(), key=lambda item: item[0].order)


def _against(made: Found, arm: str, other: str) -> Against:
    by = {(c.a, c.b, c.on): (c.difference, c.verdict) for c in made.comparisons}
    (target, first), (general, second) = (_seen_from(by, arm, other, on) for on in ("target", "general"))
    return Against(target, general, (first, second))


def _seen_from(
    by: Mapping[tuple[str, str, str], tuple[float, str]], arm: str, other: str, on: str
) -> tuple[float, str]:
    if (arm, other, on) in by:
        return by[arm, other, on]
    difference, verdict = by[other, arm, on]
    return -difference, {"better": "worse", "worse": "better"}.get(verdict, verdict)


# --- how it is told -------------------------------------------------------------------------------


def sentences(points: Sequence[Point], both: Mapping[Cell, Against]) -> list[str]:
    """What the map says in plain words: by rows, by setting, and of RL and best-of-k together. Empty without points."""
    if not points:
        return []
    fewest, few, many = ([p for p in points if p.rows == rows] for rows in (ROWS[0], MEASURED_ROWS, ROWS[-1]))
    told = [
        f"To rewrite {MEASURED_ROWS} rows, RL's sampled tokens would buy {_bought(few)}: of {len(few)} settings, "
        f"{_seeds(points)}, RL "
        f"{_counted(p.rl.outcome for p in few)}; to rewrite {ROWS[-1]:,} they buy {_bought(many)}, and RL "
        f"{_counted(p.rl.outcome for p in many)}.",
        f"Of {ROWS[0]} rows, for which they would buy {_bought(fewest)} or more, {_where(fewest)}.",
    ]
    if both:
        told.append(
            f"RL and best-of-k together, the best of {MEASURED_K} of the rewriter's own rewrites, against one of them: "
            f"of {len(both)} settings it {_counted(against.outcome for against in both.values())} "
            f"(target {_range(both.values(), lambda a: a.target)}, general {_range(both.values(), lambda a: a.general)} points)."
        )
    return told


def _seeds(points: Sequence[Point]) -> str:
    fewest, most = min(p.seeds for p in points), max(p.seeds for p in points)
    return (
        "one seed each" if most == 1 else f"{fewest} seeds each" if fewest == most else f"{fewest} to {most} seeds each"
    )


def _bought(points: Sequence[Point]) -> str:
    ks = sorted({p.k for p in points})
    return "one prompted rewrite a row" if ks == [1] else f"best-of-{ks[0]}" + (f" to {ks[-1]}" if ks[1:] else "")


def _counted(outcomes: Iterable[str]) -> str:
    counts = Counter(outcomes)
    words = {"better": "is better in", "worse": "is worse in", "split": "trades one count for the other in", "tie": "cannot be told apart in"}  # fmt: skip
    return " and ".join(f"{words[outcome]} {counts[outcome]}" for outcome in words if counts[outcome])


def _where(points: Sequence[Point]) -> str:
    """Each expert's settings by outcome."""
    told = []
    for expert in dict.fromkeys(p.cell.expert for p in points):
        by: dict[str, list[str]] = {}
        for p in points:
            if p.cell.expert == expert:
                by.setdefault(p.rl.outcome, []).append(p.cell.setting)
        words = {"better": "RL wins at", "tie": "a tie at", "split": "one count against the other at", "worse": "best-of-k wins at"}  # fmt: skip
        told.append(
            f"{expert} expert: " + ", ".join(f"{words[o]} {', '.join(by[o])} own style" for o in words if o in by)
        )
    return "; ".join(told)


def _range(both: Iterable[Against], value: Callable[[Against], float]) -> str:
    values = [100 * value(against) for against in both]
    return f"{min(values):+.1f} to {max(values):+.1f}" if len(values) > 1 else f"{values[0]:+.1f}"


def note(rows: Sequence[Mapping[str, Any]]) -> str:
    """How the map (`as_rows`) is to be read."""
    alone = all(row["seeds"] == 1 for row in rows)
    return (
        ("One seed: the luck of single fine-tunes is in it. " if alone else "")
        + "Ahead: better on the target or on general skills and not worse on the other, corrected for all pairs of arms; in each "
        f"field, RL less best-of-k on target / general, in points. Scores were measured with {MEASURED_ROWS} rows; for more it is "
        "assumed that a rewriter does as well."
    )


def as_rows(points: Sequence[Point]) -> list[dict[str, Any]]:
    """The points as plain rows, what the figure and the table are made of."""
    return [
        {
            "expert": p.cell.expert,
            "setting": p.cell.setting,
            "rows": p.rows,
            "k": p.k,
            "outcome": p.rl.outcome,
            "target": p.rl.target,
            "general": p.rl.general,
            "seeds": p.seeds,
        }
        for p in points
    ]


def told(point: Point) -> str:
    """A point as a line of text."""
    return (
        f"{point.cell.backbone}, {point.cell.expert}, {point.cell.setting}, {point.rows:,} rows: {point.rl.outcome} "
        f"(RL against best of {point.k}: {point.rl.told}; seeds: {point.seeds})"
    )


@functools.cache
def shipped() -> tuple[list[dict[str, Any]], list[str]]:
    """`as_rows` and `sentences` of the lab's own studies."""
    lines = of_the_lab(read())
    points = pays(lines)
    return as_rows(points), sentences(points, together(lines))
