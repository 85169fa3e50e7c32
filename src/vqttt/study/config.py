"""What a study runs: its configuration, in Python or as a TOML file, and its presets."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from vqttt.errors import InputError
from vqttt.images.degradations import SEVERITIES, check_kind, check_scale, check_severity
from vqttt.images.restorers import check_restorer
from vqttt.methods import METHODS
from vqttt.models.loading import LoadOptions
from vqttt.runs.records import CLEAN, NONE
from vqttt.tasks import find_task


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What to run; everything that decides the records.

    Attributes:
        limit: at most this many samples a task, or all.
        batch: samples that are answered, and tuned, together.
        scale: `relative` or `absolute` lengths of the degradations.
        restorers: what is done about the degradations, each by itself; see `vqttt.restorers`.
        seeds: each decides every random draw of cells of its own; several tell luck of the draw from an effect.
        load: how a checkpoint is loaded; registered models have one way alone.
    """

    model: str = "embedded"
    tasks: tuple[str, ...]
    degradations: tuple[str, ...]
    severities: tuple[int, ...] = SEVERITIES
    methods: tuple[str, ...]
    limit: int | None = None
    seeds: tuple[int, ...] = (0,)
    batch: int = 20
    max_new_tokens: int = 16
    scale: str = "relative"
    restorers: tuple[str, ...] = (NONE,)
    load: LoadOptions = field(default_factory=LoadOptions)

    def __post_init__(self) -> None:
        """Reject unknown names and numbers out of range before anything runs."""
        for degradation in self.degradations:
            check_kind(degradation)
        for restorer in self.restorers:
            check_restorer(restorer)
        for method in self.methods:
            METHODS[method]
        for task in self.tasks:
            find_task(task)
        if not self.seeds or min(self.seeds) < 0:
            raise InputError(f"seeds are numbers from 0 on, one or more, not {self.seeds}")
        check_scale(self.scale)
        for severity in self.severities:
            check_severity(severity)
        for name in ("limit", "batch", "max_new_tokens"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell this study from others."""
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).hexdigest()[:8]

    def described(self) -> dict[str, Any]:
        """Return the fields as JSON has them; `load` only where it says something, as runs from before it have none."""
        told = asdict(self)
        if self.load == LoadOptions():
            del told["load"]
        return told


PAPER_DEGRADATIONS = ("gaussian_noise", "motion_blur", "snow", "fog")
"""Those that the paper names."""


PAPER_STYLES = ("sketch", "cartoon")
"""For the stylistic shifts that the paper names without saying which."""


QUICK_DEGRADATIONS = (*PAPER_DEGRADATIONS, "gaussian_blur", "jpeg_compression")


PRESETS = {
    "quick": StudyConfig(
        tasks=("easy-vqa", "digits", "vq-mini"),
        degradations=(CLEAN, *QUICK_DEGRADATIONS),
        severities=(1, 3, 5),
        methods=("none", "vq-ttt", "vq-ttt-episodic"),
        limit=200,
    ),
    "paper": StudyConfig(
        tasks=("easy-vqa", "digits", "vq-mini"),
        degradations=(CLEAN, *QUICK_DEGRADATIONS, *PAPER_STYLES),
        methods=("none", "vq-ttt", "vq-ttt-episodic"),
        limit=400,
    ),
}
