"""Settings of a study's methods from the command line: `vq-ttt.steps=3`, and a file that `vqttt tune` wrote."""

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from vqttt.errors import InputError, VQTTTError
from vqttt.methods import MethodSpec, find_method
from vqttt.methods.stream import StreamMethod
from vqttt.study.config import StudyConfig


def with_settings(config: StudyConfig, given: Sequence[str], option: str = "--set") -> StudyConfig:
    """Return a study in which some settings of its methods are replaced.

    Args:
        config: the study.
        given: each `METHOD.KEY=VALUE`; the key of a nested setting has dots, as in `vq-ttt.adapters.lora_rank=4`. The
            value is written as in TOML; anything that is not a value of TOML is text, so text needs no quotes.
        option: what the user typed before them, for error messages.

    Raises:
        InputError: if one is not of this form, names a method that does not run, or cannot be used.
    """
    for item in _different(given, option):
        try:
            config = _with_setting(config, item)
        except VQTTTError as error:
            raise InputError(f"{option} {item}: {error}") from error
    return config


def with_tuned(config: StudyConfig, file: Path, option: str = "--tuned") -> StudyConfig:
    """Return a study whose one method that learns along the stream applies what `vqttt tune` wrote instead.

    That method is then named after it, such as `vq-select-tuned`: what it learned elsewhere is not source-free, and its
    results must not pass for those of a method that starts from nothing.

    Raises:
        InputError: if no method of the study can, or several; or the file is not there, or the name is taken.
    """
    can = [name for name, spec in config.method_specs.items() if issubclass(spec.kind, StreamMethod)]
    if len(can) != 1:
        found = f"{' and '.join(can)} can all" if can else f"of {', '.join(config.methods)} none can"
        raise InputError(f"{option} is for one method that `vqttt tune` can tune; {found}; choose one by --method")
    try:
        config.method_specs[can[0]].saved(file)
    except InputError as error:
        raise InputError(f"{option}: {error}") from error
    name = f"{can[0]}-tuned"
    if name in config.methods or name in config.method_settings:
        raise InputError(f"{option}: the study has a method called {name} already; give that one another name")
    own = {"base": can[0]} | dict(config.method_settings.get(can[0], {}))
    methods = tuple(name if method == can[0] else method for method in config.methods)
    settings = {method: values for method, values in config.method_settings.items() if method != can[0]}
    return replace(config, methods=methods, method_settings=settings | {name: own | {"tuned": str(file)}})


def with_own_settings(method: str, given: Sequence[str], option: str = "--set") -> MethodSpec:
    """Return a registered method in which some settings are replaced; see `with_settings`, which raises the same."""
    own: dict[str, Any] = {}
    for item in _different(given, option):
        try:
            own = _merge(own, _parsed(item, [method])[1])
            find_method(method, {method: own})
        except VQTTTError as error:
            raise InputError(f"{option} {item}: {error}") from error
    return find_method(method, {method: own})


def _with_setting(config: StudyConfig, item: str) -> StudyConfig:
    return _merged(config, *_parsed(item, config.methods))


def _different(given: Sequence[str], option: str) -> Sequence[str]:
    """Return the settings; no two may be of the same key."""
    for key, times in Counter(item.partition("=")[0].strip() for item in given).items():
        if times > 1:
            raise InputError(f"{option} sets {key} {times} times; give each setting once")
    return given


def _parsed(item: str, methods: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the method that `METHOD.KEY=VALUE` is for, and the setting as a nested table."""
    path, equals, value = item.partition("=")
    # A method's name may have dots itself, so the longest name of a method that fits is meant.
    fitting = [name for name in methods if path.startswith(f"{name}.")]
    if not equals or "." not in path:
        raise InputError("write METHOD.KEY=VALUE, as in vq-ttt.steps=3")
    if not fitting:
        raise InputError(f"no method that runs is called so; these run: {', '.join(methods)}")
    method = max(fitting, key=len)
    keys = path.removeprefix(f"{method}.").split(".")
    if not all(keys):
        raise InputError("a key is empty; write METHOD.KEY=VALUE, as in vq-ttt.steps=3")
    setting: Any = _value(value.strip())
    for key in reversed(keys):
        setting = {key: setting}
    return method, setting


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merged(config: StudyConfig, method: str, settings: Mapping[str, Any]) -> StudyConfig:
    old = {name: deepcopy(dict(values)) for name, values in config.method_settings.items()}
    return replace(config, method_settings=old | {method: _merge(old.get(method, {}), settings)})


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested tables with the values of `new` in place of those of `old`."""
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
