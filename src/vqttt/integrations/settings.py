"""The settings that a harness hands over (model, degradation, method), and the limits of a single request."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from vqttt.errors import InputError, UnknownNameError
from vqttt.images.degradations import check_kind, check_scale, check_severity
from vqttt.images.restorers import check_restorer, fingerprint
from vqttt.methods import Method, MethodSpec, find_method
from vqttt.models import LoadOptions, load_model
from vqttt.models.base import Model
from vqttt.runs.records import CLEAN, NONE
from vqttt.types import Condition

DEFAULT_TOKENS = 128
"""Maximum length of an answer if neither the request nor the settings give one."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides answers, and how the model is loaded.

    Attributes:
        pretrained: a registered model, a checkpoint folder, or a Hugging Face id.
        method: how to answer, a registered name.
        tuned: a file written by `vqttt tune` with that method; it is applied and nothing more is learned. Empty: none.
        degradation: of every image: a name, several joined by `+`, or `clean`.
        severity: of the degradation, 1 to 5; ignored for `clean`.
        restorer, scale: see `Condition`.
        seed: decides every random draw.
        batch_size: number of questions answered, and tuned on, together.
        max_new_tokens: maximum length of an answer, whatever a request asks for; 0 leaves it to the request.
        load: how a checkpoint folder or Hub id is loaded.
    """

    pretrained: str = "embedded"
    method: str = NONE
    tuned: str = ""
    degradation: str = CLEAN
    severity: int = 3
    restorer: str = NONE
    scale: str = "relative"
    seed: int = 0
    batch_size: int = 20
    max_new_tokens: int = 0
    load: LoadOptions = field(default_factory=LoadOptions)

    def __post_init__(self) -> None:
        """Reject unknown names and values out of range before a model is loaded."""
        self.method_spec()
        check_kind(self.degradation)
        check_restorer(self.restorer)
        fingerprint(self.restorer)  # its weights must be installed
        check_scale(self.scale)
        check_severity(self.severity)
        for name, least in (("seed", 0), ("batch_size", 1), ("max_new_tokens", 0)):
            if (value := getattr(self, name)) < least:
                raise InputError(f"{name} must be at least {least}, not {value}")

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> "Settings":
        """Read arguments as a harness hands them over.

        Args:
            arguments: settings by name, with those of `LoadOptions` among them; numbers may be text.

        Raises:
            InputError: if one is unknown, of the wrong type or out of range.
        """
        values = {name: _converted(name, value) for name, value in arguments.items()}
        load = {name: values.pop(name) for name in _LOAD & set(values)}
        return cls(**values, load=LoadOptions(**load))

    @property
    def condition(self) -> Condition:
        """What happens to every image."""
        severity = 0 if self.degradation == CLEAN else self.severity
        return Condition(degradation=self.degradation, severity=severity, scale=self.scale, restorer=self.restorer)

    def load_model(self) -> Model:
        """Load the model; raises as `vqttt.models.load_model`."""
        return load_model(self.pretrained, self.load)

    def method_spec(self) -> MethodSpec:
        """Return the method, or what it saved in the file `tuned`.

        Raises:
            InputError: if the method is unknown or saves nothing, or there is no such file.
        """
        spec = find_method(self.method)
        return spec.saved(Path(self.tuned)) if self.tuned else spec

    def new_method(self, model: Model) -> Method:
        """Build the method as it is before it has learned anything, or with what was saved.

        Raises:
            InputError: if the method needs more than the model offers, or the file `tuned` does not fit.
        """
        return self.method_spec().build(model, max_new_tokens=self.max_new_tokens or DEFAULT_TOKENS, seed=self.seed)


_LOAD = {each.name for each in fields(LoadOptions)}
_KINDS = {
    name: kind
    for name, kind in (get_type_hints(Settings) | get_type_hints(LoadOptions)).items()
    if kind in (int, str, bool)
}


def _converted(name: str, value: Any) -> Any:
    if name not in _KINDS:
        raise UnknownNameError("argument", name, _KINDS)
    if _KINDS[name] is str:
        if not isinstance(value, str):  # the harness turned 0123 into 123 and 12e4 into 120000.0: the text is lost
            raise InputError(f"{name} must be text, not the number or truth value {value!r}")
        return value
    if _KINDS[name] is bool:
        if not isinstance(value, bool):
            raise InputError(f"{name} must be true or false, not {value!r}")
        return value
    try:
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} must be a whole number, not {value!r}") from None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request asks of its answer.

    Attributes:
        max_new_tokens: maximum length in tokens.
        until: texts that end the answer where the first of them begins.
        drawn: options for sampling or search that the request has, such as `temperature=0.7`; empty if it asks for the
            greedy answer. Answers are greedy in any case.
    """

    max_new_tokens: int
    until: tuple[str, ...] = ()
    drawn: str = ""

    @classmethod
    def parse(cls, wanted: Mapping[str, Any], settings: Settings) -> "Limits":
        """Read a request's generation arguments; the smaller of two lengths counts."""
        asked = wanted.get("max_new_tokens") or wanted.get("max_gen_toks")
        lengths = [int(length) for length in (asked, settings.max_new_tokens) if length]
        until = wanted.get("until") or ()
        return cls(
            max_new_tokens=min(lengths, default=DEFAULT_TOKENS),
            until=(until,) if isinstance(until, str) else tuple(until),
            drawn=", ".join(
                f"{name}={wanted[name]}" for name, greedy in _GREEDY.items() if (wanted.get(name) or 0) > greedy
            ),
        )

    def cut(self, text: str) -> str:
        """Return an answer up to the first text of `until`."""
        ends = [text.find(end) for end in self.until if end and end in text]
        return text[: min(ends)].rstrip() if ends else text


_GREEDY = {"do_sample": 0, "temperature": 0, "num_beams": 1, "num_return_sequences": 1}
