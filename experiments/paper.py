"""Write the tables of docs/paper.md and the files in docs/paper/ from two runs: `python -m experiments.paper`.

The runs are made by

    vqttt study --preset paper --method none,vq-select,vq-ttt-episodic
    vqttt study --preset paper --method none --seed 0,1,2 --out runs/paper-redraws
"""

import argparse
import re
import shutil
from pathlib import Path

from experiments.markers import put_table
from vqttt.results import report, summary, tables
from vqttt.results.paradox import headroom, redraws
from vqttt.runs.loading import load_records

PAGE = Path("docs/paper.md")
FIGURES = (
    "heat-quality-all-tasks",
    "heat-quality-digits",
    "heat-quality-easy-vqa",
    "heat-quality-vq-mini",
    "heat-gain-vq-select-all-tasks",
    "forest-vq-mini",
)


def main() -> None:
    """Write the tables, and copy the report and some of its figures into docs/paper/."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("runs/paper"))
    parser.add_argument("--redraws", type=Path, default=Path("runs/paper-redraws"))
    arguments = parser.parse_args()
    folder = PAGE.with_suffix("")
    folder.mkdir(exist_ok=True)
    shutil.copy(report.write_html(arguments.run), folder / "report.html")
    drawn = report.write_figures(arguments.run)
    for name in FIGURES:
        (folder / f"{name}.svg").write_text(_on_white((drawn / f"{name}.svg").read_text()))
    records = load_records(arguments.run)
    put_table(PAGE, "overview", tables.overview_table(summary.overview(records)))
    put_table(PAGE, "headroom", tables.headroom_table(headroom(records)))
    put_table(PAGE, "redraws", tables.redraws_table(redraws(load_records(arguments.redraws))))


def _on_white(svg: str) -> str:
    """Give a figure a white background, so that it is legible on a dark page."""
    return re.sub(r"(<svg [^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', svg, count=1)


if __name__ == "__main__":
    main()
