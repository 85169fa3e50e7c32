"""Write the generated tables of README.md and docs/embedded.md: `python -m experiments.update_readme runs/quick`.

With `--accuracy` the embedded model is measured again (about five minutes on 2 cores).
"""

import argparse
from pathlib import Path

from experiments.markers import put, put_table
from experiments.method import page, rows
from training import accuracy
from vqttt.results import summary, tables
from vqttt.runs.loading import load_records

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
EMBEDDED = ROOT / "docs" / "embedded.md"


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the run folder whose results the README shows")
    parser.add_argument("--accuracy", action="store_true", help="measure the embedded model again")
    arguments = parser.parse_args()
    records = load_records(arguments.run)
    put_table(README, "study", tables.overview_table(summary.overview(records)))
    measured = [*rows.load("main"), *rows.load("mild")]
    put(README, "method", page.methods_table(measured, lambda row: row["severity"] >= 3))
    if arguments.accuracy:
        put(EMBEDDED, "accuracy", accuracy.table(accuracy.FOLDER, list(accuracy.TASKS)))


if __name__ == "__main__":
    main()
