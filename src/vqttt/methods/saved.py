"""A method that applies what another one learned on an earlier stream, and learns nothing itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqttt.errors import InputError
from vqttt.methods.attempts import Attempt, Outcome
from vqttt.methods.base import Method
from vqttt.methods.stream import StreamMethod
from vqttt.models import EMBEDDED
from vqttt.models.base import Inputs, Model

SHIPPED = "shipped"
"""Given for a file: the one for the embedded model that ships with vqttt."""


def saved_file(given: str, method: str) -> Path:
    """Return the file that is meant by a path, or by "shipped" where there is no file of that name.

    Raises:
        InputError: if it is "shipped" and none ships for the method.
    """
    if given != SHIPPED or Path(given).is_file():
        return Path(given)
    file = EMBEDDED / f"{method}.safetensors"
    if not file.is_file():
        having = ", ".join(sorted(found.stem for found in EMBEDDED.glob("vq-*.safetensors")))
        raise InputError(f"no file ships for the method {method}; one does for {having}")
    return file


@dataclass(frozen=True, kw_only=True)
class SavedConfig:
    """What was saved, and by what.

    Attributes:
        kind: the class of the method that saved it.
        name: what the registry calls that method.
        config: its settings.
        file: what it wrote (see `StreamMethod.save`).
    """

    kind: type[StreamMethod]
    name: str
    config: Any
    file: str


class Saved(Method):
    """Answer as the method that wrote the file would, with its gate and guard, frozen."""

    needs = Model  # what the saved method needs is checked where its spec is (see `MethodSpec.needs`)
    config: SavedConfig

    def __init__(self, model: Model, config: SavedConfig, *, max_new_tokens: int = 16, seed: int = 0) -> None:
        """Load the file.

        Raises:
            InputError: if it is not there, or was not written by this method, with these settings, on this model.
        """
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self.method = config.kind(model, config.config, max_new_tokens=max_new_tokens, seed=seed)
        self.method.name = config.name
        self.method.load(Path(config.file), frozen=True)
        self.changes_images = self.method.changes_images
        self.gate, self.guard_ratio = self.method.gate, self.method.guard_ratio

    def admitted(self, inputs: Inputs, before: Outcome) -> list[int]:
        """Return the samples that the saved method admits."""
        return self.method.admitted(inputs, before)

    def attempts(self, inputs: Inputs, base: Any, *, learn: bool = True) -> list[Attempt]:
        """Answer as the saved method would, without learning."""
        return self.method.attempts(inputs, base, learn=False)
