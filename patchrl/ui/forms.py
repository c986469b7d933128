"""Form fields made from the config's own titles, help, bounds and defaults; and the way back to a config."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import gradio as gr

from patchrl.config import Setting, StudyConfig, resolve, settings
from patchrl.config.arms import OFFERED
from patchrl.errors import ConfigError
from patchrl.jobs.public import Bound

Name = tuple[str, str]  # section, key
SETTINGS = {(setting.section, setting.key): setting for setting in settings()}
DEFAULTS = resolve({})
_PATH = re.compile(rf"(?:^|(?<=; )|(?<=\. ))({'|'.join(map(re.escape, (s.path for s in SETTINGS.values())))}): ")


def _base_type(annotation: Any) -> Any:
    """An optional type without its None."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def _label(setting: Setting) -> str:
    has_unit = setting.unit and setting.unit not in setting.title.lower()
    return f"{setting.title} ({setting.unit})" if has_unit else setting.title


def widget_value(value: Any) -> Any:
    """The value that a setting's widget shows for a config value."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else value


class Form:
    """The widgets of a study's settings, spread over tabs, in the order they were made.

    They open with the settings of `opening`. Of a public page only those in `bounds` can be changed.
    """

    def __init__(self, opening: StudyConfig, bounds: Mapping[str, Bound] | None = None) -> None:
        self.opening, self.bounds = opening, bounds
        self.widgets: dict[Name, gr.components.Component] = {}

    def field(self, section: str, key: str, **extra: Any) -> gr.components.Component:
        """Make the widget of one setting at the current place of the layout."""
        setting = SETTINGS[section, key]
        bound = self.bounds.get(f"{section}.{key}") if self.bounds else None
        common: dict[str, Any] = {
            "label": _label(setting),
            "info": f"{setting.help} Here: {bound.words}." if bound else setting.help,
            "elem_id": f"{section}-{key}",
            "interactive": self.bounds is None or bound is not None,
        } | extra
        value = getattr(getattr(self.opening, section), key)
        kind = _base_type(setting.annotation)
        widget: gr.components.Component
        if (section, key) == ("study", "arms"):
            # Any composed arm can be typed; the list offers the simple ones.
            widget = gr.Dropdown(list(OFFERED), value=list(value), multiselect=True, allow_custom_value=True, **common)
        elif typing.get_origin(kind) is Literal:
            names = list(typing.get_args(kind))
            optional = value is None
            widget = gr.Dropdown((["detect"] if optional else []) + names, value=value or "detect", **common)
        elif kind is bool:
            widget = gr.Checkbox(value=value, **common)
        elif kind in (int, float) and value is not None:  # a number field without one shows 0, and then is 0
            # No precision: it would round what somebody typed without a word.
            widget = gr.Number(value=value, step=1 if kind is int else 1e-4, **common)
        else:
            widget = gr.Textbox(value=widget_value(value), max_lines=1, **common)
        self.widgets[section, key] = widget
        return widget

    def left(self, section: str) -> list[str]:
        """The settings of a section that have no widget yet."""
        return [key for name, key in SETTINGS if name == section and (name, key) not in self.widgets]

    def inputs(self) -> list[gr.components.Component]:
        return list(self.widgets.values())

    def config(self, values: Sequence[Any]) -> StudyConfig:
        """A checked config from the widgets' values; raises ConfigError naming each bad field.

        A field that shows the lab's default counts as left out, so that another backbone gets a value chosen for it.
        """
        nested: dict[str, dict[str, Any]] = {}
        unreadable: list[str] = []
        for (section, key), value in zip(self.widgets, values, strict=True):
            try:
                parsed = _parsed(section, key, value)
            except ConfigError as error:
                unreadable.append(str(error).removesuffix("."))
                continue
            default = getattr(getattr(DEFAULTS, section), key)
            if parsed != default or isinstance(parsed, bool) != isinstance(default, bool):
                nested.setdefault(section, {})[key] = parsed
        try:
            config = resolve(nested)
        except ConfigError as error:
            raise ConfigError("; ".join([*unreadable, str(error)])) from None
        if unreadable:
            raise ConfigError("; ".join(unreadable) + ".")
        return config

    def values(self, config: StudyConfig) -> list[Any]:
        """What the widgets show for a config."""
        result: list[Any] = []
        for section, key in self.widgets:
            value = getattr(getattr(config, section), key)
            if (section, key) == ("study", "arms"):
                result.append(list(value))
            elif (section, key) == ("data", "task"):
                result.append(value or "detect")
            else:
                result.append(widget_value(value))
        return result


def problems_by_field(sentence: str) -> list[dict[str, str]]:
    """What an error says of each setting: `field`, the id of its widget, its `section`, its `title`, and the `words`.

    What names no setting has these three empty.
    """
    first, *rest = _PATH.split(sentence)
    named = zip(rest[::2], rest[1::2], strict=True)
    problems = [{"field": "", "section": "", "title": "", "words": _sentence(first)}] if first.strip() else []
    for path, words in named:
        section, _, key = path.partition(".")
        title = _label(SETTINGS[section, key])
        problems.append({"field": f"{section}-{key}", "section": section, "title": title, "words": _sentence(words)})
    return problems


def _sentence(words: str) -> str:
    words = words.strip().removesuffix(";").removesuffix(".")
    is_file = "." in words.partition(" ")[0]
    return f"{words if is_file else words[:1].upper() + words[1:]}."


def _parsed(section: str, key: str, value: Any) -> Any:
    default = getattr(getattr(DEFAULTS, section), key)
    if isinstance(value, str):
        value = value.strip()
        if isinstance(default, tuple):
            parts = [part.strip() for part in value.split(",") if part.strip()]
            if key != "seeds":
                return parts
            try:
                return [int(part) for part in parts]
            except ValueError:
                raise ConfigError(f"study.seeds: whole numbers such as 0, 1, 2 are needed (found {value!r}).") from None
        if default is None and value in ("", "detect"):
            return None
    if value is None and default is not None:
        raise ConfigError(f"{section}.{key}: a number is needed, the field is empty.")
    if isinstance(default, int) and not isinstance(default, bool) and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
