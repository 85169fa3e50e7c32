"""A study as a TOML file: the fields of `StudyConfig`, and `preset` for what the file does not say."""

import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from vqttt.errors import InputError, VQTTTError
from vqttt.study import PRESETS, StudyConfig

_LISTS = {field.name for field in fields(StudyConfig) if str(field.type).startswith("tuple")}
_KINDS: dict[str, type] = {field.name: int if "int" in str(field.type) else str for field in fields(StudyConfig)}


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
        raise InputError(f"{path}: cannot be read: {error}") from error
    preset = found.pop("preset", preset)
    if not isinstance(preset, str) or preset not in PRESETS:
        raise InputError(f"{_place(path, text, 'preset')}: no preset {preset!r}; there are {', '.join(PRESETS)}")
    config = PRESETS[preset]
    for name, value in found.items():
        try:
            config = replace(config, **{name: _checked(name, value)})
        except VQTTTError as error:
            raise InputError(f"{_place(path, text, name)}: {error}") from error
    return config


def _checked(name: str, value: Any) -> Any:
    if name not in _KINDS:
        raise InputError(f"a study has no {name!r}; it has {', '.join(_KINDS)}")
    kind = _KINDS[name]
    wanted = "a number" if kind is int else "text"
    values = value if name in _LISTS else [value]
    if not isinstance(values, list) or not values:
        raise InputError(f"{name} is a list, such as [{'1, 3' if kind is int else repr('fog')}], not {value!r}")
    for one in values:
        if not isinstance(one, kind) or isinstance(one, bool):
            raise InputError(f"{name} wants {wanted}, not {one!r}")
    return tuple(values) if name in _LISTS else value


def _place(path: Path, text: str, name: str) -> str:
    """Say in which line of the file a key stands."""
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return f"{path}, line {number}"
    return str(path)
