"""Benchmark scores that are not a mean over questions, such as MME's sums over pairs and POPE's F1.

Each function takes the rows of one cell, mappings with the fields `sample_id`, `category`, `question_type`,
`reference`, `answer` and `score`, and returns numbers by name, in the order in which they are shown.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from vqttt.scoring import yes_no
from vqttt.scoring.reasoning import without_reasoning

Rows: TypeAlias = list[Mapping[str, Any]]

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


def aggregate(task: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the scores that a benchmark reports for a cell; empty if it reports only the mean.

    For the untuned answers, or for format credit, pass rows with those as `answer` and `score`.

    Args:
        task: a task's name, as for `load_task`; of `mme:/some/folder` only the part before the colon matters.
        rows: records of one cell, as dictionaries.
    """
    summarise = AGGREGATES.get(task.partition(":")[0])
    return summarise(list(rows)) if summarise else {}


def mme(rows: Rows) -> dict[str, float]:
    """MME (Fu et al. 2023): for each category, accuracy plus accuracy+ (both questions of an image right), in percent.

    `perception` and `cognition` are the sums over their categories, at most 2000 and 800. Two questions are a pair if
    their ids differ only in the "#2" of the second; a question whose partner was left out by a limit is not counted.
    """
    pairs = defaultdict[str, defaultdict[str, list[float]]](lambda: defaultdict(list))
    for row in rows:
        pairs[row["category"]][row["sample_id"].removesuffix("#2")].append(row["score"])
    found = dict[str, float]()
    for category, of_image in pairs.items():
        whole = [scores for scores in of_image.values() if len(scores) == 2]
        if whole:
            accuracy = sum(map(sum, whole)) / (2 * len(whole))
            found[category] = 100 * accuracy + 100 * sum(sum(scores) == 2 for scores in whole) / len(whole)
    sums = {
        "perception": sum(found.get(name, 0.0) for name in PERCEPTION),
        "cognition": sum(found.get(name, 0.0) for name in COGNITION),
        "pairs": float(sum(len(scores) == 2 for one in pairs.values() for scores in one.values())),
    }
    known = [name for name in (*PERCEPTION, *COGNITION) if name in found]
    return sums | {name: found[name] for name in known}


def pope(rows: Rows) -> dict[str, float]:
    """POPE (Li et al. 2023): accuracy, precision, recall and F1 of `yes`, and the share of `yes`, in percent.

    Over all rows, then for each of the splits adversarial, popular and random. An answer that is neither yes nor no is
    wrong, and does not count as `yes`.
    """
    found = _pope(rows)
    for split in ("adversarial", "popular", "random"):
        part = [row for row in rows if row["category"] == split]
        found |= {f"{split} {name}": value for name, value in _pope(part).items()} if part else {}
    return found


def _pope(rows: Rows) -> dict[str, float]:
    said = [(yes_no.pope(without_reasoning(row["answer"])), row["reference"]) for row in rows]
    hits = sum(given == wanted == "yes" for given, wanted in said)
    given_yes, are_yes = sum(given == "yes" for given, _ in said), sum(wanted == "yes" for _, wanted in said)
    precision, recall = _share(hits, given_yes), _share(hits, are_yes)
    return {
        "accuracy": _share(sum(given == wanted for given, wanted in said), len(said)),
        "precision": precision,
        "recall": recall,
        "f1": _share(2 * precision * recall, precision + recall) / 100,
        "yes ratio": _share(given_yes, len(said)),
    }


def mmbench(rows: Rows) -> dict[str, float]:
    """MMBench (Liu et al. 2023): accuracy over rows, and circular accuracy, in percent.

    In circular accuracy a question is right if it is right in every rotation of its options. The indices of a
    question's rotations differ by millions. `questions` counts each question once.
    """
    rotations = defaultdict[str, list[float]](list)
    for row in rows:
        index = row["sample_id"].rpartition("-")[2]
        rotations[str(int(index) % 1_000_000) if index.isdecimal() else index].append(row["score"])
    right = sum(min(scores) for scores in rotations.values())
    return {
        "accuracy": _share(sum(row["score"] for row in rows), len(rows)),
        "circular": _share(right, len(rotations)),
        "questions": float(len(rotations)),
    }


def ocrbench(rows: Rows) -> dict[str, float]:
    """OCRBench (Liu et al. 2023): how many of its 1,000 questions are right, in total and by category."""
    counts = defaultdict[str, float](float)
    for row in rows:
        counts[row["category"]] += row["score"]
    return {"final score": sum(counts.values())} | dict(counts)


def chartqa(rows: Rows) -> dict[str, float]:
    """ChartQA (Masry et al. 2022): relaxed accuracy on human and augmented questions, and their mean, in percent."""
    parts = defaultdict[str, list[float]](list)
    for row in rows:
        parts[row["category"]].append(row["score"])
    found = {name: _share(sum(scores), len(scores)) for name, scores in parts.items()}
    return found | {"mean": sum(found.values()) / len(found)} if found else {}


def _share(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


AGGREGATES: dict[str, Callable[[Rows], dict[str, float]]] = {
    "mme": mme,
    "pope": pope,
    "mmbench": mmbench,
    "ocrbench": ocrbench,
    "chartqa": chartqa,
}
"""The benchmarks that report more than a mean, by name."""
