"""Every setting of a study as a list, for form, command line and docs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from patchrl.config.sections import SECTIONS


@dataclass(frozen=True)
class Setting:
    """One setting with what form, command line and docs show of it."""

    section: str
    key: str
    default: Any
    title: str
    help: str
    unit: str
    basic: bool
    annotation: Any

    @property
    def path(self) -> str:
        """`section.key`, as --set and error messages write it."""
        return f"{self.section}.{self.key}"


def settings() -> Iterator[Setting]:
    """Every setting of a study, in the order of the sections."""
    for section, model in SECTIONS.items():
        for key, info in model.model_fields.items():
            yield _setting(section, key, info)


def _setting(section: str, key: str, info: FieldInfo) -> Setting:
    metadata: Any = info.json_schema_extra
    title, help = info.title or key, info.description or ""
    return Setting(section, key, info.default, title, help, metadata["unit"], metadata["basic"], info.annotation)
