"""Measure: `python -m experiments.method` runs the studies of all phases, on two cores in at most three hours.

You can stop it at any time; run the same command to resume. Run folders go to `runs/method`, and the rows of finished
studies to `experiments/method/results/PHASE.jsonl`: one for each condition and method, with every sample's score before
and after. `python -m experiments.method.page` makes the page and its figure from them.
"""

import argparse
import os
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from experiments.loading import load_on_one_thread
from experiments.method import tasks
from experiments.method.files import make_files
from experiments.method.gather import gather
from experiments.method.passes import seconds
from experiments.method.plan import PHASES, Study
from experiments.method.rows import RESULTS, merge
from experiments.progress import Progress
from vqttt.models.tunable import TunableModel
from vqttt.study import EngineOptions, run

# Workers in other processes import this module to get `load`, so the tasks are registered there as well.
tasks.register()


def load(name: str) -> TunableModel:
    """Load a model, in a worker that knows the tasks of this experiment."""
    return load_on_one_thread(name)


def main(given: list[str] | None = None) -> None:
    """Run the studies that are asked for, and gather their rows."""
    parser = argparse.ArgumentParser(prog="python -m experiments.method", description=__doc__.splitlines()[0])
    parser.add_argument("--phase", action="append", choices=PHASES, help="only this phase; may be repeated")
    parser.add_argument("--method", action="append", default=[], help="only this method, beside the untuned model")
    parser.add_argument("--degradation", action="append", default=[], help="only this degradation or stream")
    parser.add_argument("--estimate", action="store_true", help="only say how long it would take")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="parallel processes [one per core]")
    parser.add_argument("--folder", type=Path, default=Path("runs/method"), help="run folders [runs/method]")
    parser.add_argument("--results", type=Path, default=RESULTS, help="rows [experiments/method/results]")
    asked = parser.parse_args(given)
    chosen = {
        phase: list(_studies(phase, asked.folder / "tuned", asked.method, asked.degradation))
        for phase in asked.phase or PHASES
    }
    print(estimate(chosen, asked.workers), flush=True)
    for phase, studies in chosen.items() if not asked.estimate else ():
        for study in studies:
            make_files(study, partial(load, study.config.models[0]))
            engine = EngineOptions(workers=asked.workers)
            folder = run(study.config, asked.folder / study.name, load, Progress(study.name), engine=engine)
            merge(asked.results / f"{phase}.jsonl", gather(study, Path(folder)))


def estimate(chosen: dict[str, list[Study]], workers: int) -> str:
    """Say how long phases take, roughly, if nothing of them is there yet."""
    each = {phase: sum(seconds(study.config) for study in studies) / workers for phase, studies in chosen.items()}
    lines = [f"{phase}: about {timedelta(minutes=round(value / 60))}" for phase, value in each.items()]
    return "\n".join([*lines, f"in all: about {timedelta(minutes=round(sum(each.values()) / 60))}"])


def _studies(phase: str, files: Path, methods: list[str], degradations: list[str]) -> Iterator[Study]:
    for whole in PHASES[phase](files):
        if part := whole.part(methods, degradations):
            yield part
