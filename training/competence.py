"""Measure trained twins on images of their own quality and on clean ones: `python -m training.competence`.

Writes the table of docs/embedded.md. VQ-Mini's questions are those of its `dev` split, which no report uses.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from experiments.markers import put, table
from training.qualities import QUALITIES, Quality, plain
from training.twins import ROOT
from vqttt.models import EMBEDDED, load_model
from vqttt.results.clusters import accuracy
from vqttt.tasks import digits, easy_vqa, fashion_mnist, vq_mini
from vqttt.types import Sample

FIRST = 6000
"""The first `dev` scene that is asked about."""


def tasks(count: int) -> dict[str, list[Sample]]:
    """Return `count` questions of each task."""
    return {
        "vq-mini": vq_mini.samples("dev", FIRST + count)[FIRST:],
        "easy-vqa": easy_vqa.samples("test")[:count],
        "digits": digits.samples("test")[:count],
        "fashion-mnist": fashion_mnist.samples("test")[:count],
    }


def share_right(folder: Path, samples: list[Sample], quality: Quality, batch: int = 50) -> list[bool]:
    """Return which questions a model answers right when every image is of a quality."""
    model, right = load_model(str(folder)), []
    for start in range(0, len(samples), batch):
        some = samples[start : start + batch]
        images = [quality(one.load(), np.random.default_rng([3, start + n])) for n, one in enumerate(some)]
        texts = model.ask(images, [one.question for one in some], 8)[1].texts
        right += [text.strip() == one.answers[0] for text, one in zip(texts, some, strict=True)]
    return right


def row(name: str, folder: Path, quality: Quality, asked: dict[str, list[Sample]]) -> list[str]:
    """Return a model's row: for each task, accuracy on images of its own quality and on clean ones."""
    own, clean = (accuracy(share_right(folder, asked["vq-mini"], one)) for one in (quality, plain))
    cells = [f"{100 * one.value:.1f} \\[{100 * one.low:.1f}, {100 * one.high:.1f}\\]" for one in (own, clean)]
    for task in list(asked)[1:]:
        cells += [f"{100 * np.mean(share_right(folder, asked[task], one)):.1f}" for one in (quality, plain)]
    return [name, *cells]


def main() -> None:
    """Print the table, and write it into docs/embedded.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--twins", type=Path, default=ROOT / "runs" / "twins", help="trained twins [runs/twins]")
    parser.add_argument("--count", type=int, default=1000, help="questions of each task [1000]")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    asked = tasks(arguments.count)
    rows = [row("`embedded`", EMBEDDED, plain, asked)]
    for folder in sorted(arguments.twins.glob("*-[0-9]")):
        rows.append(row(folder.name, folder, QUALITIES[folder.name.rsplit("-", 1)[0]], asked))
        print(" | ".join(rows[-1]), flush=True)
    heads = [f"{task}, {kind}" for task in asked for kind in ("own", "clean")]
    put(ROOT / "docs" / "embedded.md", "twins", table(["model", *heads], rows))


if __name__ == "__main__":
    main()
