"""A config as TOML text, and the differences between two configs."""

from __future__ import annotations

import json
from typing import Any

from patchrl.config.sections import SECTIONS, StudyConfig


def to_toml(config: StudyConfig) -> str:
    """The config as TOML with only what differs from the defaults; `load_config` reads it back.

    Example:
        >>> from patchrl.config import resolve, to_toml
        >>> print(to_toml(resolve({"rewriter": {"steps": 20}})).strip())
        [rewriter]
        steps = 20
    """
    lines: list[str] = []
    defaults = StudyConfig()
    for section, model in SECTIONS.items():
        current, default = getattr(config, section), getattr(defaults, section)
        values = {key: getattr(current, key) for key in model.model_fields}
        changed = {k: v for k, v in values.items() if v is not None and v != getattr(default, k)}
        if changed:
            lines += [f"[{section}]", *(f"{key} = {toml_value(value)}" for key, value in changed.items()), ""]
    return "\n".join(lines)


def differences(*configs: StudyConfig) -> list[tuple[str, ...]]:
    """Settings in which configs differ: `section.key` and the value of each as TOML (– where empty)."""
    rows = []
    for section, model in SECTIONS.items():
        for key in model.model_fields:
            values = [getattr(getattr(config, section), key) for config in configs]
            if any(value != values[0] for value in values[1:]):
                rows.append((f"{section}.{key}", *("–" if value is None else toml_value(value) for value in values)))
    return rows


def toml_value(value: Any) -> str:
    """A setting's value as TOML writes it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)
