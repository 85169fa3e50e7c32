"""Write the generated tables of README.md and docs/embedded.md: `python -m experiments.update_readme runs/quick`.

With `--accuracy` the embedded model is measured again (about five minutes on 2 cores).
"""

import argparse
from contextlib import suppress
from pathlib import Path

from experiments.markers import put, table
from experiments.method import page, rows
from experiments.paradox import tables as paradox
from experiments.paradox.frames import NotMeasuredError, load
from training import accuracy
from vqttt.results.report.frames import Frames
from vqttt.results.report.remedies import Gain, remedies
from vqttt.results.tables import gain, percent
from vqttt.runs.loading import load_records
from vqttt.runs.records import ALL

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
EMBEDDED = ROOT / "docs" / "embedded.md"


def quick_table(frames: Frames) -> str:
    """Tabulate what each remedy gains each model of a study, over all its tasks."""
    body = []
    for row in frames.overview.filter(task=ALL, method="none").to_dicts():
        model, share = str(row["model"]), (percent(row[name]) for name in ("accuracy", "clean_accuracy"))
        body.append([f"{model}, as it is", *(f"{one}%" for one in share), "1.0×"])
        for one in remedies(frames):
            if one.model == model:
                time = "" if one.cost is None else f"{one.cost:.1f}×"
                body.append([f"{model}, {one.name}", *map(_points, (one.gain, one.clean_gain)), time])
    note = "Accuracy in percent, and what each remedy adds in points, with 95% intervals; every cell weighs the same."
    return f"{table(['', 'degraded', 'clean', 'time'], body)}\n\n{note}"


def _points(found: Gain | None) -> str:
    return "" if found is None else gain(found.value, found.low, found.high).replace("[", "\\[").replace("]", "\\]")


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the run folder whose results the README shows")
    parser.add_argument("--paradox", type=Path, default=Path("runs/paradox"), help="run folders of that experiment")
    parser.add_argument("--accuracy", action="store_true", help="measure the embedded model again")
    arguments = parser.parse_args()
    runs = load(arguments.paradox)
    put(README, "paradox", paradox.axis(runs))
    put(README, "study", quick_table(Frames(load_records(arguments.run))))
    with suppress(NotMeasuredError):
        put(README, "remedies", page.other_models({"models": rows.load("models")}))
        put(README, "method", page.first_table({"main": rows.load("main")}))
    if arguments.accuracy:
        put(EMBEDDED, "accuracy", accuracy.table(accuracy.FOLDER, list(accuracy.TASKS)))


if __name__ == "__main__":
    main()
