"""What a study runs: its configuration, read from Python or from plain data, and the presets."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from vqttt.errors import InputError, UnknownNameError
from vqttt.images.degradations import SEVERITIES, check_kind, check_scale, check_severity
from vqttt.images.restorers import check_restorer
from vqttt.methods import METHODS, MethodSpec, find_method
from vqttt.models.loading import LoadOptions
from vqttt.models.served.options import ServedOptions
from vqttt.runs.records import CLEAN, NONE
from vqttt.tasks import find_task, is_file


def check_method(name: str, own: Mapping[str, Mapping[str, Any]]) -> None:
    """Check a method of a study.

    Args:
        name: of a registered method, or of one in `own`.
        own: see `StudyConfig.method_settings`.

    Raises:
        InputError: if the method, or a setting of it, is not known or cannot be used.
    """
    settings = own.get(name, {})
    if not isinstance(settings, Mapping):
        raise InputError(f"the settings of the method {name!r} must be a table, not {settings!r}")
    if settings and name == NONE:
        raise InputError(f"the method {NONE!r} is the baseline and takes no settings; give yours another name")
    if settings and not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise InputError(f"the method name {name!r} may only contain letters, digits and _ . -")
    if settings and "base" not in settings and name not in METHODS:
        raise InputError(f"the method {name!r} is not registered, so its settings need a base, such as base = 'vq-ttt'")
    try:
        find_method(name, own)
    except UnknownNameError as error:
        if "base" not in settings and error.name == name:
            error.args = (f"{error}; a method of your own needs a table [methods.{name}] in a --config file",)
        raise


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What to run: everything that decides the records.

    Attributes:
        models: each a registered model, a checkpoint folder, a Hugging Face id, or `openai:NAME` behind a server.
        tasks, degradations: registered names; a task may be a file (`jsonl:PATH`), a degradation a chain (`fog+webp`).
        severities: of every degradation, 1 to 5.
        methods: registered names, or names defined in `method_settings`.
        method_settings: by name, the settings of methods of one's own: `base` is the registered method they start
            from, everything else replaces its settings. Without `base`, the registered method of that name is changed.
        limit: maximum number of samples per task; None for all.
        preset_limit: the limit that a preset suggests. A `limit` that equals it was chosen by no one, and does not cut
            files of the user's own (see `limit_of`).
        seeds: each decides every random draw of its own cells; several show how much is luck of the draw.
        batch: number of samples answered, and tuned on, together.
        max_new_tokens: maximum length of an answer.
        scale: `relative` or `absolute` lengths of degradations; see `vqttt.images.degradations`.
        restorers: applied to the degraded images, each in cells of its own; see `vqttt.images.restorers`.
        load: how checkpoints are loaded; among several models, those that are registered take no options.
        served: where the server of served models is, and how it is asked.
    """

    models: tuple[str, ...] = ("embedded",)
    tasks: tuple[str, ...]
    degradations: tuple[str, ...]
    severities: tuple[int, ...] = SEVERITIES
    methods: tuple[str, ...]
    method_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limit: int | None = None
    preset_limit: int | None = field(default=None, compare=False)
    seeds: tuple[int, ...] = (0,)
    batch: int = 20
    max_new_tokens: int = 16
    scale: str = "relative"
    restorers: tuple[str, ...] = (NONE,)
    load: LoadOptions = field(default_factory=LoadOptions)
    served: ServedOptions = field(default_factory=ServedOptions)

    def __post_init__(self) -> None:
        """Reject unknown names and numbers out of range before anything runs."""
        for name, example in _EXAMPLES.items():
            _check_list(name, getattr(self, name), example)
        for degradation in self.degradations:
            check_kind(degradation)
        for restorer in self.restorers:
            check_restorer(restorer)
        for method in (*self.methods, *self.method_settings):
            check_method(method, self.method_settings)
        for task in self.tasks:
            find_task(task)
        for seed in self.seeds:
            if not _is_whole(seed) or seed < 0:
                raise InputError(f"seeds must be whole numbers from 0 up, not {seed!r}")
        check_scale(self.scale)
        for severity in self.severities:
            if not _is_whole(severity):
                raise InputError(f"severities must be whole numbers from 1 to 5, not {severity!r}")
            check_severity(severity)
        for name in ("limit", "batch", "max_new_tokens"):
            value = getattr(self, name)
            if not (_is_whole(value) or (value is None and name == "limit")):
                raise InputError(f"{name} must be a whole number, not {value!r}")
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")

    def limit_of(self, task: str) -> int | None:
        """Return the maximum number of samples of a task; None for all.

        A file of the user's own is cut only by a limit that somebody chose, not by one that a preset suggests.
        """
        suggested = self.limit == self.preset_limit
        return None if suggested and is_file(task) else self.limit

    @property
    def method_specs(self) -> dict[str, MethodSpec]:
        """The methods that run, by name, in order."""
        return {name: find_method(name, self.method_settings) for name in self.methods}

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell this study from others."""
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).hexdigest()[:8]

    def described(self) -> dict[str, Any]:
        """Return the fields as JSON has them; one model as `model`, several as `models`.

        Settings of methods that do not run are left out. So are `load`, `served`, `method_settings` and `preset_limit`
        when they change nothing: runs of older versions do not have them, and must stay the same study. Credentials and
        what only decides how fast a server is asked are never in it.
        """
        described = asdict(self)
        models = tuple(dict.fromkeys(described.pop("models")))
        described = ({"models": models} if len(models) > 1 else {"model": models[0]}) | described
        settings = described["method_settings"]
        described["method_settings"] = {name: settings[name] for name in self.methods if settings.get(name)}
        if self.load == LoadOptions():
            del described["load"]
        del described["served"]
        if served := self.served.described():
            described["served"] = served
        if not described["method_settings"]:
            del described["method_settings"]
        if all(self.limit_of(task) == self.limit for task in self.tasks):
            del described["preset_limit"]
        return described


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_list(name: str, values: object, example: str) -> None:
    """Check that a field has values, and none that is empty."""
    if isinstance(values, str):
        raise InputError(f"{name} must be several names, such as ({example!r},), not the one text {values!r}")
    if not values:
        raise InputError(f"{name} is empty; give at least one, such as {example}")
    if isinstance(values, Sequence) and "" in values:
        raise InputError(f"{name} has an empty name; leave out the comma that nothing follows")


_EXAMPLES = {
    "models": "embedded",
    "tasks": "digits",
    "degradations": CLEAN,
    "severities": "3",
    "methods": NONE,
    "restorers": NONE,
    "seeds": "0",
}

PAPER_DEGRADATIONS = ("gaussian_noise", "motion_blur", "snow", "fog")
"""The degradations that the paper names."""

PAPER_STYLES = ("sketch", "cartoon")
"""Stand in for the stylistic shifts that the paper mentions without naming them."""

PRESETS = {
    "quick": StudyConfig(
        models=("embedded", "embedded-soft"),
        tasks=("vq-mini",),
        degradations=(CLEAN, "gaussian_blur", "gaussian_noise", "jpeg_compression"),
        severities=(2, 4),
        methods=("none", "vq-select", "vq-ttt"),
        restorers=("none", "auto"),
        limit=200,
        preset_limit=200,
    ),
    "paper": StudyConfig(
        tasks=("easy-vqa", "digits", "vq-mini"),
        degradations=(CLEAN, *PAPER_DEGRADATIONS, "gaussian_blur", "jpeg_compression", *PAPER_STYLES),
        methods=("none", "vq-ttt", "vq-ttt-episodic"),
        limit=400,
        preset_limit=400,
    ),
}

DEFAULTS = replace(PRESETS["quick"], models=("embedded",), restorers=(NONE,))
"""What a study that names no preset takes where it says nothing: one model, and images as they are."""
