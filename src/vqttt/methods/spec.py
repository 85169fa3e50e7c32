"""What a name in the registry of methods stands for: a class and its settings."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from vqttt.errors import InputError
from vqttt.methods.base import Method
from vqttt.methods.saved import Saved, SavedConfig, saved_file
from vqttt.methods.stream import StreamMethod
from vqttt.models.base import Model

INTERNALS, PROBABILITIES = "access to the model's internals", "the probabilities of the model's tokens"
"""What a method may need that not every model offers."""

LEAST = {INTERNALS: "vq-select", PROBABILITIES: "none with a restorer"}
"""What can be used without it."""


@dataclass(frozen=True)
class MethodSpec:
    """A method that is yet to be built on a model.

    Attributes:
        kind: its class.
        config: its settings, a frozen dataclass; None for a method without any.
        name: what the registry calls it; its class's name if it is not from there.
    """

    kind: type[Method]
    config: Any = None
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Take the class's name for want of another."""
        object.__setattr__(self, "name", self.name or self.kind.__name__)

    @property
    def learns(self) -> bool:
        """Whether what it learns outlives a batch."""
        return self.kind.learns

    @property
    def needs(self) -> type[Model]:
        """The least that a model must offer."""
        return self._answering[0].needs

    def lacks(self, model: Model) -> str:
        """Return what the method needs of a model that it does not offer, in words; empty if it lacks nothing."""
        if not isinstance(model, self.needs):
            return INTERNALS
        return PROBABILITIES if self._answering[0].needs_certainty and not model.certain else ""

    @property
    def most_looks(self) -> int | None:
        """How many more answers than the untuned one a sample may take; None if that is not known."""
        kind, config = self._answering
        return kind.most_looks(config)

    @property
    def _answering(self) -> tuple[type[Method], Any]:
        """The class that answers, and its settings: for what was saved, those of the method that saved it."""
        saved = isinstance(self.config, SavedConfig)
        return (self.config.kind, self.config.config) if saved else (self.kind, self.config)

    def build(self, model: Model, *, max_new_tokens: int = 16, seed: int = 0) -> Method:
        """Build the method as it is before it has learned anything.

        Raises:
            InputError: if the model does not offer what the method needs.
        """
        self.check(model)
        built = self.kind(model, self.config, max_new_tokens=max_new_tokens, seed=seed)
        built.name = self.name
        return built

    def check(self, model: Model) -> None:
        """See that a model offers what the method needs.

        Raises:
            InputError: if it does not.
        """
        if lack := self.lacks(model):
            reason = f" ({model.untunable})" if model.untunable else ""
            raise InputError(
                f"the method {self.name} needs {lack}, which {model.name} does not give{reason}; choose another "
                f"method, such as {LEAST[lack]}"
            )

    def settings(self) -> dict[str, Any]:
        """Return what decides the method's answers besides its class, as JSON has it; part of a study's identity.

        Of a file that was saved it is the content, by its SHA-256.

        Raises:
            InputError: if there is no such file.
        """
        if isinstance(self.config, SavedConfig):
            file = Path(self.config.file)
            _check_saved(file)
            of_saved = MethodSpec(self.config.kind, self.config.config).settings()
            return of_saved | {"tuned": hashlib.sha256(file.read_bytes()).hexdigest()}
        return {} if self.config is None else asdict(self.config)

    def changed(self, settings: Mapping[str, Any]) -> "MethodSpec":
        """Return the method with some settings replaced; a nested one, such as `adapters`, is a mapping.

        `tuned`, the name of a file that `vqttt tune` writes, or "shipped" for the one that ships for the embedded
        model, gives the method that applies it and learns nothing. The file need not exist yet, so that a study can
        be planned before it is written.

        Raises:
            InputError: if a setting is not known, or its value cannot be used.
        """
        own = {name: value for name, value in settings.items() if name != "tuned"}
        spec = replace(self, config=_changed(self.config, own, self.name) if own else self.config)
        return spec._frozen(_converted("", settings["tuned"], "tuned")) if "tuned" in settings else spec

    def saved(self, file: Path) -> "MethodSpec":
        """Return the method that applies what this one saved in a file, and learns nothing.

        Raises:
            InputError: if this method learns nothing that could be saved, or there is no such file.
        """
        spec = self._frozen(str(file))
        _check_saved(Path(spec.config.file))
        return spec

    def learning(self) -> "MethodSpec":
        """Return the method that starts from what was saved and goes on learning; any other is returned as it is."""
        if not isinstance(self.config, SavedConfig):
            return self
        started = replace(self.config.config, start=self.config.file)
        return MethodSpec(self.config.kind, started, self.config.name)

    def _frozen(self, file: str) -> "MethodSpec":
        if not issubclass(self.kind, StreamMethod):
            raise InputError(f"the method {self.name} learns nothing that could be saved and applied")
        found = str(saved_file(file, self.name))
        saved = SavedConfig(kind=self.kind, name=self.name, config=self.config, file=found)
        return MethodSpec(Saved, saved, self.name)


def _check_saved(file: Path) -> None:
    if not file.is_file():
        raise InputError(f"there is no file {file}; `vqttt tune` writes one")


def _changed(config: Any, settings: Mapping[str, Any], owner: str) -> Any:
    known = [field.name for field in fields(config)] if is_dataclass(config) else []
    values = {}
    for name, value in settings.items():
        if name not in known:
            raise InputError(f"{owner} has no setting {name!r}; it has {', '.join(known) or 'none'}")
        values[name] = _converted(getattr(config, name), value, name)
    try:
        return replace(config, **values)
    except ValueError as error:
        raise InputError(str(error)) from error


def _converted(old: Any, value: Any, name: str) -> Any:
    """Return a value of TOML or JSON as one like the `old` one.

    Raises:
        InputError: if it is of another type.
    """
    if is_dataclass(old):
        if not isinstance(value, Mapping):
            raise InputError(f"{name} is a table of settings, not {value!r}")
        return _changed(old, value, name)
    if isinstance(old, tuple):
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise InputError(f"{name} must be a list of text, not {value!r}")
        return tuple(value)
    wanted = float if old is None else type(old)
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not isfinite(value):
            raise InputError(f"{name} must be a finite number, not {value}")
        return float(value)
    if not isinstance(value, wanted) or isinstance(value, bool) != isinstance(old, bool):
        raise InputError(f"{name} must be {_WORDS.get(wanted, wanted.__name__)}, not {value!r}")
    return value


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
