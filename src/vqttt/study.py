"""The study: a grid of cells (task x condition x method), each a file of records; killed and resumed at will.

Cells that show a model the same pictures run together, so that a picture is degraded, encoded and answered untuned
once for all methods.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vqttt.batches import Batch, PictureCache
from vqttt.degradations import CLEAN, DEGRADATIONS, SCALES, SEVERITIES, STYLES, check_kind
from vqttt.errors import InputError, UnknownNameError
from vqttt.examples import Illustrator
from vqttt.methods import METHODS, Method
from vqttt.models.base import Model
from vqttt.provenance import data_hash, describe_environment
from vqttt.registry import Registry
from vqttt.restorers import NONE, RESTORERS, check_restorer, fingerprint
from vqttt.runfolder import RunFolder
from vqttt.stats import BASELINE
from vqttt.tasks import find_task, load_task
from vqttt.types import Condition

Progress = Callable[[int, int, str], None]
"""Called with the records done, the records in all, and what runs now."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What to run; everything that decides the records.

    Attributes:
        limit: at most this many samples a task, or all.
        batch: samples that are answered, and tuned, together.
        scale: `relative` or `absolute` lengths of the degradations.
        restorers: what is done about the degradations, each by itself; see `vqttt.restorers`.
    """

    model: str = "embedded"
    tasks: tuple[str, ...]
    degradations: tuple[str, ...]
    severities: tuple[int, ...] = SEVERITIES
    methods: tuple[str, ...]
    limit: int | None = None
    seed: int = 0
    batch: int = 20
    max_new_tokens: int = 16
    scale: str = "relative"
    restorers: tuple[str, ...] = (NONE,)

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
        if self.scale not in SCALES:
            raise UnknownNameError("scale", self.scale, SCALES)
        for severity in self.severities:
            if severity not in SEVERITIES:
                raise InputError(f"severity {severity} is out of range; 1 to 5 are known")
        for name in ("limit", "batch", "max_new_tokens"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell this study from others."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]


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


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the grid."""

    model: str
    task: str
    condition: Condition
    method: str
    seed: int

    @property
    def key(self) -> str:
        """Its file's name: readable, and distinct whatever the model and task are called."""
        condition = f"{_slug(self.condition.degradation)}-{self.condition.severity}"
        restored = [] if self.condition.restorer == NONE else [_slug(self.condition.restorer)]
        return "~".join([_slug(self.model), _slug(self.task), condition, *restored, self.method, f"s{self.seed}"])

    @property
    def identity(self) -> dict[str, Any]:
        """The columns that say which cell a row is of."""
        return {
            "model": self.model,
            "task": self.task,
            "degradation": self.condition.degradation,
            "severity": self.condition.severity,
            "scale": self.condition.scale,
            "restorer": self.condition.restorer,
            "method": self.method,
            "seed": self.seed,
        }


def conditions(config: StudyConfig) -> list[Condition]:
    """Return the conditions of a study in their fixed order; `clean` counts once, whatever the severities."""
    grid = [
        (degradation, severity, restorer)
        for degradation in dict.fromkeys(config.degradations)
        for severity in ((0,) if degradation == CLEAN else dict.fromkeys(config.severities))
        for restorer in dict.fromkeys(config.restorers)
    ]
    return [Condition(degradation=d, severity=s, scale=config.scale, restorer=r) for d, s, r in grid]


def run(config: StudyConfig, out: Path, load: Callable[[], Model], progress: Progress, command: str = "") -> None:
    """Run a study into the folder `out`, or what is missing of it; `load` loads its model, once the tasks are there.

    Raises:
        RunFolderError: if `out` holds a different study or cannot be written.
        InputError: if a task, or a restorer's weights, cannot be loaded.
    """
    restorers = {name: fingerprint(name) for name in dict.fromkeys(config.restorers)}
    tasks = {name: load_task(name, config.limit) for name in dict.fromkeys(config.tasks)}
    model = load()
    folder = RunFolder(out)
    description = describe_environment(model) | {
        "config": asdict(config),
        "methods": {name: METHODS[name](model).settings() for name in dict.fromkeys(config.methods)},
        "command": command,
        "data": {name: data_hash(samples) for name, samples in tasks.items()},
        "restorers": restorers,
        "plugins": _plugins(config),
    }
    folder.open(description, identity=("config", "methods", "weights", "data", "restorers", "plugins", "versions"))
    methods = list(dict.fromkeys(config.methods))
    grid = conditions(config)
    total = len(grid) * len(methods) * sum(map(len, tasks.values()))
    done = 0
    for task, samples in tasks.items():
        illustrator = Illustrator(
            model=model,
            samples=samples,
            pictures=PictureCache(),
            seed=config.seed,
            max_new_tokens=config.max_new_tokens,
        )
        cells_of = {
            condition: [
                Cell(model=model.name, task=task, condition=condition, method=method, seed=config.seed)
                for method in methods
            ]
            for condition in grid
        }
        for condition, cells in cells_of.items():
            restorer = "" if condition.restorer == NONE else condition.restorer
            what = " ".join(map(str, filter(None, (task, condition.degradation, condition.severity, restorer))))
            for finished in _run_together(cells, illustrator, config, folder):
                done += finished
                progress(done, total, what)
        _show_quality([cells[0] for cells in cells_of.values()], illustrator, folder)


def _plugins(config: StudyConfig) -> dict[str, str]:
    """Say which degradations, styles and restorers come from which version of another package."""
    kinds = [name for kind in config.degradations for name in check_kind(kind)]
    asked: list[tuple[Registry[Any], str]] = [(registry, name) for registry in (DEGRADATIONS, STYLES) for name in kinds]
    asked += [(RESTORERS, name) for name in config.restorers]
    return {name: origin for registry, name in asked if (origin := registry.origin(name))}


def _run_together(
    cells: Sequence[Cell], illustrator: Illustrator, config: StudyConfig, folder: RunFolder
) -> Iterator[int]:
    """Run the unfinished of some cells of one condition, batch by batch; yields how many more records there are."""
    model, samples = illustrator.model, illustrator.samples
    running: list[tuple[Cell, Method, int]] = []
    for cell in cells:
        if folder.finished(cell.key):
            yield len(samples)
            continue
        method = METHODS[cell.method](model, max_new_tokens=config.max_new_tokens, seed=config.seed)
        # What an online method learned died with it; a batch that was cut short would be tuned differently.
        kept = [] if method.online else folder.rows(cell.key)
        kept = kept[: len(kept) // config.batch * config.batch]
        if [row.sample_id for row in kept] != [sample.id for sample in samples[: len(kept)]]:
            kept = []
        folder.rewrite(cell.key, kept)
        running.append((cell, method, len(kept)))
        yield len(kept)
    for start in range(0, len(samples), config.batch):
        wanting = [(cell, method) for cell, method, have in running if have <= start]
        if not wanting:
            continue
        batch = Batch.prepare(
            samples[start : start + config.batch],
            illustrator.pictures,
            cells[0].condition,
            model,
            seed=config.seed,
            max_new_tokens=config.max_new_tokens,
        )
        for cell, method in wanting:
            folder.append(cell.key, batch.answered_by(method))
            yield len(batch.samples)
    for cell, method, _ in running:
        shown = illustrator.of_method(cell.condition, method, folder.rows(cell.key))
        if shown is not None:
            folder.illustrate(cell.key, cell.identity | shown)
        folder.finish(cell.key, cell.identity)


def _show_quality(cells: Sequence[Cell], illustrator: Illustrator, folder: RunFolder) -> None:
    """Show, for a cell of each condition, what degradation did to the untuned model's answers."""
    clean = next((cell for cell in cells if cell.condition == Condition(scale=cell.condition.scale)), None)
    for cell in cells:
        key = f"{cell.key}~quality"
        if clean is None or cell.condition.degradation == CLEAN or folder.illustrated(key):
            continue
        examples = illustrator.of_quality(cell.condition, folder.cell(clean.key), folder.cell(cell.key))
        folder.illustrate(key, cell.identity | {"method": BASELINE, "kernel": None, "examples": examples})


def _slug(name: str) -> str:
    """Make a name safe for a file; one that had to be changed gets a hash, so that no two become one."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[-60:]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
