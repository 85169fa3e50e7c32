"""A worker: holds the models, the tasks and the images that jobs need, and runs jobs; one per process."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from vqttt.errors import RunFolderError, ServerError
from vqttt.images.degradations import DEGRADATIONS, STYLES, check_kind
from vqttt.images.restorers import RESTORERS, fingerprint
from vqttt.methods import METHODS, Method, MethodSpec
from vqttt.models.base import Model
from vqttt.registry import Registry
from vqttt.runs.folder import RunFolder
from vqttt.runs.records import CLEAN, NONE, Record
from vqttt.study.batch import Batch, ImageCache
from vqttt.study.config import StudyConfig
from vqttt.study.examples import ExampleMaker
from vqttt.study.models import LoadModel, Models
from vqttt.study.plan import Cell, Job, conditions
from vqttt.study.provenance import data_hash, describe_environment, images_hash
from vqttt.tasks import TASKS, limited, load_task
from vqttt.tuning.objectives import OBJECTIVES, terms
from vqttt.types import Condition


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """What a worker needs to know, in whatever process it runs.

    Attributes:
        config: of the study.
        out: the run folder: an absolute path, or an address.
        load: loads a model by its name; must be picklable if the worker runs in another process.
        methods: those of the study, by name; by default looked up in the worker's process, where a method that a
            program registered while it ran may not be known.
    """

    config: StudyConfig
    out: str
    load: LoadModel
    methods: Mapping[str, MethodSpec] | None = None


@dataclass(frozen=True, kw_only=True)
class Filled:
    """How far a job is.

    Attributes:
        records: the number of its records so far.
        answered: how many of those that were made or taken up now have no error; finished cells are not read.
        failed: how many of them have one.
        reason, of_reason: the most frequent error, and how often it occurs; empty if there is none.
    """

    records: int
    answered: int = 0
    failed: int = 0
    reason: str = ""
    of_reason: int = 0


@dataclass(frozen=True)
class _OpenCell:
    """A cell that is being filled, the method that fills it, and how many records were there when it was opened."""

    cell: Cell
    method: Method
    kept: int


@dataclass
class _Tally:
    """Counts the records of a job: those of finished cells, and the errors of the others (empty: an answer)."""

    finished: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, records: Iterable[Record]) -> None:
        self.errors.update(record.error for record in records)

    def filled(self) -> Filled:
        answered, made = self.errors[""], self.errors.total()
        failures = Counter({reason: count for reason, count in self.errors.items() if reason})
        reason, of_reason = failures.most_common(1)[0] if failures else ("", 0)
        return Filled(
            records=self.finished + made,
            answered=answered,
            failed=made - answered,
            reason=reason,
            of_reason=of_reason,
        )


class Worker:
    """Runs jobs; keeps one model and the images of one task at a time.

    Attributes:
        description: the content of `run.json`, except for the command.
        questions: the number of questions of each task.
        models: those of the study.
    """

    def __init__(self, spec: WorkerSpec, owner: str = "") -> None:
        """Load the tasks, and each model once.

        Args:
            spec: what to load.
            owner: see `RunFolder`.

        Raises:
            InputError: if a task, a restorer's weights or what a method saved cannot be loaded, or a method needs more
                than a model has.
            ModelError: if a model cannot be loaded.
        """
        config = self.config = spec.config
        self.folder = RunFolder(spec.out, owner)
        restorers = {name: fingerprint(name) for name in dict.fromkeys(config.restorers)}
        whole = {name: load_task(name) for name in dict.fromkeys(config.tasks)}
        self.tasks = {name: limited(samples, config.limit_of(name)) for name, samples in whole.items()}
        self.methods = dict(spec.methods or config.method_specs)
        settings = {name: method.settings() for name, method in self.methods.items()}
        self.models = Models(tuple(dict.fromkeys(config.models)), spec.load, self.methods)
        self.description: dict[str, Any] = describe_environment() | self.models.described()
        self.description |= {
            "config": config.described(),
            "methods": settings,
            "data": {name: data_hash(samples) for name, samples in self.tasks.items()},
            "images": {name: found for name, samples in self.tasks.items() if (found := images_hash(name, samples))},
            "questions": {name: {"used": len(self.tasks[name]), "of": len(whole[name])} for name in whole},
            "restorers": restorers,
            "plugins": _plugins(config, settings),
            "registered": _registered(config, self.methods),
        }
        self.questions = {name: len(samples) for name, samples in self.tasks.items()}
        self._images = ("", ImageCache())

    def run(self, job: Job) -> Iterator[Filled]:
        """Run what is missing of a job; yield how far it is whenever that changes.

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

    def _run_cells(self, job: Job, condition: Condition) -> Iterator[Filled]:
        """Fill the job's unfinished cells batch by batch."""
        samples, tally = self.tasks[job.task], _Tally()
        cells: list[_OpenCell] = []
        for cell in job.cells(self.config, self._name(job)):
            if self.folder.is_finished(cell.key):
                tally.finished += len(samples)
            else:
                cells.append(self._open(cell, self.models.get(job.model)))
                tally.add(self.folder.unfinished.records(cell.key))
            yield tally.filled()
        if cells:
            yield from self._fill(job, condition, cells, tally)
        for open_cell in cells:
            self._finish(open_cell)

    def _fill(self, job: Job, condition: Condition, cells: list[_OpenCell], tally: _Tally) -> Iterator[Filled]:
        """Answer the batches that are missing, and write down what that took of the model's server, if it has one."""
        samples, size, model = self.tasks[job.task], self.config.batch, self.models.get(job.model)
        for start in range(0, len(samples), size):
            waiting = [cell for cell in cells if cell.kept <= start]
            if not waiting:
                continue
            some, before = samples[start : start + size], model.usage
            model.check_allowance(len(some) * self._most_answers(waiting))
            try:
                batch = Batch.prepare(
                    some,
                    self._images_of(job.task),
                    condition,
                    model,
                    seed=job.seed,
                    max_new_tokens=self.config.max_new_tokens,
                )
                for open_cell in waiting:
                    records = batch.answered_by(open_cell.method)
                    self.folder.unfinished.append(open_cell.cell.key, records)
                    tally.add(records)
                    yield tally.filled()
            except (ServerError, KeyboardInterrupt):
                model.close()  # what is under way would go on for minutes
                raise
            finally:
                if model.usage != before:
                    self.folder.add_usage(cells[0].cell.key, asdict(model.usage - before))

    def _most_answers(self, cells: Sequence[_OpenCell]) -> int:
        """Return the most answers that a sample takes in all cells together, the untuned one included."""
        return 1 + sum(self.methods[cell.cell.method].most_looks or 0 for cell in cells)

    def _open(self, cell: Cell, model: Model) -> _OpenCell:
        """Build a cell's method, and keep what records of it can be kept."""
        spec = self.methods[cell.method]
        method = spec.build(model, max_new_tokens=self.config.max_new_tokens, seed=cell.seed)
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
        jobs = [replace(job, condition=condition) for condition in conditions(self.config)]
        cells = [one.cells(self.config, self._name(job))[0] for one in jobs]
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
            samples=self.tasks[task],
            images=self._images_of(task),
            seed=seed,
            max_new_tokens=self.config.max_new_tokens,
        )

    def _name(self, job: Job) -> str:
        """Return the name of a job's model in records."""
        return self.models.facts[job.model].name

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


def _registered(config: StudyConfig, methods: Mapping[str, MethodSpec]) -> dict[str, str]:
    """Name the modules of methods that a program registered while it ran, which no entry point offers."""
    found = {}
    for name, spec in methods.items():
        base = str(config.method_settings.get(name, {}).get("base", name))
        module = spec.kind.__module__
        if module.partition(".")[0] != "vqttt" and not (base in METHODS and METHODS.origin(base)):
            found[base] = f"the module {module}"
    return found
