"""Tasks by name: each is a list of samples in a fixed order."""

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from vqttt.errors import InputError, PluginError, in_a_line
from vqttt.registry import Registry
from vqttt.scoring import RULES
from vqttt.tasks import benchmarks, digits, easy_vqa, fashion_mnist, jsonl, tsv, vq_mini
from vqttt.types import LETTERS, Sample

__all__ = ["FILES", "TASKS", "Task", "chance", "find_task", "load_task", "question_text"]

Task: TypeAlias = Callable[[], list[Sample]]
"""Returns the samples of a task: the same ones, in the same order, every time."""

TASKS: Registry[Task] = Registry("task", group="vqttt.tasks")
TASKS.add("easy-vqa", easy_vqa.samples, "one coloured shape, 9,673 questions (easy-VQA)")
TASKS.add("digits", digits.samples, "600 questions about handwritten digits (scikit-learn)")
TASKS.add("fashion-mnist", fashion_mnist.samples, "10,000 photographs of clothing (Debian dataset-fashion-mnist)")
TASKS.add("vq-mini", vq_mini.samples, "2,000 generated scenes, eight categories from existence to arithmetic")
for _benchmark in benchmarks.BENCHMARKS.values():
    TASKS.add(_benchmark.name, partial(benchmarks.samples, _benchmark), _benchmark.summary)

FILES: dict[str, Callable[[Path], list[Sample]]] = {"jsonl": jsonl.samples, "tsv": tsv.samples}
"""The kinds of file that can be a task, named as `KIND:PATH`, and the function that reads each."""


def load_task(name: str, limit: int | None = None) -> list[Sample]:
    """Return a task's samples.

    Args:
        name: a registered name; a benchmark's with a folder or parquet file (`mmmu:PATH`); `jsonl:PATH` or `tsv:PATH`.
        limit: maximum number of samples, chosen at random with a fixed seed; they stay in the task's order.

    Raises:
        UnknownNameError: for any other name.
        InputError: if the task cannot be read, or has a path though it takes none.
        MissingExtraError: if the task needs a package that is not installed.
        PluginError: if another package's task cannot be imported, fails, or does not return samples.
    """
    samples = find_task(name)()
    if limit is None or limit >= len(samples):
        return samples
    chosen = np.random.default_rng(0).permutation(len(samples))[:limit]
    return [samples[index] for index in sorted(chosen)]


def find_task(name: str) -> Task:
    """Return the function that loads a task, without calling it; raises for a wrong name as `load_task` does."""
    kind, colon, path = name.partition(":")
    if colon and kind in FILES:
        return partial(FILES[kind], Path(path))
    if colon and kind in benchmarks.BENCHMARKS:
        if not path:
            raise InputError(f"{name!r} lacks a path; give {kind}:PATH, or {kind} for the Hugging Face Hub")
        return partial(benchmarks.samples, benchmarks.BENCHMARKS[kind], path)
    if colon and kind in TASKS:
        known = ", ".join((*FILES, *benchmarks.BENCHMARKS))
        raise InputError(f"the task {kind!r} takes no path; these do: {known}")
    task, origin = TASKS[name], TASKS.origin(name)
    return partial(_checked, task, f"the task {name!r} of the package {origin}") if origin else task


def question_text(sample: Sample) -> str:
    """Return the text that a model is asked.

    This is the prescribed prompt if there is one, otherwise the question, followed by its choices if it has any.
    """
    if sample.prompt or not sample.choices:
        return sample.prompt or sample.question
    options = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, sample.choices, strict=False)]
    return "\n".join([sample.question, *options, "Answer with the option's letter from the given choices directly."])


def chance(sample: Sample) -> float:
    """Return the probability of guessing the answer, 0 to 1: by choosing an option, or yes or no; else NaN."""
    if sample.choices:
        return 1 / sum(bool(choice.strip()) for choice in sample.choices)
    return 0.5 if {answer.strip().lower() for answer in sample.answers} <= {"yes", "no"} else math.nan


def _checked(task: Task, source: str) -> list[Sample]:
    """Load another package's task, and check that a study can use its samples.

    Raises:
        PluginError: if it fails, or returns anything but samples with distinct ids and known scoring rules.
    """
    try:
        samples: Any = task()
    except Exception as error:  # another package's code may raise anything
        raise PluginError(f"{source} failed: {in_a_line(error)}") from error
    if not isinstance(samples, list) or not samples:
        got = "an empty list" if isinstance(samples, list) else type(samples).__name__
        raise PluginError(f"{source} returned {got}; it must return a list of Sample")
    for number, sample in enumerate(samples):
        if not isinstance(sample, Sample):
            raise PluginError(
                f"{source} returned a list whose item {number} is of type {type(sample).__name__}; "
                "it must return a list of Sample"
            )
        if sample.rule not in RULES:
            raise PluginError(f"{source}: sample {sample.id!r} has the rule {sample.rule!r}, which does not exist")
    name, count = Counter(sample.id for sample in samples).most_common(1)[0]
    if count > 1:
        raise PluginError(f"{source}: {count} samples have the id {name!r}; ids must be unique")
    return samples
