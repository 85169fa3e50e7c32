"""The options that every command with a model takes: how a checkpoint is loaded, and how a served model is asked."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vqttt.models import LoadOptions, ServedOptions
    from vqttt.models.base import Model

LOADING = "Loading checkpoints (for folders and Hugging Face ids)"
SERVED = "Served models (openai:NAME; the key, if any, is in OPENAI_API_KEY)"


def _option(kind: Any, words: str, panel: str) -> Any:
    """Return the annotation of an option that need not be given."""
    return Annotated[kind | None, typer.Option(help=words, rich_help_panel=panel)]


def _concurrency(default: int) -> Any:
    return _option(int, f"Requests at a time. [{default}]", SERVED)


_LOADING: dict[str, Any] = {
    "dtype": _option(str, "Type of the weights: float32, bfloat16 or float16; auto keeps the stored one.", LOADING),
    "device": _option(str, "cpu, cuda, cuda:1 and so on; auto spreads the model over all GPUs.", LOADING),
    "attention": _option(str, "Implementation: eager, sdpa or flash_attention_2.", LOADING),
    "bits": _option(int, "Quantise the weights to 4 or 8 bits.", LOADING),
    "revision": _option(str, "Branch, tag or commit of a Hugging Face id.", LOADING),
    "thinking": _option(bool, "Let the model reason before it answers, if its chat template can. [no]", LOADING),
}

_SERVED: dict[str, Any] = {
    "base_url": _option(str, "URL of the server, such as http://localhost:8000/v1. Default: OPENAI_BASE_URL.", SERVED),
    "concurrency": _concurrency(16),
    "max_pixels": _option(int, "Make larger images smaller before they are sent.", SERVED),
    "timeout": _option(int, "Seconds to wait for a reply before another try. [60]", SERVED),
    "max_requests": _option(int, "Stop before more requests than this are sent, by each worker to each model.", SERVED),
}


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The options that were given, by the names of the fields of `LoadOptions` and `ServedOptions`."""

    load: Mapping[str, Any] = field(default_factory=dict)
    served: Mapping[str, Any] = field(default_factory=dict)

    def over(self, load: "LoadOptions", served: "ServedOptions") -> tuple["LoadOptions", "ServedOptions"]:
        """Return options with those that were given in their place."""
        return replace(load, **self.load), replace(served, **self.served)

    def checked(self) -> tuple["LoadOptions", "ServedOptions"]:
        """Return all options, those that were not given as by default.

        Raises:
            InputError: if one has a value that cannot be used.
        """
        from vqttt.models import LoadOptions, ServedOptions

        return self.over(LoadOptions(), ServedOptions())

    def load_model(self, name: str) -> "Model":
        """Load a model with these options; raises as `vqttt.load_model` does."""
        from vqttt.models import load_model

        return load_model(name, *self.checked())


def with_model_options(
    *, served: bool = True, concurrency: int = 16
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command these options; it gets them as its argument `options`.

    Args:
        served: whether the command works with a served model, and takes the options for one.
        concurrency: the requests at a time by default, as the help states them; the command must see to it.
    """
    kinds = _LOADING | (_SERVED | {"concurrency": _concurrency(concurrency)} if served else {})

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command)

        @wraps(command)
        def wrapped(**given: Any) -> None:
            chosen = {name: value for name in kinds if (value := given.pop(name)) is not None}
            parts = [{name: value for name, value in chosen.items() if name in of} for of in (_LOADING, _SERVED)]
            command(**given, options=ModelOptions(load=parts[0], served=parts[1]))

        kept = [one for one in own.parameters.values() if one.name != "options"]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in kinds.items()
        ]
        # What typer reads: the command's own parameters, and these in place of `options`.
        wrapped.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in kept] + added
        )
        wrapped.__annotations__ = {one.name: one.annotation for one in (*kept, *added)}
        return wrapped

    return decorate
