"""A harness's arguments: which model, what happens to its images, and how it answers; and what a request may say."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from vqttt.errors import InputError, UnknownNameError
from vqttt.images.degradations import check_kind, check_scale, check_severity
from vqttt.images.restorers import check_restorer, fingerprint
from vqttt.methods import METHODS, Method, frozen, savable
from vqttt.models import LoadOptions, load_model
from vqttt.models.base import Model
from vqttt.runs.records import CLEAN, NONE
from vqttt.types import Condition

DEFAULT_TOKENS = 128
"""The length of an answer where neither a request nor the settings give one."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides answers, and how the model is loaded.

    Attributes:
        pretrained: a registered model, a checkpoint folder, or a Hugging Face id.
        method: how to answer, a name in `METHODS`.
        tuned: a file that `vqttt tune` wrote, which the method applies and learns nothing; empty for none.
        degradation: what happens to every image: names joined by `+`, or `clean`.
        severity: 1 to 5, of each; `clean` has none.
        restorer, scale: see `Condition`.
        seed: decides every random draw.
        batch_size: questions that are answered, and tuned, together.
        max_new_tokens: of an answer at most, whatever a request says; 0 leaves it to the request.
        load: how a folder or Hub id is loaded.
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
        """Reject what is not known or out of range, before a model is loaded."""
        METHODS[self.method]
        check_kind(self.degradation)
        check_restorer(self.restorer)
        fingerprint(self.restorer)  # its weights have to be there
        check_scale(self.scale)
        check_severity(self.severity)
        for name, least in (("seed", 0), ("batch_size", 1), ("max_new_tokens", 0)):
            if (value := getattr(self, name)) < least:
                raise InputError(f"{name} must be at least {least}, not {value}")
        if self.tuned:
            savable(self.method)
            if not Path(self.tuned).is_file():
                raise InputError(f"tuned: there is no file {self.tuned}; `vqttt tune` writes one")

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> "Settings":
        """Read arguments as a harness hands them over: `LoadOptions` among the rest, numbers as such or as text.

        Raises:
            InputError: if one is not known, or not of its kind or range.
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
        model: Model = load_model(self.pretrained, self.load)
        return model

    def new_method(self, model: Model) -> Method:
        """Return the method as it is before it has learned anything, or with what was saved."""
        factory = frozen(self.method, Path(self.tuned)) if self.tuned else METHODS[self.method]
        return factory(model, max_new_tokens=self.max_new_tokens or DEFAULT_TOKENS, seed=self.seed)


_KINDS = {each.name: each.type for each in (*fields(Settings), *fields(LoadOptions)) if each.type in (int, str)}
_LOAD = {each.name for each in fields(LoadOptions)}


def _converted(name: str, value: Any) -> Any:
    if name not in _KINDS:
        raise UnknownNameError("argument", name, _KINDS)
    if _KINDS[name] is str:
        if not isinstance(value, str):  # 0123 has become 123, and 12e4 120000.0: what was written cannot be told
            raise InputError(f"{name} wants text, not the number or truth value {value!r}")
        return value
    try:
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} wants a whole number, not {value!r}") from None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request says of its answer.

    Attributes:
        max_new_tokens: its length in tokens, at most.
        until: texts at the first of which it ends, and which are no longer part of it.
        drawn: what the request says of sampling or search, such as `temperature=0.7`; empty where it wants the greedy
            answer, which it gets in any case.
    """

    max_new_tokens: int
    until: tuple[str, ...] = ()
    drawn: str = ""

    @classmethod
    def parse(cls, wanted: Mapping[str, Any], settings: Settings) -> "Limits":
        """Read a request's generation arguments; of two lengths the smaller counts."""
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
        """Return an answer up to where it is to end."""
        ends = [text.find(end) for end in self.until if end and end in text]
        return text[: min(ends)].rstrip() if ends else text


_GREEDY = {"do_sample": 0, "temperature": 0, "num_beams": 1, "num_return_sequences": 1}
