"""The examples and kernels that a report chooses to show."""

from pathlib import Path

import pytest

from tests.support.runs import write_cell, write_examples, write_run
from vqttt.results.report import browser
from vqttt.runs.loading import load_examples, load_records


def test_examples_are_spread_over_all_kinds_within_a_budget(tmp_path: Path) -> None:
    records = load_records(write_run(tmp_path))
    details = load_examples(tmp_path)
    every = browser.collect(details, records)
    assert every["total"] == len(every["examples"]) == 32
    assert len(every["images"]) == 3 and len(every["kernels"]) == 2  # each stored once, although many examples show it
    for names, combinations in ((("flip", "task"), 8), (("flip", "task", "degradation"), 16)):
        first = every["examples"][:combinations]
        assert len({tuple(example[name] for name in names) for example in first}) == combinations
    few = browser.collect(details, records, budget=24_000)
    assert len(browser.as_json(few)) < 24_000 and 4 <= len(few["examples"]) < 32
    assert {example["flip"] for example in few["examples"]} == {"corrective", "destructive", "helped", "hurt"}


def test_unchanged_answers_are_the_last_examples(tmp_path: Path) -> None:
    write_cell(tmp_path, "digits", "fog", 3, "vq-ttt")
    write_examples(tmp_path, "digits", "fog", 3, "vq-ttt", ("same", "destructive", "same", "corrective"))
    examples = browser.collect(load_examples(tmp_path), load_records(tmp_path))["examples"]
    assert [example["flip"] for example in examples] == ["destructive", "corrective", "same", "same"]


def test_examples_of_earlier_versions_are_understood(tmp_path: Path) -> None:
    write_cell(tmp_path, "digits", "fog", 3, "vq-ttt")
    write_examples(tmp_path, "digits", "fog", 3, "vq-ttt")
    examples = load_examples(tmp_path)
    for example in examples[0]["examples"]:
        example["through"] = example.pop("how")
    shown = browser.collect(examples, load_records(tmp_path))["examples"]
    assert all("through its kernel" in str(example) for example in shown)


def test_examples_have_the_confidence_before_and_after(tmp_path: Path) -> None:
    records = load_records(write_run(tmp_path)).filter(task="digits", sample_id="digits-000")
    shown = {
        (example["sample_id"], example["degradation"], example["severity"], example["flip"]): example["confidence"]
        for example in browser.collect(load_examples(tmp_path), records)["examples"]
    }
    (tuned,) = records.filter(method="vq-ttt", degradation="fog", severity=1).to_dicts()
    (clean,) = records.filter(method="none", degradation="clean").to_dicts()
    expected = pytest.approx([tuned["base_confidence"], tuned["confidence"]], abs=6e-4)
    assert shown["digits-000", "fog", 1, "corrective"] == expected
    expected = pytest.approx([clean["base_confidence"], tuned["base_confidence"]], abs=6e-4)
    assert shown["digits-000", "fog", 1, "helped"] == expected
    assert shown["shapes-000", "fog", 1, "helped"] == [None, None]
