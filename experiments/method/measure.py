"""Measure: `python -m experiments.method` runs the studies of all phases, on two cores in a few hours.

You can stop it at any time; run the same command to resume. Run folders go to `runs/method`, and the rows of finished
studies to `experiments/method/results/PHASE.jsonl`: one for each condition and method, with every sample's score before
and after. `python -m experiments.method.page` makes the page and its figures from them.
"""

import argparse
import os
from functools import partial
from pathlib import Path

from experiments.loading import load_on_one_thread
from experiments.method import fixed_correction, tasks
from experiments.method.files import make_files
from experiments.method.gather import gather, merge
from experiments.method.plan import PHASES
from experiments.method.rows import RESULTS
from experiments.progress import Progress
from vqttt.models.base import TunableModel
from vqttt.study import EngineOptions, run

# Workers in other processes import this module to get `load`, so the tasks and the method are registered there as well.
tasks.register()
fixed_correction.register()


def load(name: str) -> TunableModel:
    """Load a model, in a worker that knows the tasks and the method of this experiment."""
    return load_on_one_thread(name)


def main() -> None:
    """Run the studies that are asked for, and gather their rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phase", action="append", choices=PHASES, help="only this phase; may be repeated")
    parser.add_argument("--method", action="append", default=[], help="only this method, beside the untuned model")
    parser.add_argument("--degradation", action="append", default=[], help="only this degradation or stream")
    parser.add_argument("--seed", action="append", default=[], type=int, help="only this seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="parallel processes [one per core]")
    parser.add_argument("--folder", type=Path, default=Path("runs/method"), help="run folders [runs/method]")
    parser.add_argument("--results", type=Path, default=RESULTS, help="rows [experiments/method/results]")
    arguments = parser.parse_args()
    for phase in arguments.phase or PHASES:
        for whole in PHASES[phase](arguments.folder):
            study = whole.part(arguments.method, arguments.degradation, arguments.seed)
            if study is None:
                continue
            make_files(study, partial(load, study.config.models[0]))
            engine = EngineOptions(workers=arguments.workers)
            folder = run(study.config, arguments.folder / study.name, load, Progress(study.name), engine=engine)
            merge(arguments.results / f"{phase}.jsonl", gather(study, Path(folder)))
