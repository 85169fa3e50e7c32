"""Examples that show on a report's first screen what quality and tuning do to single answers of each model.

They are chosen to illustrate, not drawn at random; the numbers beside them are the evidence.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import polars as pl

from vqttt.results import summary
from vqttt.results.report.browser import BY_QUALITY, IMAGE, examples_of
from vqttt.results.statistics import RIGHT
from vqttt.results.tables import label
from vqttt.runs.records import CELL, CLEAN, NONE

MOST = 4
"""Examples on the first screen, of all models together; each model has at least one, if it has any."""

_IMAGE = [name for name in CELL if name != "method"] + ["sample_id"]
_BY_QUALITY = {
    (False, True): "corrected by degradation",
    (True, False): "broken by degradation",
    (True, True): "right on both images",
    (False, False): "wrong on both images",
}
"""What happened, by whether the answers to the clean and to the degraded image are right."""


class Picture(NamedTuple):
    """One version of an image, and the answer to it.

    Attributes:
        name: what was done to the image.
        uri: the image as a data URI.
        answer: the model's answer; empty if it gave none.
        right: whether the answer counts as right.
    """

    name: str
    uri: str
    answer: str
    right: bool


class Story(NamedTuple):
    """One question about two or three versions of an image.

    Attributes:
        title: what happened.
        question: the question.
        where: condition and task, in words.
        pictures: clean, degraded, and as tuned, if that image was stored.
    """

    title: str
    question: str
    where: str
    pictures: tuple[Picture, ...]

    @property
    def rights(self) -> tuple[bool, ...]:
        """Whether each answer is right."""
        return tuple(picture.right for picture in self.pictures)


def stories(
    details: Sequence[Mapping[str, Any]], records: pl.DataFrame, findings: Sequence[dict[str, Any]]
) -> dict[str, list[Story]]:
    """Choose examples for each model: helped by degradation where it helps, else broken by it; corrected by tuning.

    Args:
        details: contents of the files in `examples/`.
        records: records of unrestored images, which say what was answered and whether it was right.
        findings: the facts about each model.
    """
    examples = [
        one
        for one in examples_of([dict(cell) for cell in details])
        if one["restorer"] == NONE and one["degradation"] != CLEAN and _has(one, "clean") and _has(one, "degraded")
    ]
    answers = _answers(examples, records)
    several = records["task"].n_unique() > 1
    per_model = max(1, MOST // max(1, len(findings)))
    own = {facts["model"]: [one for one in examples if one["model"] == facts["model"]] for facts in findings}
    return {facts["model"]: _of_model(own[facts["model"]], answers, facts, several)[:per_model] for facts in findings}


def _has(example: Mapping[str, Any], version: str) -> bool:
    return bool(IMAGE.fullmatch(str(example.get(version))))


def _answers(examples: Sequence[Mapping[str, Any]], records: pl.DataFrame) -> dict[tuple[Any, ...], tuple[str, bool]]:
    """Return the answers to all versions of the examples' images, and whether they are right, by cell and sample."""
    some = records.filter(pl.col("sample_id").is_in(list({str(one.get("sample_id")) for one in examples})))
    tuned = some.filter(pl.col("method") != NONE).select(*_IMAGE, "method", "answer", "score")
    base = summary.untuned(some).select(*_IMAGE, pl.lit(NONE).alias("method"), "base_answer", "base_score")
    rows = chain(tuned.iter_rows(), base.iter_rows())
    return {tuple(key): (str(answer or ""), score >= RIGHT) for *key, answer, score in rows}


def _of_model(
    examples: Sequence[Mapping[str, Any]],
    answers: Mapping[tuple[Any, ...], tuple[str, bool]],
    facts: Mapping[str, Any],
    several: bool,
) -> list[Story]:
    """Order a model's examples by what they show; different images and kinds of change come first."""
    told = [(one, story) for one in examples if (story := _story(one, answers, several))]
    row, method = facts["helps"], facts["best"]["method"]
    best = ("task", "degradation", "severity")

    def unfit(pair: tuple[Mapping[str, Any], Story]) -> tuple[bool, ...]:
        one, story = pair
        away = [bool(row) and any(one[name] != row[name] for name in names) for names in (best, best[:2])]
        another = method is not None and one["method"] not in (NONE, method.method)
        return (*away, len(story.pictures) < 3, another, not all(picture.answer for picture in story.pictures))

    told.sort(key=unfit)
    helped = [pair for pair in told if pair[1].rights[:2] == (False, True)]
    rescued = [pair for pair in told if pair[1].rights == (True, False, True)]
    found = [pair for pair in told if pair[1].rights == (False, False, True)]
    hurt = [pair for pair in told if pair[1].rights == (True, False)]
    return list(_distinct((helped, rescued, found, hurt) if row else (rescued, helped, hurt, found)))


def _distinct(kinds: Sequence[Sequence[tuple[Mapping[str, Any], Story]]]) -> Iterator[Story]:
    """Yield stories from each kind in turn, no image twice and each degradation as rarely as possible."""
    left = [list(kind) for kind in kinds]
    images, seen = set[Any](), dict[Any, int]()
    while any(left):
        for kind in left:
            kind[:] = [pair for pair in kind if (pair[0]["task"], pair[0].get("sample_id")) not in images]
            if not kind:
                continue
            # The sort is stable, so the fittest of the rarest degradation comes first.
            one, story = min(kind, key=lambda pair: seen.get(pair[0]["degradation"], 0))
            images.add((one["task"], one.get("sample_id")))
            seen[one["degradation"]] = seen.get(one["degradation"], 0) + 1
            yield story


def _story(
    example: Mapping[str, Any], answers: Mapping[tuple[Any, ...], tuple[str, bool]], several: bool
) -> Story | None:
    """Tell an example, with the answers of the records; None if they lack one."""
    clean = {**example, "degradation": CLEAN, "severity": 0}
    versions = [("clean", "clean", clean, NONE), ("degraded", "degraded", example, NONE)]
    if example["flip"] not in BY_QUALITY and _has(example, "filtered"):
        versions.append(("as tuned", "filtered", example, example["method"]))
    pictures = []
    for name, version, cell, method in versions:
        answer = answers.get((*(cell.get(key) for key in _IMAGE), method))
        if answer is None:
            return None
        pictures.append(Picture(name, str(example[version]), *answer))
    rights = tuple(picture.right for picture in pictures)
    where = f"{label(example['degradation'])}, severity {example['severity']}"
    where = f"{example['task']} · {where}" if several else where
    where += f" · {example['method']}" if len(versions) == 3 else ""
    return Story(_title(rights), str(example.get("question") or ""), where, tuple(pictures))


def _title(rights: tuple[bool, ...]) -> str:
    """Say what happened to the answer."""
    by_quality = _BY_QUALITY[rights[0], rights[1]]
    if len(rights) < 3 or rights[2] == rights[1]:
        return by_quality
    return f"{by_quality}, {'corrected' if rights[2] else 'broken'} by tuning"
