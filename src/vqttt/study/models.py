"""The models of a study: all are checked at its start; then one at a time is held in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vqttt.errors import InputError, VQTTTError
from vqttt.methods import MethodSpec
from vqttt.methods.spec import INTERNALS, LEAST, PROBABILITIES
from vqttt.models import MODELS, LoadOptions, ServedOptions, check_model, is_served, load_model
from vqttt.models.base import Model
from vqttt.models.memory import release_memory
from vqttt.study.config import StudyConfig
from vqttt.study.provenance import describe_device, files_of_methods

LoadModel = Callable[[str], Model]
"""Loads the model that a study calls by this name."""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a study keeps of a model while it does not hold it.

    Attributes:
        name: the model's name in records.
        weights: see `Model.fingerprint`.
        device: the type of its device.
        files: those that methods use with it; see `files_of_methods`.
    """

    name: str
    weights: str
    device: str
    files: Mapping[str, Mapping[str, str]]


class Models:
    """Loads models as they are needed and holds one: several large ones do not fit into memory side by side.

    Attributes:
        facts: about every model, by the name that the study has for it.
    """

    def __init__(self, names: Sequence[str], load: LoadModel, methods: Mapping[str, MethodSpec]) -> None:
        """Load every model once, so that one that cannot be used is said before anything runs.

        The first model is loaded last and held, because a study begins with it.

        Raises:
            InputError: if a method cannot be built on a model, or two models have one name in records.
            ModelError: if a model cannot be loaded.
        """
        self._load, self._methods = load, methods
        self._held: tuple[str, Model] | None = None
        several, found = len(names) > 1, dict[str, ModelFacts]()
        for name in (*names[1:], names[0]):
            with naming(name, several=several):
                found[name] = self._checked(name)
        self.facts = {name: found[name] for name in names}
        self._check_record_names()

    def get(self, name: str) -> Model:
        """Return a model; another one that was held is dropped before it is loaded."""
        if self._held is None or self._held[0] != name:
            if self._held is not None:
                self._held = None
                release_memory()
            self._held = name, self._load(name)
        return self._held[1]

    def described(self) -> dict[str, Any]:
        """Return what `run.json` says of the models; of one, as runs of older versions have it."""
        facts = self.facts.values()
        described: dict[str, Any] = {
            "weights": {one.name: one.weights for one in facts},
            "files": {one.name: one.files for one in facts if one.files},
        }
        if len(facts) == 1:
            (only,) = facts
            described = {"weights": only.weights, "files": only.files}
        return described | {"device": describe_device(one.device for one in facts)}

    def _checked(self, name: str) -> ModelFacts:
        model = self.get(name)
        check_methods(self._methods, model)
        return ModelFacts(
            name=model.name,
            weights=model.fingerprint(),
            device=model.device_type,
            files=files_of_methods(self._methods, model),
        )

    def _check_record_names(self) -> None:
        """See that records tell the models apart."""
        by_record = dict[str, str]()
        for name, facts in self.facts.items():
            if (other := by_record.setdefault(facts.name, name)) != name:
                raise InputError(
                    f"the models {other!r} and {name!r} both have the name {facts.name!r} in records, which could not "
                    "tell them apart; give each a name of its own"
                )


def check_names(config: StudyConfig) -> None:
    """Check names and options of a study's models, as far as that needs no weights and no server.

    Raises:
        InputError: if a name or an option cannot be used.
        ModelError: if a name is a folder that holds no model.
    """
    for name in config.models:
        check_model(name, *_options(config, name))


def load_from(config: StudyConfig, name: str) -> Model:
    """Load a model of a study with the study's options; raises as `load_model` does."""
    return load_model(name, *_options(config, name))


def _options(config: StudyConfig, name: str) -> tuple[LoadOptions, ServedOptions]:
    """Return the options for a model: among several, each gets those that it takes."""
    loaded = [one for one in config.models if one not in MODELS and not is_served(one)]
    load = config.load if name in loaded or not loaded else LoadOptions()
    served = config.served if is_served(name) or not any(map(is_served, config.models)) else ServedOptions()
    return load, served


@contextmanager
def naming(name: str, *, several: bool) -> Iterator[None]:
    """Within the block, an error of ours says which of several models it is about."""
    try:
        yield
    except VQTTTError as error:
        if several and name not in str(error):
            error.args = (f"{name}: {error}",)
        raise


def check_methods(methods: Mapping[str, MethodSpec], model: Model) -> None:
    """See that methods can be built on a model, so that what does not fit is said before anything runs.

    Raises:
        InputError: if one cannot; the message names all those that need more than the model offers.
    """
    for lack in (INTERNALS, PROBABILITIES):
        if needing := [name for name, spec in methods.items() if spec.lacks(model) == lack]:
            raise InputError(
                f"{model.name} does not give {lack}, which {' and '.join(needing)} need{'s' * (len(needing) == 1)}; "
                f"choose methods that do not, such as --method {LEAST[lack]}"
            )
    for spec in methods.values():
        spec.build(model)
