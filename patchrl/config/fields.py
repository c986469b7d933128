"""A setting of a config section, with what form, command line and docs show of it."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

MAX_TEXT = 4_096  # characters, as many as a path has
MAX_FILE_NAME = 255  # bytes
MAX_TOKENS = 32_768  # of one sampled text


def setting(default: Any, title: str, help: str, unit: str = "", *, basic: bool = False, **bounds: Any) -> Any:
    """A config field with its label, its help and its unit; `basic` settings are shown first, the others as advanced."""
    metadata: dict[str, Any] = {"unit": unit, "basic": basic}
    return Field(default, title=title, description=help, json_schema_extra=metadata, **bounds)


def text_problem(text: str) -> str | None:
    """Why a text can be stored nowhere; None where it can."""
    if "\0" in text:
        return "a text without NUL characters is needed"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "text in UTF-8 is needed"
    return None


def file_name(name: str) -> str:
    """The name; raises ValueError for one that no file or folder can have."""
    if problem := text_problem(name):
        raise ValueError(f"{problem} (found {name!r:.60})")
    if any(len(os.fsencode(part)) > MAX_FILE_NAME for part in name.split("/")):
        raise ValueError(f"a name of at most {MAX_FILE_NAME} bytes is needed (found {name!r:.60})")
    return name


FileName = Annotated[str, AfterValidator(file_name)]  # may be the path of a file or folder


def _check_values(value: Any) -> None:
    """Raises ValueError for a truth value and for texts that cannot be stored, also inside a list."""
    if isinstance(value, bool):
        raise ValueError(f"a number or a text is needed (found {str(value).lower()})")
    if isinstance(value, str):
        problem = text_problem(value)
        if len(value) > MAX_TEXT:
            problem = f"at most {MAX_TEXT:,} characters can be given"
        if problem:
            raise ValueError(f"{problem} (found {value!r:.60})")
    for part in value if isinstance(value, (list, tuple)) else ():
        _check_values(part)


class Section(BaseModel):
    """Common rules: a section cannot be changed; unknown keys, infinite numbers and `true` for a number are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _values_can_be_stored(cls, value: Any, info: ValidationInfo) -> Any:
        if cls.model_fields[str(info.field_name)].annotation is not bool:
            _check_values(value)
        return value
