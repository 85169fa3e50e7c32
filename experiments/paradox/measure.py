"""Run the studies and the measurements of the experiment, then write its page."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl

from experiments.loading import load_on_one_thread
from experiments.paradox import inside, page, spectra
from experiments.paradox.frames import load
from experiments.paradox.plan import missing, studies
from experiments.progress import Progress
from vqttt.study import EngineOptions, run

FOLDER = Path("runs") / "paradox"

MEASUREMENTS: dict[str, Callable[[], pl.DataFrame]] = {
    "spectra": spectra.spectra,
    "descriptors": spectra.descriptors,
    "inside": inside.measure,
}
"""What is measured besides studies; each becomes a file in the folder of runs."""


def main(given: list[str] | None = None) -> int:
    """Run what is asked for and write the page; return the exit status."""
    names = [*(study.name for study in studies()), *MEASUREMENTS]
    parser = argparse.ArgumentParser(prog="python -m experiments.paradox", description=__doc__)
    parser.add_argument("--study", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument("--page", action="store_true", help="only the page, from the runs that are there")
    parser.add_argument("--workers", type=int, default=2, help="parallel processes [2]")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"run folders [{FOLDER}]")
    parser.add_argument("--out", type=Path, default=page.PAGE, help="the page, which must exist [docs/paradox-lab.md]")
    arguments = parser.parse_args(given)
    if not arguments.page:
        if absent := missing():
            print(f"run `make train-twins` first: there is no {', '.join(absent)}", file=sys.stderr)
            return 2
        measure(arguments.study or names, arguments.folder, arguments.workers)
    for part in page.write(load(arguments.folder), arguments.folder, arguments.out):
        print(f"left as it is: {part}")
    return 0


def measure(names: list[str], folder: Path, workers: int) -> None:
    """Run some studies and measurements; finished ones, and finished parts of others, are not run again."""
    for study in studies():
        if study.name in names:
            engine = EngineOptions(workers=workers)
            run(study.config, folder / study.name, load_on_one_thread, Progress(study.name), engine=engine)
    for name, function in MEASUREMENTS.items():
        file = folder / f"{name}.parquet"
        if name in names and not file.exists():
            print(f"{name}: measuring", flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            function().write_parquet(file.with_suffix(".part"))
            file.with_suffix(".part").rename(file)
