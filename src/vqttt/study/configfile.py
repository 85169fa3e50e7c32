"""A study as a TOML file: the fields of `StudyConfig`, and `preset` for what the file does not say."""

import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from vqttt.errors import InputError, VQTTTError
from vqttt.models import LoadOptions
from vqttt.study.config import PRESETS, StudyConfig

_LISTS = {field.name for field in fields(StudyConfig) if str(field.type).startswith("tuple")}
_KINDS = {field.name: str(field.type) for field in fields(StudyConfig) if field.name != "load"}
_LOAD_KINDS = {field.name: str(field.type) for field in fields(LoadOptions)}


def read_config(path: Path, preset: str = "quick") -> StudyConfig:
    """Read a study's configuration.

    Raises:
        InputError: if the file cannot be read or says what a study cannot be; with the line where it says so.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    preset = found.pop("preset", preset)
    if not isinstance(preset, str) or preset not in PRESETS:
        raise InputError(f"{_place(path, text, 'preset')}: no preset {preset!r}; there are {', '.join(PRESETS)}")
    config = PRESETS[preset]
    for name, value in found.items():
        options = value if name == "load" and isinstance(value, dict) else {}
        for option, one in options.items():
            try:
                config = _loaded_with(config, option, one)
            except VQTTTError as error:
                raise InputError(f"{_place(path, text, option)}: {error}") from error
        if not options:
            try:
                config = _with(config, name, value)
            except VQTTTError as error:
                raise InputError(f"{_place(path, text, name)}: {error}") from error
    return config


def _with(config: StudyConfig, name: str, value: Any) -> StudyConfig:
    """Return a configuration with one field changed, which may be one of JSON or TOML."""
    if name == "load":
        if not isinstance(value, dict):
            raise InputError(f"load is a table, such as [load] with dtype = 'bfloat16' below it, not {value!r}")
        for option, one in value.items():
            config = _loaded_with(config, option, one)
        return config
    return replace(config, **{name: _checked("a study", _KINDS, name, value)})


def _loaded_with(config: StudyConfig, option: str, value: Any) -> StudyConfig:
    return replace(config, load=replace(config.load, **{option: _checked("load", _LOAD_KINDS, option, value)}))


def _checked(whose: str, kinds: dict[str, str], name: str, value: Any) -> Any:
    if name not in kinds:
        raise InputError(f"{whose} has no {name!r}; it has {', '.join(kinds)}")
    kind, listed = int if "int" in kinds[name] else str, kinds[name].startswith("tuple")
    wanted = "a number" if kind is int else "text"
    values = value if listed else [value]
    if not isinstance(values, list) or not values:
        raise InputError(f"{name} is a list, such as [{'1, 3' if kind is int else repr('fog')}], not {value!r}")
    for one in values:
        if not isinstance(one, kind) or isinstance(one, bool):
            raise InputError(f"{name} wants {wanted}, not {one!r}")
    return tuple(values) if listed else value


def _place(path: Path, text: str, name: str) -> str:
    """Say in which line of the file a key stands."""
    key = rf"[\"']?{re.escape(name)}[\"']?"
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(rf"\s*({key}|load\.{key})\s*=|\s*load\s*=.*{key}|\s*\[\s*{key}\s*\]", line):
            return f"{path}, line {number}"
    return str(path)
