"""A desk: what a worker needs for its jobs (model, tasks, images), and how a job is done; one process has one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vqttt.errors import RunFolderError
from vqttt.images.degradations import DEGRADATIONS, STYLES, check_kind
from vqttt.images.restorers import RESTORERS, fingerprint
from vqttt.methods import METHODS, Method
from vqttt.models.base import Model
from vqttt.registry import Registry
from vqttt.runs.folder import RunFolder
from vqttt.runs.records import CLEAN, NONE
from vqttt.study.batch import Batch, ImageCache
from vqttt.study.config import StudyConfig
from vqttt.study.examples import Illustrator
from vqttt.study.plan import Cell, Job, conditions
from vqttt.study.provenance import data_hash, describe_environment
from vqttt.tasks import load_task
from vqttt.types import Condition


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a worker has to be told, in whatever process it is.

    Attributes:
        config: of the study.
        out: the run folder: an absolute path, or an address.
        load: loads the model; a function that can be pickled, where the worker is another process.
    """

    config: StudyConfig
    out: str
    load: Callable[[], Model]


class Desk:
    """The model, the tasks and the images of the task at hand, kept from job to job."""

    def __init__(self, setup: Setup, owner: str = "") -> None:
        """Load what there is to load.

        Raises:
            InputError: if a task, or a restorer's weights, cannot be loaded.
            ModelError: if the model cannot.
        """
        config = self.config = setup.config
        self.folder = RunFolder(setup.out, owner)
        restorers = {name: fingerprint(name) for name in dict.fromkeys(config.restorers)}
        self.tasks = {name: load_task(name, config.limit) for name in dict.fromkeys(config.tasks)}
        self.model = setup.load()
        self._images = ("", ImageCache())
        self.description: dict[str, Any] = describe_environment(self.model) | {
            "config": config.described(),
            "methods": {name: METHODS[name](self.model).settings() for name in dict.fromkeys(config.methods)},
            "data": {name: data_hash(samples) for name, samples in self.tasks.items()},
            "restorers": restorers,
            "plugins": _plugins(config),
        }
        self.questions = {name: len(samples) for name, samples in self.tasks.items()}

    def run(self, job: Job) -> Iterator[int]:
        """Do what is missing of a job; yields how many of its records there are by now.

        Raises:
            RunFolderError: if the run folder is not here, or another process writes to it.
        """
        if not self.folder.begun():
            raise RunFolderError(
                f"{self.folder.store} is not the run's folder on this machine; give --out a folder that all machines "
                f"share, or an address such as s3://bucket/run"
            )
        if job.condition is None:
            self._show_quality(job)
            return
        done = 0
        for more in _run_together(job.cells(self.config, self.model.name), self._at(job), self.config, self.folder):
            done += more
            yield done

    def _at(self, job: Job) -> Illustrator:
        """Return the job's illustrator; images are kept of one task at a time."""
        if self._images[0] != job.task:
            self._images = job.task, ImageCache()
        return Illustrator(
            model=self.model,
            samples=self.tasks[job.task],
            images=self._images[1],
            seed=job.seed,
            max_new_tokens=self.config.max_new_tokens,
        )

    def _show_quality(self, job: Job) -> None:
        """Show, for a cell of each condition, what degradation did to the untuned model's answers."""
        jobs = [Job(task=job.task, seed=job.seed, condition=condition) for condition in conditions(self.config)]
        cells = [job.cells(self.config, self.model.name)[0] for job in jobs]
        clean = next((cell for cell in cells if cell.condition == Condition(scale=cell.condition.scale)), None)
        columns = ("sample_id", "question", "reference", "base_answer", "base_score", "error")
        for cell in cells:
            key = f"{cell.key}~quality"
            if clean is None or cell.condition.degradation == CLEAN or self.folder.illustrated(key):
                continue
            before, after = (self.folder.cell(one.key, columns) for one in (clean, cell))
            examples = self._at(job).of_quality(cell.condition, before, after)
            self.folder.illustrate(key, cell.identity | {"method": NONE, "kernel": None, "examples": examples})


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
        method = METHODS[cell.method](model, max_new_tokens=config.max_new_tokens, seed=cell.seed)
        # What an online method learned died with it; a batch that was cut short would be tuned differently.
        ids = [] if method.online else [sample.id for sample in samples]
        running.append((cell, method, folder.resume(cell.key, ids, config.batch)))
        yield running[-1][2]
    for start in range(0, len(samples), config.batch):
        wanting = [(cell, method) for cell, method, have in running if have <= start]
        if not wanting:
            continue
        batch = Batch.prepare(
            samples[start : start + config.batch],
            illustrator.images,
            cells[0].condition,
            model,
            seed=illustrator.seed,
            max_new_tokens=config.max_new_tokens,
        )
        for cell, method in wanting:
            folder.append(cell.key, batch.answered_by(method))
            yield len(batch.samples)
    for cell, method, _ in running:
        if folder.finished(cell.key):  # by another worker, which was taken for dead and was not
            folder.drop(cell.key)
            continue
        shown = illustrator.of_method(cell.condition, method, partial(folder.rows, cell.key))
        if shown is not None:
            folder.illustrate(cell.key, cell.identity | shown)
        folder.finish(cell.key, cell.identity, len(samples))


def _plugins(config: StudyConfig) -> dict[str, str]:
    """Say which degradations, styles and restorers come from which version of another package."""
    kinds = [name for kind in config.degradations for name in check_kind(kind)]
    asked: list[tuple[Registry[Any], str]] = [(registry, name) for registry in (DEGRADATIONS, STYLES) for name in kinds]
    asked += [(RESTORERS, name) for name in config.restorers]
    return {name: origin for registry, name in asked if (origin := registry.origin(name))}
