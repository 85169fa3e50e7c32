"""VQ-Mini: seeded scenes with questions in eight categories of rising cognitive demand.

Existence, attribute, counting, spatial relation, reading, chart reading, comparison, arithmetic on what was read.
Train and test scenes come from disjoint seeds. Our own; nothing is downloaded.
"""

from functools import partial

import numpy as np

from vqttt.tasks.vq_mini.drawing import draw
from vqttt.tasks.vq_mini.questions import CATEGORIES, Question, ask, kinds_for, question_types
from vqttt.tasks.vq_mini.scenes import Scene, make_scene
from vqttt.types import Image, Sample

SPLITS = ("train", "test", "dev")


def samples(split: str = "test", count: int = 2000) -> list[Sample]:
    """Return `count` questions, one a scene, cycling through the categories.

    Args:
        split: `test`; `dev`, on which this project chose its settings; or `train`. Scenes of different splits come
            from disjoint seeds.
        count: how many; a larger count begins with the same questions.
    """
    return [_sample(split, index) for index in range(count)]


def scene_rng(split: str, index: int) -> np.random.Generator:
    """Return the generator that scene number `index` of a split is drawn from."""
    return np.random.default_rng([SPLITS.index(split), index])


def scene_and_question(split: str, index: int) -> tuple[Scene, Question]:
    """Return scene number `index` of a split and the question asked of it, of category `index` modulo 8."""
    rng = scene_rng(split, index)
    category = CATEGORIES[index % len(CATEGORIES)]
    while True:
        kind = str(rng.choice(kinds_for(category)))
        scene = make_scene(kind, rng)
        question = ask(scene, str(rng.choice(question_types(kind, category))), rng)
        if question is not None:
            return scene, question


def _sample(split: str, index: int) -> Sample:
    scene, question = scene_and_question(split, index)
    return Sample(
        id=f"vq-mini-{split}-{index:06d}",
        load=partial(_image, scene),
        question=question.text,
        answers=(question.answer,),
        category=question.category,
        question_type=question.type,
    )


def _image(scene: Scene) -> Image:
    return draw(scene)[0]
