"""Benchmark scores other than the mean, on rows counted by hand."""

import pytest

from vqttt.scoring.aggregates import AGGREGATES, aggregate


def row(name: str, category: str = "", score: float = 0.0, answer: str = "", reference: str = "") -> dict:
    return {
        "sample_id": name, "category": category, "question_type": "", "reference": reference, "answer": answer,
        "score": score,
    }  # fmt: skip


def test_other_tasks_have_none() -> None:
    assert aggregate("vqav2", [row("a", score=1)]) == {} == aggregate("tsv:/some/MME.tsv", [row("a")])
    for task in AGGREGATES:
        assert all(value >= 0 for value in aggregate(f"{task}:/some/folder", []).values())


def test_mme_adds_accuracy_and_accuracy_plus_of_pairs() -> None:
    rows = [
        row("mme-color/1.png", "color", 1), row("mme-color/1.png#2", "color", 1),
        row("mme-color/2.png", "color", 1), row("mme-color/2.png#2", "color", 0),
        row("mme-OCR/1.png", "OCR", 0), row("mme-OCR/1.png#2", "OCR", 0),
        row("mme-code_reasoning/1.png#2", "code_reasoning", 1), row("mme-code_reasoning/1.png", "code_reasoning", 1),
        row("mme-count/1.png", "count", 1),
    ]  # fmt: skip
    # Color: three of four right, one pair of two: 75 + 50. The count's other question was left out.
    assert aggregate("mme", rows) == {
        "perception": 125, "cognition": 200, "pairs": 4, "color": 125, "OCR": 0, "code_reasoning": 200,
    }  # fmt: skip


def test_pope_counts_yes() -> None:
    rows = [
        row("a", "random", answer="Yes", reference="yes"),
        row("b", "random", answer="Yes, there is", reference="yes"),
        row("c", "popular", answer="yes", reference="no"),
        row("d", "popular", answer="There is no dog", reference="no"),
        row("e", "popular", answer="green", reference="yes"),
    ]
    found = aggregate("pope", rows)
    # Three say yes, two of them rightly; three should say yes, two of them do; three of five are right.
    assert [found[name] for name in ("accuracy", "precision", "recall", "f1", "yes ratio")] == pytest.approx(
        [60, 200 / 3, 200 / 3, 200 / 3, 60]
    )
    assert [found[f"random {name}"] for name in ("accuracy", "precision", "recall", "f1")] == [100, 100, 100, 100]
    assert [found[f"popular {name}"] for name in ("precision", "recall", "f1")] == [0, 0, 0]
    assert "adversarial f1" not in found


def test_mmbench_requires_every_rotation_to_be_right() -> None:
    rows = [row("mmbench-241", score=1), row("mmbench-1000241", score=0), row("mmbench-2000241", score=1)]
    rows += [row("mmbench-7", score=1), row("mmbench-1000007", score=1), row("mmbench-8", score=0)]
    found = aggregate("mmbench", rows)
    assert found == {"accuracy": pytest.approx(400 / 6), "circular": pytest.approx(100 / 3), "questions": 3}


def test_sums_and_parts() -> None:
    rows = [row("a", "Doc-oriented VQA", 1), row("b", "Doc-oriented VQA", 1), row("c", "Handwriting Recognition", 0)]
    assert aggregate("ocrbench", rows) == {"final score": 2, "Doc-oriented VQA": 2, "Handwriting Recognition": 0}
    rows = [row("a", "human", 1), row("b", "human", 0), row("c", "augmented", 1)]
    assert aggregate("chartqa", rows) == {"human": 50, "augmented": 100, "mean": 75}
