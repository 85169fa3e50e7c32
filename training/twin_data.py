"""The training set of twins: the same scenes and questions for all, in the quality that each is trained on."""

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training import data
from training.qualities import QUALITIES

SHARE = {"vq-mini": 0.60, "easy-vqa": 0.10, "digits": 0.10, "fashion-mnist": 0.20}
SHARD = 640
FIRST = 1_000_000
"""The first scene of seed 0; the training set of `embedded` ends far below."""


def build(folder: Path, quality: str, seed: int, count: int, workers: int = 2) -> None:
    """Make the missing parts of a quality's images under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, SHARD)
    jobs = [(folder, quality, seed, start) for start in starts if not _shard(folder, quality, seed, start).exists()]
    if not jobs:
        return
    with ProcessPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(_build_shard, jobs), start=1):
            print(f"\r{quality}, seed {seed}: {done}/{len(jobs)} parts of the training set", end="", flush=True)
    print()


def load(folder: Path, quality: str, seed: int, count: int) -> tuple[NDArray[np.uint8], list[list[data.Turn]]]:
    """Load `count` images, (N, side, side, 3), and the turns about each."""
    pixels, turns = [], []
    for start in range(0, count, SHARD):
        with np.load(_shard(folder, quality, seed, start)) as part:
            pixels.append(part["pixels"])
            turns += json.loads(str(part["turns"]))
    return np.concatenate(pixels)[:count], turns[:count]


def _shard(folder: Path, quality: str, seed: int, start: int) -> Path:
    return folder / f"{quality}-{seed}-{start:06d}.npz"


def _build_shard(job: tuple[Path, str, int, int]) -> None:
    folder, quality, seed, start = job
    cv2.setNumThreads(1)
    images, turns = [], []
    for number in range(start, start + SHARD):
        rng = np.random.default_rng([seed, number, 11])
        source = str(rng.choice(list(SHARE), p=list(SHARE.values())))
        image, _, asked = data.draw(source, FIRST * (1 + seed) + number, rng)
        images.append(QUALITIES[quality](image, np.random.default_rng([seed, number, 12])))
        turns.append(asked)
    path = _shard(folder, quality, seed, start)
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, pixels=data.shrink(images), turns=json.dumps(turns))
    partial.rename(path)
