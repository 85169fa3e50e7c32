"""Small models and images that several tests share."""

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from training.blueprint import build_model, build_processor
from vqttt.images.restorers.maxim.network import Config, Maxim
from vqttt.methods import METHODS, MethodSpec
from vqttt.models import CLEAN_FEATURES
from vqttt.models.llava import Llava
from vqttt.tuning.feature_statistics import measure_clean, save_clean
from vqttt.types import Image

WORDS = "what color is the shape red green blue yes no how many objects are there"
QUESTIONS = ["what color is the shape?", "is there any red shape?", "how many objects are there?", "what is the color?"]


@lru_cache
def tiny_llava() -> Llava:
    """A LLaVA with random weights, scaled so that its answers differ between images."""
    torch.manual_seed(3)
    processor = build_processor(WORDS.split())
    network = build_model(processor, width=32, vision_layers=3, text_layers=2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6)
    model = Llava("tiny", network, processor)
    model.clean_features = Path(tempfile.mkdtemp()) / CLEAN_FEATURES
    save_clean(model.clean_features, measure_clean(model, sample_images(4), QUESTIONS))
    return model


def sample_images(count: int, side: int = 64) -> list[Image]:
    """Random images with some structure."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return list(coarse.repeat(side // 8, 1).repeat(side // 8, 2))


def with_few_views(name: str) -> MethodSpec:
    """A registered method, MEMO with three views of a sample.

    Its usual 32 are four batches alike. These are a batch of several and a last one of another size, so what goes wrong
    with many views goes wrong with these; `test_answers_carry_the_untuned_ones` takes the usual number.
    """
    return METHODS[name].changed({"views": 3, "at_once": 2} if name == "memo" else {})


SMALL_MAXIM = Config(stages=2, width=8, sides=(4, 4, 2), groups=1, bottlenecks=1)


def small_maxim() -> Maxim:
    """A MAXIM of two stages and few channels, with random weights."""
    torch.manual_seed(3)
    return Maxim(SMALL_MAXIM)
