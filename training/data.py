"""The training set of the embedded MLLM: images, packed questions, and what each image token covers.

Image quality varies as in real training sets (mild blur, JPEG, resizing), but never by the noise, motion blur, snow or
fog that studies apply. Fixed seeds determine everything; `build` makes the set once and keeps it in a folder.
"""

import json
import re
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.blueprint import PATCH, SIDE, build_processor
from training.qualities import mixed
from vqttt.tasks import digits, easy_vqa, fashion_mnist, vq_mini
from vqttt.tasks.vq_mini import drawing, questions, scenes

GRID = SIDE // PATCH
CELL = scenes.SIDE // GRID
SOURCES = {"vq-mini": 60_000, "easy-vqa": 8_000, "digits": 6_000, "fashion-mnist": 30_000}
SHARE = {"vq-mini": 0.72, "easy-vqa": 0.09, "digits": 0.05, "fashion-mnist": 0.14}
LATE_SHARE = {"vq-mini": 0.60, "easy-vqa": 0.08, "digits": 0.10, "fashion-mnist": 0.22}
SHARD = 500
LABELS = len(drawing.CONTENTS) + len(drawing.COLOR_LABELS)

Turn = tuple[str, str]


def build(folder: Path, workers: int = 2) -> None:
    """Make the missing parts of the training set under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (folder, source, start)
        for source, count in SOURCES.items()
        for start in range(0, count, SHARD)
        if not _shard(folder, source, start).exists()
    ]
    with ProcessPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(_build_shard, jobs), start=1):
            print(f"\rtraining set: {done}/{len(jobs)} parts", end="", flush=True)
    print()


def load(folder: Path, source: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, list[list[Turn]]]:
    """Load a source: images (N, side, side, 3); coverage (N, tokens, LABELS) for VQ-Mini, otherwise None; turns."""
    pixels, coverage, turns = [], [], []
    for start in range(0, SOURCES[source], SHARD):
        with np.load(_shard(folder, source, start)) as part:
            pixels.append(part["pixels"])
            coverage.append(part["coverage"])
            turns += json.loads(str(part["turns"]))
    return np.concatenate(pixels), np.concatenate(coverage) if source == "vq-mini" else None, turns


def vocabulary() -> set[str]:
    """Return every word that occurs in a question or answer of the training set."""
    texts = [*scenes.WORDS, *fashion_mnist.CLASSES, *fashion_mnist.QUESTIONS, *digits.QUESTIONS]
    texts += [text for sample in easy_vqa.samples("train") for text in (sample.question, *sample.answers)]
    for index in range(4000):
        _, question = vq_mini.scene_and_question("train", index)
        texts += [question.text, question.answer]
    return set(re.findall(r"[a-z]+", " ".join(texts)))


def _shard(folder: Path, source: str, start: int) -> Path:
    return folder / f"{source}-{start:06d}.npz"


def _build_shard(job: tuple[Path, str, int]) -> None:
    folder, source, start = job
    cv2.setNumThreads(1)
    images, coverage, turns = [], [], []
    for index in range(start, start + SHARD):
        rng = np.random.default_rng([list(SOURCES).index(source), index, 7])
        image, cover, asked = draw(source, index, rng)
        images.append(mixed(image, rng))
        coverage.append(cover)
        turns.append(asked)
    path = _shard(folder, source, start)
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, pixels=shrink(images), coverage=np.array(coverage), turns=json.dumps(turns))
    partial.rename(path)


def draw(source: str, index: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[Turn]]:
    """Return image `index` of a source, undegraded, what its tokens cover (VQ-Mini only), and the turns about it."""
    return _vq_mini(index, rng) if source == "vq-mini" else _real(source, index, rng)


def _vq_mini(index: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[Turn]]:
    scene = _scene(index, rng)
    kind = scene.kind
    image, contents, colors = drawing.draw(scene)
    cover = np.concatenate([_share(contents, len(drawing.CONTENTS)), _share(colors, len(drawing.COLOR_LABELS))], axis=1)
    asked = [questions.ask(scene, name, rng) for name in questions.question_types(kind) for _ in range(2)]
    return image, cover, sorted({(question.text, question.answer) for question in asked if question})


def _scene(index: int, rng: np.random.Generator) -> scenes.Scene:
    kind = str(rng.choice(["shapes", "text", "chart"], p=[0.42, 0.36, 0.22]))
    return scenes.make_scene(kind, vq_mini.scene_rng("train", 10_000_000 + index))


def relations(index: int) -> list[Turn]:
    """Return additional questions about relative positions in VQ-Mini's scene `index`, if it shows shapes."""
    scene = _scene(index, np.random.default_rng([0, index, 7]))
    if scene.kind != "shapes":
        return []
    rng = np.random.default_rng([1, index])
    asked = [questions.ask(scene, "relation", rng) for _ in range(6)]
    return sorted({(question.text, question.answer) for question in asked if question})


def _share(labels: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Return how much of each token's cell each label covers: (tokens, labels), 0 to 255."""
    row = np.arange(scenes.SIDE) // CELL
    cell = row[:, None] * GRID + row
    flat = np.bincount((cell * count + labels).ravel(), minlength=GRID * GRID * count)
    return (flat.reshape(-1, count) * (255 / CELL**2)).astype(np.uint8)


def _real(source: str, index: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[Turn]]:
    groups = _grouped(source)
    group = groups[index % len(groups)]
    image = group[0].load()
    turns = [(sample.question, sample.answers[0]) for sample in group]
    if source == "digits":
        image = _jitter(image, rng)
        turns = [(question, turns[0][1]) for question in digits.QUESTIONS]
    if source == "fashion-mnist":
        image = image[:, ::-1].copy() if rng.random() < 0.5 else image
        turns = [(question, turns[0][1]) for question in fashion_mnist.QUESTIONS]
    return image, np.zeros((0,), np.uint8), turns


@lru_cache
def _grouped(source: str) -> list[list]:
    """Return the training samples of a source, grouped by image."""
    if source != "easy-vqa":
        return [[sample] for sample in {"digits": digits, "fashion-mnist": fashion_mnist}[source].samples("train")]
    groups: dict[Path, list] = {}
    for sample in easy_vqa.samples("train"):
        groups.setdefault(sample.load.args[0], []).append(sample)
    return list(groups.values())


def _jitter(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Shift, rotate and scale slightly, as another person's handwriting would differ."""
    side = len(image)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-12, 12), rng.uniform(0.88, 1.12))
    turn[:, 2] += rng.uniform(-0.06, 0.06, 2) * side
    return cv2.warpAffine(image, turn, (side, side), flags=cv2.INTER_LINEAR)


def shrink(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Resize with the model's own processor. It rounds to whole levels, so storing uint8 loses nothing."""
    import torch

    torch.set_num_threads(1)
    processor = build_processor([]).image_processor
    raw = processor(
        [np.ascontiguousarray(image) for image in images],
        do_rescale=False,
        do_normalize=False,
        return_tensors="pt",
    )
    return raw["pixel_values"].permute(0, 2, 3, 1).to(torch.uint8).numpy()
