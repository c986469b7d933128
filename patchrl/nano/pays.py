"""When does RL pay? RL against best-of-k at equal sampled tokens, over the lab's dial and the rows to rewrite. No torch.

RL samples its rollouts and the warm start's answers once, and one rewrite a row afterwards; best-of-k samples K a row for
ever. So the K that RL's tokens buy falls from many to one as the rows grow. Scores are those measured with 512 rows: what is
assumed is that a rewriter does as well on more rows of the same kind, and that fewer rows are too few for either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from patchrl.nano.dial import BEST_OF, Cell, found_of

MEASURED_ROWS, MEASURED_K = 512, 8
ROWS = (128, 512, 2_048, 8_192, 32_768)
ARM_OF = {**{k: arm for arm, k in BEST_OF.items()}, MEASURED_K: "best-of-k"}


@dataclass(frozen=True)
class Point:
    """RL against the best-of-k that its tokens buy, for one setting of the dial and number of rows.

    `target` and `general` are RL's scores less best-of-k's, as fractions; `verdicts` are the two comparisons', corrected
    for all pairs of arms of the setting.
    """

    cell: Cell
    rows: int
    k: int
    target: float
    general: float
    verdicts: tuple[str, str]
    seeds: int

    @property
    def outcome(self) -> str:
        """`RL` or `best-of-k` where one is better on a count and worse on none, `tie` where neither is, else `split`."""
        if set(self.verdicts) == {"better", "worse"}:
            return "split"
        return {"better": "RL", "worse": "best-of-k"}.get(
            next((v for v in self.verdicts if v != "cannot tell"), ""), "tie"
        )


def affordable(trained: float, a_rewrite: float, rows: int) -> int:
    """The largest measured K whose samples for `rows` cost no more than RL's training and one rewrite a row.

    `trained`: tokens sampled to train the rewriter; `a_rewrite`: tokens of one rewrite.
    """
    each = 1 + trained / (a_rewrite * rows)
    return max(k for k in ARM_OF if k <= each)


def pays(lines: Sequence[dict[str, Any]]) -> list[Point]:
    """Every point of the map that the recorded lines hold."""
    points = []
    found = found_of(lines, ("expert", "rl", *ARM_OF.values()))
    for cell in sorted(found, key=lambda cell: cell.order):
        made = found[cell]
        a_rewrite = made.tokens["best-of-k"] / (MEASURED_ROWS * MEASURED_K)
        trained = made.tokens["rl"] - MEASURED_ROWS * a_rewrite
        by = {(c.a, c.b, c.on): (c.difference, c.verdict) for c in made.comparisons}
        for rows in ROWS:
            k = affordable(trained, a_rewrite, rows)
            sides = [_seen_from_rl(by, ARM_OF[k], on) for on in ("target", "general")]
            (target, first), (general, second) = sides
            points.append(Point(cell, rows, k, target, general, (first, second), len(made.seeds)))
    return points


def _seen_from_rl(by: Mapping[tuple[str, str, str], tuple[float, str]], other: str, on: str) -> tuple[float, str]:
    if ("rl", other, on) in by:
        return by["rl", other, on]
    difference, verdict = by[other, "rl", on]
    return -difference, {"better": "worse", "worse": "better"}.get(verdict, verdict)


def told(point: Point) -> str:
    """A point as a line of text."""
    return (
        f"{point.cell.backbone}, {point.cell.expert}, {point.cell.setting}, {point.rows:,} rows: {point.outcome} (RL against best of "
        f"{point.k}: target {100 * point.target:+.1f}, general {100 * point.general:+.1f} points; seeds: {point.seeds})"
    )
