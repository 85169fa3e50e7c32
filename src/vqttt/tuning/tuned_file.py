"""A file with what was tuned: safetensors, with what it was made with as JSON in its metadata.

Tensors of the right shapes say nothing about where they come from, so a file is only applied where what it was made
with is what is there now: the model's weights, the method, its settings, the corrections.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from stat import S_IMODE
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vqttt.errors import InputError

FORMAT = 2
"""The version of the format. Files of version 1 did not keep the model, the method or its settings."""

_KEY = "vqttt"


def write(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors, and what they were made with, as JSON has it."""
    save_tensors(path, tensors, {_KEY: json.dumps({"format": FORMAT} | dict(about))})


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors, with the permissions that the file has, or that any other new file would have.

    The package's `save_file` makes files that only their owner can read. It replaces a file as a whole, so tensors that
    were read from the old one stay as they are, and a failure keeps it.
    """
    new = not path.exists()
    path.touch()
    permissions = S_IMODE(path.stat().st_mode)
    try:
        save_file(dict(tensors), path, None if metadata is None else dict(metadata))
    except BaseException:
        if new:
            path.unlink()
        raise
    path.chmod(permissions)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a file, and what they were made with.

    Raises:
        InputError: if the file cannot be read, is of another version of the format, or has numbers that are not finite.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"cannot read adapters from {path}: {error}") from error
    if not isinstance(about, dict):
        raise InputError(f"{path} was not written by `vqttt tune`")
    if about.get("format") != FORMAT:
        raise InputError(f"{path} was written by another version of vqttt; run `vqttt tune` again")
    check_finite(path, tensors, "run `vqttt tune` again")
    return tensors, about


def check_finite(path: Path, tensors: Mapping[str, Tensor], remedy: str) -> None:
    """Raise `InputError` if a tensor of a file has NaN or infinity, and say what mends that."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{path}: its tensor {name!r} has numbers that are not finite (NaN or infinity); {remedy}")


def difference(saved: Any, own: Any, name: str = "") -> str:
    """Say in a few words what first differs between two values of JSON, such as `steps is 2, not 1`; else nothing."""
    if isinstance(saved, dict) and isinstance(own, dict):
        found = (difference(saved.get(key), own.get(key), key) for key in dict.fromkeys((*own, *saved)))
        return next((words for words in found if words), "")
    return "" if saved == own else f"{name} is {_shown(saved)}, not {_shown(own)}"


def as_json(value: Any) -> Any:
    """Return a value as it is after it was written as JSON and read again."""
    return json.loads(json.dumps(value))


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value)
