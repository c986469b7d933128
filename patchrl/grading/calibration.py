"""Thresholds of the gate, measured on pairs of texts that say the same and pairs that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from patchrl.errors import ConfigError
from patchrl.grading.coverage import MIN_SHARE

MIN_SENTENCE_ACCURACY = 0.9  # balanced accuracy from which the meaning of sentences decides where their words do not


@dataclass(frozen=True)
class Calibration:
    """The similarity from which two texts count as saying the same, and how well it tells them apart.

    `same` and `different` are the similarities it was chosen on; `balanced_accuracy` is the mean of the
    shares of both that fall on their side of `threshold`.
    """

    threshold: float
    balanced_accuracy: float
    same: tuple[float, ...]
    different: tuple[float, ...]

    def summary(self) -> dict[str, Any]:
        """As plain data, similarities rounded to four places."""
        rounded = {name: [round(v, 4) for v in getattr(self, name)] for name in ("same", "different")}
        return asdict(self) | rounded


@dataclass(frozen=True)
class Thresholds:
    """From where on a text counts as saying what the expert says; a scan measures them.

    `meaning` is the cosine of two open answers, `share` the share of a key sentence's terms (see
    `coverage.lack_of_coverage`), `sentence` the cosine of two sentences. None where none was measured.
    """

    meaning: float | None = None
    share: float = MIN_SHARE
    sentence: float | None = None

    @classmethod
    def of(cls, scan: Mapping[str, Any]) -> Thresholds:
        """Those of a scan's result; `{}` for a study without a scan."""
        measured = {
            name: scan[key]["threshold"]
            for name, key in (("meaning", "open_gate"), ("share", "coverage_gate"), ("sentence", "sentence_gate"))
            if scan.get(key) and (name != "sentence" or scan[key]["balanced_accuracy"] >= MIN_SENTENCE_ACCURACY)
        }
        return cls(**measured)


def calibrate(same: Sequence[float], different: Sequence[float]) -> Calibration:
    """The threshold with the best balanced accuracy; of several, the middle one.

    Raises ConfigError without pairs of both kinds.
    """
    if not len(same) or not len(different):
        raise ConfigError("gate: no pairs to calibrate a threshold on; give more examples.")
    same_S, different_S = np.sort(np.asarray(same, float)), np.sort(np.asarray(different, float))
    values = np.unique(np.concatenate([same_S, different_S]))
    cuts = np.concatenate([[values[0] - 1e-6], (values[1:] + values[:-1]) / 2])
    kept = 1 - np.searchsorted(same_S, cuts) / len(same_S)
    refused = np.searchsorted(different_S, cuts) / len(different_S)
    accuracy = (kept + refused) / 2
    best = np.flatnonzero(accuracy >= accuracy.max() - 1e-12)
    threshold = float(cuts[best[len(best) // 2]])
    return Calibration(threshold, float(accuracy.max()), tuple(map(float, same)), tuple(map(float, different)))
