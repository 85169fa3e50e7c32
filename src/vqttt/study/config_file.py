"""A study as a TOML file, and as the JSON that `run.json` holds.

A file has the fields of `StudyConfig`, and `preset` for everything it leaves out. One model may be given as `model`.
Instead of a list of methods it may have tables that define methods of one's own:

    [methods.none]
    [methods.mine]
    base = "vq-ttt"
    steps = 3
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from vqttt.errors import InputError, UnknownNameError, VQTTTError
from vqttt.methods import METHODS
from vqttt.models import LoadOptions, ServedOptions
from vqttt.runs.records import NONE
from vqttt.study.config import DEFAULTS, PRESETS, StudyConfig, check_method

_APART = ("load", "served", "method_settings", "preset_limit")
"""The fields of a study that are tables, or that nobody sets; all others are plain values or lists."""

_FIELDS = {name: kind for name, kind in get_type_hints(StudyConfig).items() if name not in _APART}
_TABLES: dict[str, tuple[type[LoadOptions | ServedOptions], str]] = {
    "load": (LoadOptions, "dtype = 'bfloat16'"),
    "served": (ServedOptions, "base_url = 'http://localhost:8000/v1'"),
}
"""The tables of options, each with its class and an example."""


def read_config(path: Path, preset: str | None = None) -> StudyConfig:
    """Read a study's configuration from a TOML file.

    Args:
        path: of the file.
        preset: used in place of the one that the file names; None for that one, or else `DEFAULTS`.

    Raises:
        InputError: if the file cannot be read or asks for something invalid; the message names the line.
    """
    file = _File.read(path)
    content = dict(file.content)
    named = content.pop("preset", None)
    with file.at("preset"):
        if named is not None and (not isinstance(named, str) or named not in PRESETS):
            raise UnknownNameError("preset", str(named), PRESETS)
    chosen = preset or named
    config = PRESETS[chosen] if chosen else DEFAULTS
    if "limit" in content:
        config = replace(config, preset_limit=None)
    if content.get("methods") and isinstance(content["methods"], dict):
        config = _with_own_methods(config, content.pop("methods"), file)
    for table, (_, example) in _TABLES.items():
        with file.at(table):
            options = _table(table, content.pop(table, {}), example)
        for name, value in options.items():
            with file.at(table, name):
                old: Any = getattr(config, table)
                config = replace(config, **{table: replace(old, **{name: _option(table, name, value)})})
    for name, value in content.items():
        with file.at(name):
            config = replace(config, **_field(name, value, content))
    return config


def from_described(described: Mapping[str, Any]) -> StudyConfig:
    """Return the configuration that `StudyConfig.described` described.

    Raises:
        InputError: if it has names or values that are not known here.
    """
    given = {name: value for name, value in described.items() if value is not None}
    tables = {name: _table(name, given.pop(name, {}), example) for name, (_, example) in _TABLES.items()}
    method_settings = _table("method_settings", given.pop("method_settings", {}), "base = 'vq-ttt'")
    preset_limit = given.pop("preset_limit", None)
    fields: dict[str, Any] = {"limit": None}
    for name, value in given.items():
        fields |= _field(name, value, given)
    for table, options in tables.items():
        fields[table] = _TABLES[table][0](**{name: _option(table, name, value) for name, value in options.items()})
    return replace(DEFAULTS, **fields, method_settings=method_settings, preset_limit=preset_limit)


def _with_own_methods(config: StudyConfig, tables: dict[str, Any], file: "_File") -> StudyConfig:
    """Return a study with the methods that the tables below [methods] define."""
    for name, settings in tables.items():
        with file.at("methods", name):
            _table(f"methods.{name}", settings, "base = 'vq-ttt'")
        with file.at("methods", name, *_wrong_setting(name, settings)):
            check_method(name, tables)
    given = {name: settings for name, settings in tables.items() if settings}
    with file.at("methods"):
        return replace(config, methods=tuple(tables), method_settings=given)


def _wrong_setting(name: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of the setting that makes a definition of a method invalid; none if no single one does."""
    problem = _problem(name, settings)
    if not problem or _problem(name, {"base": NONE}) or ("base" not in settings and name not in METHODS):
        return ()  # nothing is wrong, or the name is, or the base is missing
    base = {"base": settings["base"]} if "base" in settings else {}
    if base and _problem(name, base):
        return ("base",)
    for keys, value in _leaves(settings):
        alone: Any = value
        for key in reversed(keys):
            alone = {key: alone}
        if _problem(name, base | alone) == problem:
            return keys
    return ()


def _problem(name: str, settings: Mapping[str, Any]) -> str:
    """Say what is wrong with a definition of a method; empty if nothing is."""
    try:
        check_method(name, {name: settings})
    except VQTTTError as error:
        return str(error)
    return ""


def _leaves(table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Iterate over the values of nested tables, with the keys that lead to them."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from (((key, *keys), leaf) for keys, leaf in _leaves(value))
        else:
            yield (key,), value


def _table(name: str, value: Any, example: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{name} must be a table, such as [{name}] with {example} below it, not {value!r}")
    return value


def _option(table: str, name: str, value: Any) -> Any:
    known = get_type_hints(_TABLES[table][0])
    if name not in known:
        raise UnknownNameError(f"{table} option", name, known)
    return _scalar(name, known[name], value)


_WORDS = {int: "whole numbers", str: "text"}
_SCALARS = {int: "a whole number", str: "text", bool: "true or false"}


def _field(name: str, value: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field of a study, by its name, from one of the values `given` in TOML or JSON."""
    if name == "model":
        if "models" in given:
            raise InputError("give model or models, not both")
        return {"models": (_scalar(name, str, value),)}
    if name not in _FIELDS:
        raise UnknownNameError("study setting", name, ("preset", "model", *_FIELDS, *_TABLES))
    kind = _FIELDS[name]
    return {name: _listed(name, kind, value) if get_origin(kind) is tuple else _scalar(name, kind, value)}


def _listed(name: str, kind: Any, value: Any) -> tuple[Any, ...]:
    """Return a list of values as the annotated kind of tuple."""
    example = f"such as {json.dumps(getattr(PRESETS['quick'], name))}"
    if not isinstance(value, list):
        raise InputError(f"{name} must be a list, {example}, not {value!r}")
    if not value:
        raise InputError(f"{name} is empty; give at least one, {example}")
    of = get_args(kind)[0]
    for one in value:
        if not isinstance(one, of) or isinstance(one, bool):
            raise InputError(f"{name} must be a list of {_WORDS[of]}, {example}; {one!r} is none")
    return tuple(value)


def _scalar(name: str, kind: Any, value: Any) -> Any:
    """Return the value if it is of the annotated kind: `str`, `int`, `bool`, or `int | None`."""
    (wanted,) = (one for one in get_args(kind) or (kind,) if one is not NoneType)
    if not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
        raise InputError(f"{name} must be {_SCALARS[wanted]}, not {value!r}")
    return value


@dataclass(frozen=True)
class _File:
    """A TOML file: its content, and the line on which each key stands."""

    path: Path
    content: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]

    @classmethod
    def read(cls, path: Path) -> "_File":
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, tomllib.loads(text), _key_lines(text))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{path}: not TOML: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error

    @contextmanager
    def at(self, *keys: str) -> Iterator[None]:
        """Within the block, an error names the file and the line of a key."""
        try:
            yield
        except VQTTTError as error:
            line = self._line(keys)
            raise InputError(f"{self.path}{f', line {line}' if line else ''}: {error}") from error

    def _line(self, keys: tuple[str, ...]) -> int | None:
        """Return the line of a key, or of the table that it is in if that is written on one line."""
        for length in range(len(keys), 0, -1):
            lines = [line for known, line in self.lines.items() if known[:length] == keys[:length]]
            if lines:
                return min(lines)
        return None


_KEY = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_KEYS = rf"{_KEY}(?:\s*\.\s*{_KEY})*"


def _key_lines(text: str) -> dict[tuple[str, ...], int]:
    """Map the keys of tables, and of values in them, to the line on which they are set."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(rf"\s*\[\s*({_KEYS})\s*\]", line):
            table = _split(header[1])
            lines.setdefault(table, number)
        elif pair := re.match(rf"\s*({_KEYS})\s*=", line):
            lines.setdefault((*table, *_split(pair[1])), number)
    return lines


def _split(keys: str) -> tuple[str, ...]:
    return tuple(key.strip("\"'") for key in re.findall(_KEY, keys))
