"""What visitors of a public page may run: some presets with a few changes. The page and the worker both check it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig, arms, differences, presets, resolve
from patchrl.config.instructions import INSTRUCTIONS
from patchrl.data.examples import LAB_DATASETS
from patchrl.errors import ConfigError
from patchrl.pipeline.estimate import study_minutes
from patchrl.runs.folder import VISITOR_UPLOADS

OFFERED = ("nano-one", "nano-quick", "nano-mild", "nano-near", "nano-trap")  # the page opens with the first
MAX_MINUTES = 20.0  # of a whole study, as estimated for two CPU cores


@dataclass(frozen=True)
class Bound:
    """Which values of a setting are taken, in words and as a check."""

    words: str
    holds: Callable[[Any], bool]


def _range(low: float, high: float) -> Bound:
    return Bound(f"{low:g} to {high:g}", lambda value: low <= value <= high)


def _names(*allowed: str) -> Bound:
    return Bound(", ".join(allowed), lambda value: value in allowed)


# Everything else stays as its preset has it.
CHANGEABLE = {
    "study.seeds": Bound("one seed", lambda seeds: len(seeds) == 1),
    "study.arms": Bound("arms of the list", lambda names: set(names) <= set(arms.OFFERED)),
    "data.dataset": _names(*LAB_DATASETS),
    "data.train_size": _range(16, 512),
    "rewriter.instruction": _names(*INSTRUCTIONS),
    "rewriter.steps": _range(1, 60),
    "rewriter.group_size": _range(2, 8),
    "reward.lambda_div": _range(0, 5),
    "finetune.epochs": _range(1, 8),
}


def public_presets() -> dict[str, StudyConfig]:
    """The studies that a public page offers: a preset each, with its first seed only."""
    configs = {name: resolve(presets()[name].values) for name in OFFERED}
    return {
        name: config.model_copy(update={"study": config.study.model_copy(update={"seeds": config.study.seeds[:1]})})
        for name, config in configs.items()
    }


def check(config: StudyConfig, uploads: Path | None = None) -> StudyConfig:
    """The config, if visitors may run it.

    Args:
        config: What a visitor asks for.
        uploads: The folder of this visitor's own data files; None where the host allows none.

    Raises:
        ConfigError: it names the setting that is not taken, and says what is.
    """
    found = {name: _changed(config, preset) for name, preset in public_presets().items()}
    nearest, changed = min(found.items(), key=lambda pair: len(set(pair[1]) - set(CHANGEABLE)))
    for name in changed:
        section, _, key = name.partition(".")
        value = getattr(getattr(config, section), key)
        if name not in CHANGEABLE:
            kept = getattr(getattr(public_presets()[nearest], section), key)
            raise ConfigError(
                f"{name}: this public page keeps {kept!r:.60} (found {value!r:.60}); install PatchRL to change it."
            )
        own_data = name == "data.dataset" and uploads is not None and uploads.resolve() in Path(value).resolve().parents
        if not (own_data or CHANGEABLE[name].holds(value)):
            raise ConfigError(f"{name}: this public page takes {CHANGEABLE[name].words} (found {value!r:.60}).")
    minutes = study_minutes(config)
    if minutes > MAX_MINUTES:
        raise ConfigError(
            f"This study would take about {minutes:.0f} minutes and this public page allows {MAX_MINUTES:.0f}; choose fewer arms, "
            "rewriter.steps or data.train_size."
        )
    return config


def _changed(config: StudyConfig, preset: StudyConfig) -> list[str]:
    return [name for name, _, _ in differences(config, preset)]


def uploads_folder(runs_dir: Path, owner: str) -> Path:
    """Where the data files of one visitor are kept."""
    return runs_dir / VISITOR_UPLOADS / hashlib.sha256(owner.encode()).hexdigest()[:24]
