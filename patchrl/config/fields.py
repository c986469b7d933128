"""A setting of a config section, with what form, command line and docs show of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def setting(default: Any, title: str, help: str, unit: str = "", *, basic: bool = False, **bounds: Any) -> Any:
    """A config field with its label, its help and its unit; `basic` settings are shown first, the others as advanced."""
    metadata: dict[str, Any] = {"unit": unit, "basic": basic}
    return Field(default, title=title, description=help, json_schema_extra=metadata, **bounds)


class Section(BaseModel):
    """Common rules: a section cannot be changed, and unknown keys and infinite numbers are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
