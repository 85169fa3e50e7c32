"""Tasks by name: samples in a fixed order."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from vqttt.registry import Registry
from vqttt.tasks import digits, easy_vqa, fashion_mnist, jsonl, vq_mini
from vqttt.types import LETTERS, Sample

JSONL = "jsonl:"
"""Begins the name of a task that is a file."""

TASKS: Registry[Callable[[], list[Sample]]] = Registry("task")

TASKS.add("easy-vqa", easy_vqa.samples, "one coloured shape, 9,673 questions (easy-VQA)")
TASKS.add("digits", digits.samples, "600 handwritten digits asked as questions (scikit-learn)")
TASKS.add("fashion-mnist", fashion_mnist.samples, "10,000 photographs of clothing (Debian dataset-fashion-mnist)")
TASKS.add("vq-mini", vq_mini.samples, "2,000 seeded scenes, eight categories from existence to arithmetic")


def load_task(name: str, limit: int | None = None) -> list[Sample]:
    """Return a task's samples.

    Args:
        name: a registered name, or `jsonl:PATH`.
        limit: at most this many, drawn evenly over the task by a fixed seed and kept in the task's order.

    Raises:
        UnknownNameError: for any other name.
    """
    samples = jsonl.samples(Path(name.removeprefix(JSONL))) if name.startswith(JSONL) else TASKS[name]()
    if limit is None or limit >= len(samples):
        return samples
    chosen = np.random.default_rng(0).permutation(len(samples))[:limit]
    return [samples[index] for index in sorted(chosen)]


def question_text(sample: Sample) -> str:
    """Return what a model is asked: the question, with its choices and how to name one, if it has any."""
    if not sample.choices:
        return sample.question
    options = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, sample.choices, strict=False)]
    return "\n".join([sample.question, *options, "Answer with the option's letter from the given choices directly."])
