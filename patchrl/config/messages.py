"""A config's validation errors as sentences: which setting, what it must be, what was found."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from patchrl.config.sections import SECTIONS

REQUIREMENTS = {
    "greater_than": "it must be more than {gt:g}",
    "greater_than_equal": "it must be at least {ge:g}",
    "less_than": "it must be less than {lt:g}",
    "less_than_equal": "it must be at most {le:g}",
    "finite_number": "a finite number is needed",
    "literal_error": "it must be {expected}",
    "too_short": "at least {min_length} must be given",
    "too_long": "at most {max_length} can be given",
    "string_pattern_mismatch": "use letters, digits, - and _ only, at most 40",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number is needed"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number is needed"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false is needed"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list is needed: [ … ] with commas between its values"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "a section of settings is needed"),
    "string_type": "a text is needed",
    "string_too_short": "an empty text names nothing",
}  # by pydantic's type of error


def sentence(error: ValidationError) -> str:
    """Every bad setting of a config in one sentence, `section.key: what is needed (found value)`."""
    parts = []
    locations = [item["loc"] for item in error.errors()]
    for item in error.errors():
        location = item["loc"]
        # pydantic also calls a list too short when one of its values is wrong: the value's own error says enough.
        if any(len(other) > len(location) and other[: len(location)] == location for other in locations):
            continue
        path = ".".join(str(part) for part in location if not isinstance(part, int)) or "config"
        if item["type"] == "extra_forbidden":
            text = _unknown(location)
        else:
            text = _requirement(item)
            if item["type"] not in ("missing", "value_error"):
                text += f" (found {item['input']!r:.60})"
        parts.append(f"{path}: {text}" if path != "config" else text)
    return "; ".join(parts) + "."


def _requirement(item: Any) -> str:
    """What a setting must be; pydantic's own message for types of error without one here."""
    if template := REQUIREMENTS.get(item["type"]):
        return template.format(**item.get("ctx", {}))
    return item["msg"].removeprefix("Value error, ")


def _unknown(location: Sequence[Any]) -> str:
    """That a section or key does not exist, and which existing one is close to it."""
    is_key = len(location) > 1
    names = list(SECTIONS[str(location[0])].model_fields if is_key else SECTIONS)
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    advice = f"perhaps {near[0]} is meant" if near else f"the names are {', '.join(names)}"
    return f"no such {'setting' if is_key else 'section'}; {advice}"
