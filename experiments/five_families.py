"""Run one study on small models of five families: `python -m experiments.five_families`.

Each model is saved to a folder and loaded from it, as a published checkpoint would be. The weights are random, so this
shows that everything runs, not what tuning gains.
"""

import argparse
from pathlib import Path

from tests.support.small_families import small
from vqttt.runs.loading import load_records
from vqttt.study.config import StudyConfig
from vqttt.study.runner import run

FAMILIES = ("llava_next", "idefics2", "qwen2_5_vl", "internvl", "cogvlm2")
METHODS = ("none", "vq-ttt", "vq-ttt-episodic", "vq-select", "tent")


def main() -> None:
    """Build the models, run the studies, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/five-families"))
    parser.add_argument("--limit", type=int, default=20)
    arguments = parser.parse_args()
    rows = []
    for name in FAMILIES:
        model, folder = small(name), arguments.out / name
        model.network.save_pretrained(folder / "model")
        model.processor.save_pretrained(folder / "model")
        config = StudyConfig(
            models=(str(folder / "model"),), tasks=("digits",), degradations=("clean", "fog"), severities=(3,),
            methods=METHODS, limit=arguments.limit, batch=5, max_new_tokens=2,
        )  # fmt: skip
        run(config, folder / "run")
        records = load_records(folder / "run")
        failed = records.filter(records["error"] != "")
        tuned = {method: int((records.filter(method=method)["steps"] > 0).sum()) for method in METHODS}
        rows.append((name, len(records), len(failed), tuned))
        print(f"{name}: {len(records)} answers, {len(failed)} failed, tuned {tuned}", flush=True)
    if any(failed for _, _, failed, _ in rows):
        raise SystemExit("some answers failed")


if __name__ == "__main__":
    main()
