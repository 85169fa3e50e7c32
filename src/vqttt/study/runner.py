"""Running a study: a grid of cells (model x task x condition x method), each a file of records.

A study can be killed and resumed.

Cells that give the model the same images run together, as one job: an image is degraded, encoded and answered untuned
once for all methods. An engine runs the jobs, in this process or elsewhere.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from vqttt.errors import InputError, RunFolderError, UnknownNameError, VQTTTError
from vqttt.runs.folder import RunFolder
from vqttt.runs.store import LocalStore
from vqttt.study.config import StudyConfig
from vqttt.study.config_file import from_described
from vqttt.study.engines import EngineOptions, Ready, execute
from vqttt.study.models import LoadModel, check_names, load_from
from vqttt.study.plan import Job, count_records, keys_by_model, rounds
from vqttt.study.watch import AnswerWatch, NothingAnsweredError
from vqttt.study.worker import WorkerSpec

__all__ = ["IDENTITY", "ProgressCallback", "StartCallback", "resumed", "run"]

ProgressCallback = Callable[[int, int, str], None]
"""Called with the number of records so far, the number in all, and what is running."""

StartCallback = Callable[[Mapping[str, Any]], None]
"""Called with the content of `run.json` once a worker is ready, before the first answer."""

IDENTITY = ("config", "methods", "files", "weights", "data", "images", "restorers", "plugins", "versions")
"""The keys of `run.json` that must agree for two runs to be the same study."""


def run(
    config: StudyConfig,
    out: Path | str,
    load: LoadModel | None = None,
    progress: ProgressCallback | None = None,
    command: str = "",
    engine: EngineOptions | None = None,
    started: StartCallback | None = None,
) -> Path | str:
    """Run a study into the folder `out`, or what is missing of it.

    Args:
        config: what to run.
        out: a folder, or an address such as `s3://bucket/run`.
        load: loads each of `config.models`, given its name; must be picklable if there are several workers. By default
            they are what `vqttt.load_model` finds under these names.
        progress: called whenever records were added.
        command: the command line, stored in `run.json`.
        engine: where and how to run; by default in this process.
        started: called once, before the first answer.

    Returns:
        The run folder: a path, or the address.

    Raises:
        RunFolderError: if `out` holds a different study or cannot be written.
        InputError: if a task or a restorer's weights cannot be loaded, a method needs more than a model offers, or a
            model cannot answer anything.
        ModelError: if a model cannot be loaded.
        EngineError: if a worker in another process fails or is lost too often.
    """
    if load is None:
        check_names(config)
    folder = RunFolder(out)
    local = folder.store.path if isinstance(folder.store, LocalStore) else None
    spec = WorkerSpec(
        config=config,
        out=str(local.absolute() if local else out),
        load=load or partial(load_from, config),
        methods=config.method_specs,
    )
    questions: dict[str, int] = {}

    def ready(worker: Ready) -> None:
        folder.open(worker.description | {"command": command}, IDENTITY)
        if started is not None and not questions:
            started(worker.description)
        questions.update(worker.questions)
        watch.keys = keys_by_model(config, worker.models)

    watch, records, done = AnswerWatch(folder), dict[Job, int](), 0
    try:
        with closing(execute(engine or EngineOptions(), spec, rounds(config), ready)) as events:
            for job, filled in events:
                done += filled.records - records.get(job, 0)
                records[job] = filled.records
                if progress is not None:
                    progress(done, count_records(config, questions.values()), job.label)
                watch.see(job, filled, filled.records == questions[job.task] * len(spec.methods or ()))
        watch.see_end()
        folder.tidy()
    except NothingAnsweredError as error:
        folder.abandon(watch.keys[error.model])  # so that the same command starts afresh once the cause is mended
        raise
    return local if local else str(out)


def resumed(out: Path | str) -> StudyConfig:
    """Return the configuration of the run that was started in a folder.

    Raises:
        RunFolderError: if there is none; the message says what is there instead.
        InputError: if it has names that are not known here.
    """
    folder = RunFolder(out)
    if not folder.exists():
        names = folder.store.names()
        found = f"it holds {', '.join(names[:3])}{' and others' if names[3:] else ''}" if names else "nothing is there"
        raise RunFolderError(f"{out} holds no run to resume: {found}; start one with --out {out}")
    described = folder.description().get("config")
    if not isinstance(described, dict):
        raise RunFolderError(f"{out}/run.json has no configuration, so it is not of a study")
    try:
        return from_described(described)
    except VQTTTError as error:
        raise InputError(f"{out}/run.json: {error}{_missing_package(error, folder.description())}") from error


def _missing_package(error: VQTTTError, description: Mapping[str, Any]) -> str:
    """Say which package or program the run had an unknown name from; empty if that is not known."""
    if not isinstance(error, UnknownNameError):
        return ""
    plugins, programs = (description.get(key) or {} for key in ("plugins", "registered"))
    if package := plugins.get(error.name):
        return f"; the run had {error.name!r} from the package {package}: install it again"
    if module := programs.get(error.name):
        return f"; the run had {error.name!r} from {module}, which registered it: resume the run from there by run()"
    return ""
