"""A worker: holds the model, the tasks and the images that jobs need, and runs jobs; one per process."""

from collections.abc import Callable, Iterator, Mapping
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
from vqttt.study.examples import ExampleMaker
from vqttt.study.plan import Cell, Job, conditions
from vqttt.study.provenance import data_hash, describe_environment
from vqttt.tasks import TASKS, load_task
from vqttt.tuning.objectives import OBJECTIVES, terms
from vqttt.types import Condition


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """What a worker needs to know, in whatever process it runs.

    Attributes:
        config: of the study.
        out: the run folder: an absolute path, or an address.
        load: loads the model; must be picklable if the worker runs in another process.
    """

    config: StudyConfig
    out: str
    load: Callable[[], Model]


@dataclass(frozen=True)
class _OpenCell:
    """A cell that is being filled, the method that fills it, and how many records were there when it was opened."""

    cell: Cell
    method: Method
    kept: int


class Worker:
    """Runs jobs with one model; keeps the images of one task at a time.

    Attributes:
        description: the content of `run.json`, except for the command.
        questions: the number of questions of each task.
    """

    def __init__(self, spec: WorkerSpec, owner: str = "") -> None:
        """Load the tasks and the model.

        Args:
            spec: what to load.
            owner: see `RunFolder`.

        Raises:
            InputError: if a task, a restorer's weights or what a method saved cannot be loaded, or a method needs more
                than the model has.
            ModelError: if the model cannot be loaded.
        """
        config = self.config = spec.config
        self.folder = RunFolder(spec.out, owner)
        restorers = {name: fingerprint(name) for name in dict.fromkeys(config.restorers)}
        self.tasks = {name: load_task(name, config.limit) for name in dict.fromkeys(config.tasks)}
        self.methods = config.method_specs
        settings = {name: method.settings() for name, method in self.methods.items()}
        self.model = spec.load()
        for method in self.methods.values():
            method.build(self.model)  # what does not fit the model is said before anything runs
        self.description: dict[str, Any] = describe_environment(self.model) | {
            "config": config.described(),
            "methods": settings,
            "data": {name: data_hash(samples) for name, samples in self.tasks.items()},
            "restorers": restorers,
            "plugins": _plugins(config, settings),
        }
        self.questions = {name: len(samples) for name, samples in self.tasks.items()}
        self._images = ("", ImageCache())

    def run(self, job: Job) -> Iterator[int]:
        """Run what is missing of a job; yield its number of records whenever that changes.

        Raises:
            RunFolderError: if the run folder is not on this machine, or another process writes to it.
        """
        if not self.folder.exists():
            raise RunFolderError(
                f"{self.folder.store} is not the run's folder on this machine; give --out a folder that all machines "
                "share, or an address such as s3://bucket/run"
            )
        if job.condition is None:
            self._write_quality_examples(job)
        else:
            yield from self._run_cells(job, job.condition)

    def _run_cells(self, job: Job, condition: Condition) -> Iterator[int]:
        """Fill the job's unfinished cells batch by batch."""
        samples, size, done = self.tasks[job.task], self.config.batch, 0
        cells: list[_OpenCell] = []
        for cell in job.cells(self.config, self.model.name):
            if self.folder.is_finished(cell.key):
                done += len(samples)
            else:
                cells.append(self._open(cell))
                done += cells[-1].kept
            yield done
        for start in range(0, len(samples), size):
            waiting = [cell for cell in cells if cell.kept <= start]
            if not waiting:
                continue
            batch = Batch.prepare(
                samples[start : start + size],
                self._images_of(job.task),
                condition,
                self.model,
                seed=job.seed,
                max_new_tokens=self.config.max_new_tokens,
            )
            for open_cell in waiting:
                self.folder.unfinished.append(open_cell.cell.key, batch.answered_by(open_cell.method))
                done += len(batch.samples)
                yield done
        for open_cell in cells:
            self._finish(open_cell)

    def _open(self, cell: Cell) -> _OpenCell:
        """Build a cell's method, and keep what records of it can be kept."""
        spec = self.methods[cell.method]
        method = spec.build(self.model, max_new_tokens=self.config.max_new_tokens, seed=cell.seed)
        # What a method learned along the stream is lost with its process, so its cell starts again from the beginning.
        ids = [] if spec.learns else [sample.id for sample in self.tasks[cell.task]]
        return _OpenCell(cell, method, self.folder.unfinished.resume(cell.key, ids, self.config.batch))

    def _finish(self, open_cell: _OpenCell) -> None:
        """Write a cell's examples, then turn its records into parquet."""
        cell, folder = open_cell.cell, self.folder
        if folder.is_finished(cell.key):  # by a worker that was presumed dead and was not
            folder.unfinished.drop(cell.key)
            return
        records = partial(folder.unfinished.records, cell.key)
        examples = self._examples(cell.task, cell.seed).of_method(cell.condition, open_cell.method, records)
        if examples is not None:
            folder.write_examples(cell.key, cell.identity | examples)
        folder.finish(cell.key, cell.identity, len(self.tasks[cell.task]))

    def _write_quality_examples(self, job: Job) -> None:
        """Write, for every condition, examples of what degradation did to the untuned model's answers."""
        jobs = [Job(task=job.task, seed=job.seed, condition=condition) for condition in conditions(self.config)]
        cells = [one.cells(self.config, self.model.name)[0] for one in jobs]
        clean = next((cell for cell in cells if cell.condition == Condition(scale=cell.condition.scale)), None)
        columns = ("sample_id", "question", "reference", "base_answer", "base_score", "error")
        for cell in cells:
            key = f"{cell.key}~quality"
            if clean is None or cell.condition.degradation == CLEAN or self.folder.has_examples(key):
                continue
            before, after = (self.folder.read_cell(one.key, columns) for one in (clean, cell))
            examples = self._examples(job.task, job.seed).of_quality(cell.condition, before, after)
            self.folder.write_examples(key, cell.identity | {"method": NONE, "kernel": None, "examples": examples})

    def _examples(self, task: str, seed: int) -> ExampleMaker:
        return ExampleMaker(
            model=self.model,
            samples=self.tasks[task],
            images=self._images_of(task),
            seed=seed,
            max_new_tokens=self.config.max_new_tokens,
        )

    def _images_of(self, task: str) -> ImageCache:
        """Return the cache of a task's images; that of the task before it is dropped."""
        if self._images[0] != task:
            self._images = task, ImageCache()
        return self._images[1]


def _plugins(config: StudyConfig, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Name the package and version of everything in a study that another package provides.

    Args:
        config: of the study.
        settings: of its methods, by name.
    """
    kinds = [name for kind in config.degradations for name in check_kind(kind)]
    used: list[tuple[Registry[Any], str]] = [(RESTORERS, name) for name in config.restorers]
    used += [(registry, name) for name in kinds for registry in (DEGRADATIONS, STYLES)]
    used += [(TASKS, name) for name in config.tasks]
    used += [(METHODS, str(config.method_settings.get(name, {}).get("base", name))) for name in config.methods]
    objectives = [of_method["objective"] for of_method in settings.values() if "objective" in of_method]
    used += [(OBJECTIVES, name) for objective in objectives for name in terms(objective)]
    return {name: origin for registry, name in used if (origin := registry.origin(name))}
