"""Tasks by name: each is a list of samples in a fixed order."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from vqttt.errors import InputError, PluginError, UnknownNameError, in_a_line
from vqttt.registry import Registry
from vqttt.scoring import RULES, normalise
from vqttt.tasks import benchmarks, digits, easy_vqa, fashion_mnist, jsonl, tsv, vq_mini
from vqttt.tasks.broken import broken, fault, some_usable
from vqttt.tasks.references import settle
from vqttt.types import LETTERS, Sample, letters_of

__all__ = ["FILES", "TASKS", "Task", "chance", "find_task", "is_file", "limited", "load_task", "question_text"]

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
        limit: maximum number of samples, 1 or more, chosen at random with a fixed seed; they stay in the task's order.
            None for all.

    Raises:
        UnknownNameError: for any other name.
        InputError: if the task cannot be read, has a path though it takes none, or the limit is below 1.
        MissingExtraError: if the task needs a package that is not installed.
        PluginError: if another package's task cannot be imported, fails, or does not return samples.
    """
    task = find_task(name)
    limited([], limit)  # refuses a wrong limit before anything is read
    return limited(task(), limit)


def limited(samples: list[Sample], limit: int | None) -> list[Sample]:
    """Return at most `limit` of a task's samples, chosen as `load_task` does; None for all.

    Raises:
        InputError: if the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, not {limit}; leave it out for all samples")
    if limit is None or limit >= len(samples):
        return samples
    chosen = np.random.default_rng(0).permutation(len(samples))[:limit]
    return [samples[index] for index in sorted(chosen)]


def find_task(name: str) -> Task:
    """Return the function that loads a task, without calling it; raises for a wrong name as `load_task` does."""
    kind, colon, path = name.partition(":")
    if colon and kind in FILES:
        if not path:
            raise InputError(f"{name!r} lacks a path; give {kind}:PATH")
        return partial(FILES[kind], Path(path))
    if colon and kind in benchmarks.BENCHMARKS:
        if not path:
            raise InputError(f"{name!r} lacks a path; give {kind}:PATH, or {kind} for the Hugging Face Hub")
        return partial(benchmarks.samples, benchmarks.BENCHMARKS[kind], path)
    if colon and kind in TASKS:
        known = ", ".join((*FILES, *benchmarks.BENCHMARKS))
        raise InputError(f"the task {kind!r} takes no path; these do: {known}")
    if name not in TASKS:
        raise UnknownNameError(TASKS.kind, name, TASKS, _files_for(name))
    task, origin = TASKS[name], TASKS.origin(name)
    return partial(_checked, task, f"the task {name!r} of the package {origin}") if origin else task


def _files_for(name: str) -> str:
    """Say how a file is given as a task; if the unknown name is that of a file, with that file."""
    forms = "or a file, as " + " or ".join(f"{kind}:PATH" for kind in FILES)
    before, colon, after = name.partition(":")
    path = after if colon and before.isalnum() and len(before) > 1 else name  # one letter is a drive
    suffix = Path(path).suffix.lower().removeprefix(".")
    return f"{forms}; give {suffix}:{path}" if suffix in FILES else forms


def is_file(name: str) -> bool:
    """Tell whether a task is a file of the user's own questions: `jsonl:PATH` or `tsv:PATH`."""
    kind, colon, _ = name.partition(":")
    return bool(colon) and kind in FILES


def question_text(sample: Sample) -> str:
    """Return the text that a model is asked.

    This is the prescribed prompt if there is one, otherwise the question, followed by its choices if it has any.
    """
    if sample.prompt or not sample.choices:
        return sample.prompt or sample.question
    options = [f"{letter}. {sample.choices[LETTERS.index(letter)]}" for letter in letters_of(sample.choices)]
    return "\n".join([sample.question, *options, "Answer with the option's letter from the given choices directly."])


def chance(sample: Sample) -> float:
    """Return the probability of guessing the answer, 0 to 1: by choosing an option, or yes or no; else NaN."""
    if sample.choices:
        return 1 / len(letters_of(sample.choices))
    answers = {normalise(answer) for answer in sample.answers}
    return 0.5 if answers and answers <= {"yes", "no"} else math.nan


def _checked(task: Task, source: str) -> list[Sample]:
    """Load another package's task, and check that a study can use its samples.

    Raises:
        PluginError: if it fails, or returns anything but samples with distinct ids and known scoring rules.
        InputError: if none of the samples can be used.
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
        if not isinstance(sample.id, str):
            raise PluginError(f"{source}: the id {sample.id!r} is not a text")
        if not isinstance(sample.rule, str) or sample.rule not in RULES:
            raise PluginError(f"{source}: sample {sample.id!r} has the rule {sample.rule!r}, which does not exist")
    name, count = Counter(sample.id for sample in samples).most_common(1)[0]
    if count > 1:
        raise PluginError(f"{source}: {count} samples have the id {name!r}; ids must be unique")
    return some_usable([_settled(sample) for sample in samples], f"samples of {source}", "correct the task")


def _settled(sample: Sample) -> Sample:
    """Return a sample with its references as its rule compares them; marked, if they cannot be used."""
    if fault(sample):
        return sample
    reason = ""
    if not isinstance(sample.question, str) or not isinstance(sample.prompt, str):
        reason = "its question and prompt must be texts"
    elif not (sample.question + sample.prompt).strip():
        reason = "the question is empty"
    elif not (_are_texts(sample.answers) and _are_texts(sample.choices)):
        reason = "its answers and choices must be tuples of texts"
    else:
        try:
            return replace(sample, answers=settle(sample.answers, sample.choices, sample.rule))
        except ValueError as error:
            reason = str(error)
    return broken(sample.id, f"{sample.id}: {reason}")


def _are_texts(values: Any) -> bool:
    """Tell whether another package gave a list of texts; a single text would be taken for a list of its letters."""
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)
