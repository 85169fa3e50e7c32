"""Run one study on small models of ten types: `python -m experiments.ten_families`.

The types differ in their vision encoder and in how they lay out images. Each model is saved to a folder and loaded from
it, as a published checkpoint would be. The weights are random: this shows that everything runs, not what tuning gains.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from experiments.progress import Progress
from tests.support.small_families import small
from vqttt.results.report import Contents, write_html, write_tables
from vqttt.runs.loading import load_records
from vqttt.study.config import StudyConfig
from vqttt.study.engines import EngineOptions
from vqttt.study.runner import run

OWN = ("llava_next", "qwen2_5_vl", "cogvlm2")
"""Types with a file of their own."""

DISCOVERED = ("qwen3_5", "gemma4", "mistral3", "kimi_k25", "lfm2_vl", "molmo2", "deepseek_vl_hybrid")
"""Types whose layout is found by trying."""

FORWARD_ONLY = ("none", "vq-select", "tta")
TUNING = ("vq-ttt", "vq-ttt-episodic", "tent")


def study(types: Sequence[str], out: Path, limit: int, workers: int = 1) -> int:
    """Run the study on models of some types, print what came of each, and write the report.

    Returns:
        How many answers failed.
    """
    folders = {name: str(out / "models" / name) for name in types}
    for name, folder in folders.items():
        model = small(name)
        model.network.save_pretrained(folder)
        model.processor.save_pretrained(folder)
    config = StudyConfig(
        models=tuple(folders.values()),
        tasks=("digits",),
        degradations=("clean", "fog", "gaussian_noise"),
        severities=(3,),
        methods=(*FORWARD_ONLY, *TUNING),
        limit=limit,
        batch=5,
        max_new_tokens=2,
    )
    run(config, out / "run", progress=Progress("ten families"), engine=EngineOptions(workers=workers))
    contents = Contents(load_records(out / "run"))
    failed = contents.records.filter(pl.col("error") != "")
    for name, folder in folders.items():
        of_model = contents.records.filter(model=folder)
        tuned = of_model.filter(pl.col("steps") > 0)["method"]
        counts = ", ".join(f"{method} {(tuned == method).sum()}" for method in TUNING)
        print(f"{name}: {len(of_model)} answers, {len(failed.filter(model=folder))} failed, tuned: {counts}")
        for error, count in failed.filter(model=folder)["error"].value_counts(sort=True).rows():
            print(f"  {count} with: {error}")
    tables = write_tables(out / "run", contents)
    print(f"Report: {write_html(out / 'run', contents)}. Tables: {', '.join(map(str, tables))}.")
    return len(failed)


def main() -> None:
    """Run the study; the exit status tells whether all answers succeeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/ten-families"))
    parser.add_argument("--limit", type=int, default=20, help="number of questions (20)")
    parser.add_argument("--workers", type=int, default=1, help="number of processes (1)")
    arguments = parser.parse_args()
    if failed := study((*OWN, *DISCOVERED), arguments.out, arguments.limit, arguments.workers):
        raise SystemExit(f"{failed} answers failed")


if __name__ == "__main__":
    main()
