"""The study: a grid of cells (task x condition x method), each a file of records; killed and resumed at will.

Cells that show a model the same images run together, as one job, so that an image is degraded, encoded and answered
untuned once for all methods. An engine does the jobs, here or elsewhere.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from vqttt.errors import InputError, RunFolderError, VQTTTError
from vqttt.models import load_model
from vqttt.models.base import Model
from vqttt.runs.folder import RunFolder
from vqttt.runs.store import LocalStore
from vqttt.study.config import PRESETS, StudyConfig
from vqttt.study.configfile import _with
from vqttt.study.engines import EngineOptions, Ready, execute
from vqttt.study.plan import Cell, Job, conditions, rounds
from vqttt.study.worker import Setup

__all__ = ["PRESETS", "Cell", "EngineOptions", "Progress", "StudyConfig", "conditions", "run"]

Progress = Callable[[int, int, str], None]
"""Called with the records done, the records in all, and what runs now."""

IDENTITY = ("config", "methods", "weights", "data", "restorers", "plugins", "versions")
"""What in `run.json` must agree for two runs to be the same study."""


def run(
    config: StudyConfig,
    out: Path | str,
    load: Callable[[], Model] | None = None,
    progress: Progress | None = None,
    command: str = "",
    engine: EngineOptions | None = None,
) -> Path | str:
    """Run a study into the folder `out`, or what is missing of it.

    Args:
        config: what to run.
        out: a folder, or an address such as `s3://bucket/run`.
        load: loads the model in place of `config.model`; where there are several workers, it has to be picklable.
        progress: is told how far the study is.
        command: what was typed, for `run.json`.
        engine: where and how it runs; in this process, if nothing is said.

    Returns:
        The run folder: a path, or the address.

    Raises:
        RunFolderError: if `out` holds a different study or cannot be written.
        InputError: if a task, or a restorer's weights, cannot be loaded.
        EngineError: if a worker in another process fails or is lost too often.
    """
    folder = RunFolder(out)
    local = folder.store.path if isinstance(folder.store, LocalStore) else None
    setup = Setup(
        config=config,
        out=str(local.absolute() if local else out),
        load=load or partial(load_model, config.model, config.load),
    )
    first, last = rounds(config)
    questions: dict[str, int] = {}

    def ready(worker: Ready) -> None:
        folder.open(worker.description | {"command": command}, IDENTITY)
        questions.update(worker.questions)

    records: dict[Job, int] = {}
    done = 0
    with closing(execute(engine or EngineOptions(), setup, (first, last), ready)) as events:
        for job, count in events:
            done += count - records.get(job, 0)
            records[job] = count
            if progress is not None:
                total = (
                    len(conditions(config))
                    * len(set(config.methods))
                    * len(set(config.seeds))
                    * sum(questions.values())
                )
                progress(done, total, job.what)
    return local if local else str(out)


def resumed(out: Path | str) -> StudyConfig:
    """Return the configuration of the run that was begun in a folder.

    Raises:
        RunFolderError: if there is none; the message says what is there instead.
        InputError: if it has names that are not known here.
    """
    folder = RunFolder(out)
    if not folder.begun():
        names = folder.store.names()
        there = f"it holds {', '.join(names[:3])}{' and others' if names[3:] else ''}" if names else "nothing is there"
        raise RunFolderError(f"{out} holds no run to resume: {there}; begin one by --out {out}")
    told = folder.description().get("config")
    if not isinstance(told, dict):
        raise RunFolderError(f"{out}/run.json says no configuration; it is not of a study")
    config = replace(PRESETS["quick"], limit=None)
    try:
        for name, value in told.items():
            config = config if value is None else _with(config, name, value)
        return config
    except VQTTTError as error:
        raise InputError(f"{out}/run.json: {error}") from error
