"""Does ℓ foretell forgetting? What the lab measured (`forecast.csv`), a line through it, and how far that is off.

`forecast.csv` holds one row per fine-tuned arm and seed of the nano lab's runs of November 2026 on examples/nano.toml,
nano-mild.toml, nano-near.toml and their variants (patchrl/nano/README.md, "At one rate, as published"): mean ℓ of its
targets and of the backbone's own answers in nats per token, general score before, and the points lost, as fractions;
`nano-1` and `nano-2` are other backbones (`pretrain --seed 1`, `--seed 2`). All at one recipe: 512 examples, 256 steps,
learning rate 1e-3, full fine-tuning.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

PAIRS = Path(__file__).with_name("forecast.csv")
USEFUL = 0.5  # of the error without ℓ: a line that leaves more than this is not forecast with


@dataclass(frozen=True)
class Pair:
    """One arm on one backbone: its gap (mean ℓ of targets − of own answers, nats per token) and its drop, means
    over seeds. Arms of one backbone share its weakness, seeds of one arm nearly everything."""

    backbone: str
    data: str
    arm: str
    gap: float
    drop: float
    seeds: int


def lab_pairs(path: Path = PAIRS) -> list[Pair]:
    """The lab's pairs, one per backbone, data and arm."""
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            groups.setdefault((row["backbone"], row["data"], row["arm"]), []).append(row)
    return [
        Pair(
            *key,
            gap=float(np.mean([float(r["nll_target"]) - float(r["nll_own"]) for r in rows])),
            drop=float(np.mean([float(r["drop"]) for r in rows])),
            seeds=len(rows),
        )
        for key, rows in groups.items()
    ]


def forecast(gap: float | None, pairs: Sequence[Pair] | None = None) -> dict[str, Any]:
    """A least-squares line drop ~ gap over the lab's pairs, asked at the scanned data's gap, and its honesty.

    `left_out` holds the mean absolute error on pairs the line had not seen, with one `arm` left out at a time and with
    one whole `backbone`: `line` is the line's, `mean` that of the other pairs' mean drop, which knows nothing of ℓ.
    A drop is forecast (`drop`, a fraction) only where the line's error is at most half the mean's in both; otherwise
    None: ℓ does not tell. `experts` are the lab's pairs of plain SFT on expert text, as they were measured.
    """
    pairs = lab_pairs() if pairs is None else pairs
    gap_P, drop_P = np.array([p.gap for p in pairs]), np.array([p.drop for p in pairs])
    left_out = {
        "arm": _errors(gap_P, drop_P, [str(i) for i in range(len(pairs))]),
        "backbone": _errors(gap_P, drop_P, [p.backbone for p in pairs]),
    }
    useful = all(error["line"] <= USEFUL * error["mean"] for error in left_out.values())
    slope, start = np.polyfit(gap_P, drop_P, 1)
    return {
        "gap": gap,
        "drop": float(np.clip(start + slope * gap, 0, 1)) if useful and gap is not None else None,
        "useful": useful,
        "left_out": left_out,
        "rank_correlation": float(stats.spearmanr(gap_P, drop_P).statistic),
        "arms": len(pairs),
        "backbones": len({p.backbone for p in pairs}),
        "experts": [vars(p) for p in pairs if p.arm == "expert"],
    }


def _errors(gap_P: np.ndarray, drop_P: np.ndarray, group_P: Iterable[str]) -> dict[str, float]:
    """Mean absolute error on each left-out group, of a line through the rest and of the rest's mean."""
    groups = np.array(list(group_P))
    line, mean = [], []
    for group in dict.fromkeys(groups.tolist()):
        out = groups == group
        slope, start = np.polyfit(gap_P[~out], drop_P[~out], 1)
        line += np.abs(start + slope * gap_P[out] - drop_P[out]).tolist()
        mean += np.abs(drop_P[~out].mean() - drop_P[out]).tolist()
    return {"line": float(np.mean(line)), "mean": float(np.mean(mean))}
