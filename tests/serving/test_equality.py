"""The embedded model through `vqttt serve` answers as in the process."""

from math import log

import numpy as np
import pytest
import torch

from tests.support.servers import vqttt_server
from vqttt.images.degradations import degrade
from vqttt.models import ServedOptions, load_model
from vqttt.models.served.client import ALTERNATIVES
from vqttt.tasks import load_task
from vqttt.types import Image

QUESTIONS, BATCH, TOKENS = 500, 50, 16
ROUNDING = 1e-4
"""Nats by which a batch of another size may change an entropy."""


def asked() -> tuple[list[Image], list[str]]:
    """Questions about images, every second of which is noisy, so that the model is certain of some answers only."""
    samples = load_task("vq-mini", QUESTIONS)
    images = [sample.load() for sample in samples]
    noisy = [degrade(image, "gaussian_noise", 4, seed=n) if n % 2 else image for n, image in enumerate(images)]
    return noisy, [sample.question for sample in samples]


@pytest.mark.slow
def test_the_embedded_model_answers_as_in_the_process() -> None:
    """Texts are the same. Entropies differ by no more than the tokens that are not listed can hold.

    Of each token's distribution over V words, 20 alternatives are listed; the others, with a mass of m in all, count as
    one word. Spread over V - 20 words they have at most m log(V - 20) nats more than that, and at least none.
    """
    model = load_model("embedded")
    images, questions = asked()
    texts, entropies, most = list[str](), list[float](), list[float]()
    for start in range(0, QUESTIONS, BATCH):
        answers = model.answer(images[start : start + BATCH], questions[start : start + BATCH], TOKENS)
        texts += answers.texts
        entropies += answers.entropies
        shares = answers.logits.softmax(-1)  # type: ignore[attr-defined]
        unlisted = 1 - shares.topk(ALTERNATIVES, dim=-1).values.sum(-1)
        bound = unlisted.clamp_min(0) * log(shares.shape[-1] - ALTERNATIVES)
        mask = answers.mask  # type: ignore[attr-defined]
        most += ((bound * mask).sum(1) / mask.sum(1)).tolist()
    assert torch.tensor(entropies).gt(0.1).sum() > 50, "many answers are uncertain"
    with vqttt_server("--method", "none", model="embedded") as running:
        served = load_model("openai:embedded", served=ServedOptions(base_url=running.url))
        through = served.answer(images, questions, TOKENS)
        assert served.certain and not any(through.errors)
    assert through.texts == texts
    lost = np.array(entropies) - np.array(through.entropies)
    assert (lost >= -ROUNDING).all() and (lost <= np.array(most) + ROUNDING).all()
    assert lost.max() < 0.05, f"{lost.max():.3f} nats"
