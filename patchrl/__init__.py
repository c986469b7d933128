"""PatchRL: rewrite SFT data the way the backbone answers, and measure what fine-tuning forgets."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from patchrl.version import __version__

if TYPE_CHECKING:
    from patchrl.api import Run, check, list_runs, open_run, run, start
    from patchrl.config import StudyConfig, load_config
    from patchrl.errors import PatchRLError
    from patchrl.grading.verify import verify_answer
    from patchrl.rewards import group_rewards

# Loaded on first use: importing the package must not cost what its parts cost.
_HOMES = {
    "PatchRLError": "errors",
    "Run": "api",
    "StudyConfig": "config",
    "check": "api",
    "group_rewards": "rewards",
    "list_runs": "api",
    "load_config": "config",
    "open_run": "api",
    "run": "api",
    "start": "api",
    "verify_answer": "grading.verify",
}
__all__ = [
    "PatchRLError",
    "Run",
    "StudyConfig",
    "__version__",
    "check",
    "group_rewards",
    "list_runs",
    "load_config",
    "open_run",
    "run",
    "start",
    "verify_answer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'patchrl' has no attribute {name!r}")
    return getattr(importlib.import_module(f"patchrl.{_HOMES[name]}"), name)
