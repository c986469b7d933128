"""From nested values, a file or a preset's name to a checked config."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from patchrl.config import messages
from patchrl.config.eval_tasks import names_a_file
from patchrl.config.inputs import NAMED_BACKBONES
from patchrl.config.presets import PRESET_TABLE, presets
from patchrl.config.sections import StudyConfig
from patchrl.errors import ConfigError
from patchrl.text import parse_json


def resolve(values: dict[str, Any]) -> StudyConfig:
    """A checked config from nested values; what is left out has its default.

    Raises ConfigError that names each bad setting.

    Example:
        >>> from patchrl.config import resolve
        >>> resolve({"rewriter": {"steps": 20}}).rewriter.steps
        20
    """
    try:
        return StudyConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(messages.sentence(error)) from None


def _parse_value(text: str) -> Any:
    if text == "null":  # TOML has no null, and some settings may be empty
        return None
    try:
        values = tomllib.loads(f"v = {text}")
    except (ValueError, RecursionError):  # ValueError: also a number of more digits than Python reads
        return text
    return values["v"] if list(values) == ["v"] else text


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`values` with each `section.key=value` of `overrides` applied; a value is TOML, `null`, or else plain text."""
    if isinstance(overrides, str):
        raise ConfigError(
            f"overrides: {overrides!r:.60} is one text; give a list of texts such as ['rewriter.steps=20']."
        )
    merged = {section: dict(fields) for section, fields in values.items()}
    for override in overrides:
        path, separator, text = override.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (separator and dot and key):
            raise ConfigError(f"--set {override!r}: write it as section.key=value, for example rewriter.steps=20.")
        merged.setdefault(section, {})[key] = _parse_value(text.strip())
    return merged


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """The config of a TOML file, of a run's config.json, or of a preset named by text.

    Raises ConfigError when the file is missing or malformed, and names each bad setting.

    Example:
        >>> from patchrl.config import load_config
        >>> load_config("nano-quick", ["rewriter.steps=5"]).rewriter.steps
        5
    """
    if not isinstance(source, (str, Path)):
        raise ConfigError(f"load_config: {source!r:.40} is not a file or the name of a preset; give either as text.")
    path = Path(source)
    if is_preset(source) and not path.is_file():
        path = presets()[str(source)].path
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"Config file {path}: it is not text in UTF-8; save it again with that encoding.") from None
    except ValueError as error:  # a path with a NUL character
        raise ConfigError(f"Config file {path}: {error}; check the path.") from None
    except OSError as error:
        advice = f" {_advice(path)}" if isinstance(error, (FileNotFoundError, IsADirectoryError)) else ""
        raise ConfigError(f"Config file {path}: {error.strerror or error}.{advice}") from None
    return read_config(text, f"Config file {path}", overrides, json=path.suffix == ".json")


def read_config(text: str, where: str, overrides: Sequence[str] = (), json: bool = False) -> StudyConfig:
    """The config of a text in TOML or JSON; `where` begins the sentences of its errors.

    Raises ConfigError when the text is malformed, and names each bad setting.
    """
    try:
        values = parse_json(text) if json else tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f'{where}: {error}; in TOML, text is in quotes: model = "nano".') from None
    except RecursionError:
        raise ConfigError(f"{where}: it is nested too deeply; sections hold settings.") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {str(error).partition(';')[0]}.") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{where}: it contains a {type(values).__name__} instead of sections such as [study]; name a data file in "
            "data.dataset."
        )
    values.pop(PRESET_TABLE, None)
    flat = [name for name, fields in values.items() if not isinstance(fields, dict)]
    if flat:
        raise ConfigError(f"{where}: {flat[0]!r} is outside a section; put it under one such as [study].")
    return resolve(apply_overrides(values, overrides))


def is_preset(source: str | Path) -> bool:
    """Whether a text is the name of a preset; a Path never is."""
    return isinstance(source, str) and source in presets()


def _advice(path: Path) -> str:
    """What to do about a config file that does not exist."""
    near = difflib.get_close_matches(path.stem, presets(), n=1)
    if near:
        return f"Perhaps the preset {near[0]} is meant; a preset is named without folder and ending."
    return f"Check the path, or name a preset: {', '.join(presets())}."


def absolute_paths(config: StudyConfig) -> StudyConfig:
    """The config with the absolute path of every existing file and folder that it names."""

    def absolute(name: str) -> str:
        path = Path(name)
        return str(path.resolve()) if path.exists() and not path.is_absolute() else name

    keys = {
        "backbone": () if config.backbone.model in NAMED_BACKBONES else ("model",),
        "data": ("dataset",),
        "reward": ("embedder",),
        "finetune": ("replay_data",),
        "evaluate": ("tasks_folder",) if config.evaluate.tasks_folder else (),
    }
    changes: dict[str, dict[str, Any]] = {
        section: {key: absolute(getattr(getattr(config, section), key)) for key in names}
        for section, names in keys.items()
    }
    for key in ("target", "general"):
        names = getattr(config.evaluate, key)
        changes["evaluate"][key] = tuple(absolute(name) if names_a_file(name) else name for name in names)
    sections = {name: getattr(config, name).model_copy(update=values) for name, values in changes.items()}
    return config.model_copy(update=sections)
