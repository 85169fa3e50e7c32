"""The embedded model is accurate enough for studies to be meaningful."""

import pytest

from training import accuracy
from vqttt.tasks import vq_mini

FLOORS = {"easy-vqa": 0.97, "digits": 0.95, "vq-mini": 0.93}


@pytest.mark.slow
@pytest.mark.parametrize("task", FLOORS)
def test_accuracy_by_plain_transformers(task: str) -> None:
    """On part of the test split, hence the margin; `make accuracy` measures the whole."""
    samples = accuracy.TASKS[task]("test")[:400] if task != "vq-mini" else vq_mini.samples("test", 400)
    answers = accuracy.generate(accuracy.FOLDER, samples)
    right = sum(answer.strip() == sample.answers[0] for answer, sample in zip(answers, samples, strict=True))
    chance, majority = accuracy.blind_rates(samples)
    assert right / len(samples) >= FLOORS[task] - 0.03
    assert right / len(samples) > max(chance, majority) + 0.2
