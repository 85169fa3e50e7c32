"""Tasks by name: samples in a fixed order."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from vqttt.errors import InputError
from vqttt.registry import Registry
from vqttt.tasks import benchmarks, digits, easy_vqa, fashion_mnist, jsonl, tsv, vq_mini
from vqttt.types import LETTERS, Sample

TASKS: Registry[Callable[[], list[Sample]]] = Registry("task")

TASKS.add("easy-vqa", easy_vqa.samples, "one coloured shape, 9,673 questions (easy-VQA)")
TASKS.add("digits", digits.samples, "600 handwritten digits asked as questions (scikit-learn)")
TASKS.add("fashion-mnist", fashion_mnist.samples, "10,000 photographs of clothing (Debian dataset-fashion-mnist)")
TASKS.add("vq-mini", vq_mini.samples, "2,000 seeded scenes, eight categories from existence to arithmetic")
for _benchmark in benchmarks.BENCHMARKS.values():
    TASKS.add(_benchmark.name, partial(benchmarks.samples, _benchmark), _benchmark.summary)

FILES: dict[str, Callable[[Path], list[Sample]]] = {"jsonl": jsonl.samples, "tsv": tsv.samples}
"""What begins the name of a task that is a file, before a colon, and how such a file is read."""


def load_task(name: str, limit: int | None = None) -> list[Sample]:
    """Return a task's samples.

    Args:
        name: a registered name, a benchmark's with a folder or parquet file (`mmmu:PATH`), `jsonl:PATH` or `tsv:PATH`.
        limit: at most this many, drawn evenly over the task by a fixed seed and kept in the task's order.

    Raises:
        UnknownNameError: for any other name.
        InputError: if the task cannot be read, or a path is given to one that takes none.
        MissingExtraError: if it needs a package that is not installed.
    """
    samples = find_task(name)()
    if limit is None or limit >= len(samples):
        return samples
    chosen = np.random.default_rng(0).permutation(len(samples))[:limit]
    return [samples[index] for index in sorted(chosen)]


def find_task(name: str) -> Callable[[], list[Sample]]:
    """Return what loads a task, without loading it; raises for a wrong name as `load_task` does."""
    kind, colon, path = name.partition(":")
    if colon and kind in FILES:
        return partial(FILES[kind], Path(path))
    if colon and kind in benchmarks.BENCHMARKS:
        if not path:
            raise InputError(f"{name!r} lacks a path; give {kind}:PATH, or {kind} for the Hub")
        return partial(benchmarks.samples, benchmarks.BENCHMARKS[kind], path)
    if colon and kind in TASKS:
        known = ", ".join((*FILES, *benchmarks.BENCHMARKS))
        raise InputError(f"the task {kind!r} takes no path; these do: {known}")
    return TASKS[name]


def question_text(sample: Sample) -> str:
    """Return what a model is asked: the prescribed prompt, or the question, with its choices and how to name one."""
    if sample.prompt or not sample.choices:
        return sample.prompt or sample.question
    options = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, sample.choices, strict=False)]
    return "\n".join([sample.question, *options, "Answer with the option's letter from the given choices directly."])
