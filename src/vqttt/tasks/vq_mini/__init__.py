"""VQ-Mini: generated scenes with questions in eight categories of increasing difficulty.

Existence, attributes, counting, spatial relations, reading, chart reading, comparison, and arithmetic on numbers that
were read. The scenes of each split come from seeds of their own. This is our own task; nothing is downloaded.
"""

from functools import partial

import numpy as np

from vqttt.tasks.vq_mini.drawing import draw
from vqttt.tasks.vq_mini.questions import CATEGORIES, Question, ask, kinds_for, question_types
from vqttt.tasks.vq_mini.scenes import Scene, make_scene
from vqttt.types import Image, Sample

SPLITS = ("train", "test", "dev")


def samples(split: str = "test", count: int = 2000) -> list[Sample]:
    """Return `count` questions, one per scene, cycling through the categories.

    Args:
        split: `test`; `dev`, on which this project chose its settings; or `train`. No two splits share a seed.
        count: number of questions; a larger count starts with the same ones.
    """
    return [_sample(split, index) for index in range(count)]


def scene_rng(split: str, index: int) -> np.random.Generator:
    """Return the random generator of scene number `index` of a split."""
    return np.random.default_rng([SPLITS.index(split), index])


def scene_and_question(split: str, index: int) -> tuple[Scene, Question]:
    """Return scene number `index` of a split and its question, whose category is number `index` modulo 8."""
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
