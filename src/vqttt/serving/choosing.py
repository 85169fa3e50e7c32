"""Which method answers a request: the one that it names, with the settings that it gives, or the server's."""

from collections.abc import Iterator, Mapping
from typing import Any

from vqttt.errors import InputError
from vqttt.images.restorers import installed
from vqttt.methods import MethodSpec, SavedConfig, find_method
from vqttt.methods.spec import INTERNALS
from vqttt.methods.stream import StreamMethod
from vqttt.models.base import Model
from vqttt.runs.records import NONE
from vqttt.serving.asked import Asked
from vqttt.serving.refusals import RequestError

_FILES = ("tuned", "start", "file", "clean_features")
"""Settings that name files, which are the server's own."""

_MOST = 64
"""The largest whole number and the longest list that a client may set: steps, views and ranks cost time and memory."""

_LONGEST = 200
"""Characters of a text that a client may set."""


def chosen(asked: Asked, own: MethodSpec, model: Model, outside: Model) -> MethodSpec:
    """Return the method of a request.

    Args:
        asked: the request.
        own: the server's method.
        model: the model.
        outside: the same, as methods see it that need nothing of its internals.

    Raises:
        RequestError: if there is no such method or setting, or it cannot do what is asked.
    """
    try:
        spec = find_method(asked.method) if asked.method else own
        if asked.settings:
            _check(asked.settings, spec)
            spec = spec.changed(asked.settings)
        spec.check(model)
    except (InputError, OverflowError) as error:  # a whole number may be too large to be compared with others
        raise RequestError(str(error), param="vqttt") from error
    if asked.stream and spec.name != NONE:
        spec = spec.learning()
        if not issubclass(spec.kind, StreamMethod):
            raise RequestError(f"the method {spec.name} learns nothing along a stream; leave out stream", param="vqttt")
    if asked.deadline is not None and spec.lacks(outside) == INTERNALS:
        raise RequestError(f"the method {spec.name} cannot keep a deadline; leave out deadline_ms", param="vqttt")
    return spec


def _check(settings: Mapping[str, Any], spec: MethodSpec) -> None:
    """See that settings reach no files, and cost no more than a request may.

    Raises:
        InputError: if one does.
    """
    if isinstance(spec.config, SavedConfig):
        raise InputError("the server's method was tuned and is applied as it is; leave out its settings")
    can = set(installed())
    for name, value in _values(settings):
        if name in _FILES:
            raise InputError(f"files are the server's own; leave out {name}")
        if isinstance(value, int) and value > _MOST:
            raise InputError(f"{name} is at most {_MOST} in a request")
        if (isinstance(value, list) and len(value) > _MOST) or (isinstance(value, str) and len(value) > _LONGEST):
            raise InputError(f"{name} is too long for a request")
        if name == "corrections" and (not isinstance(value, list) or not can.issuperset(map(str, value))):
            raise InputError(f"corrections is a list of these: {', '.join(sorted(can))}")


def _values(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield all settings, nested ones too."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _values(value)
        yield name, value
