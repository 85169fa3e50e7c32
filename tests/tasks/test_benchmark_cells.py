"""Benchmark tables whose cells are null, name no option, or hold images of other kinds: each costs only its row."""

import base64
from pathlib import Path

import datasets
import polars as pl
import pytest

from tests.support import benchmark_tables as made
from vqttt.errors import InputError
from vqttt.scoring import score
from vqttt.tasks import load_task
from vqttt.tasks.benchmarks import BENCHMARKS
from vqttt.tasks.broken import fault

pytestmark = pytest.mark.usefixtures("own_cache")


def one_by_one(table: datasets.Dataset) -> list[dict]:
    """A table's rows with their images encoded, to be changed."""
    return list(table.cast_column("image", datasets.Image(decode=False)))


def stored(rows: list[dict], features: datasets.Features, path: Path) -> str:
    datasets.Dataset.from_list(rows, features=features).to_parquet(path)
    return str(path)


@pytest.mark.parametrize("name", [name for name in made.TABLES if name not in ("mathvista", "mmmu", "gqa")])
def test_null_cells_cost_only_their_row(name: str, tmp_path: Path) -> None:
    table = made.TABLES[name]()
    columns = [column for column in BENCHMARKS[name].columns if column not in ("hint", "A", "B", "C", "D")]
    rows = [one_by_one(table)[0] for _ in (*columns, "good")]
    for row, column in zip(rows, columns, strict=False):
        row[column] = None
    read = load_task(f"{name}:{stored(rows, table.features, tmp_path / 'null.parquet')}")
    assert len(read) == len(rows) == len({sample.id for sample in read}) and not fault(read[-1])
    for sample, column in zip(read, columns, strict=False):
        assert "None" not in (sample.category, sample.question_type, sample.id), column
        assert not any(part.endswith("None") for part in (sample.id, *sample.answers)), column
        assert fault(sample) or column not in ("question", "answer", "answers"), column
    assert "it has no question" in fault(read[columns.index("question")])


def test_references_that_name_no_option_are_marked(tmp_path: Path) -> None:
    table = made.ai2d()
    rows = [one_by_one(table)[0] | {"answer": answer} for answer in ("1", "-1", "4", "AC", "D.", "C")]
    read = load_task(f"ai2d:{stored(rows, table.features, tmp_path / 'odd.parquet')}")
    assert [sample.answers[0] for sample in read if not fault(sample)] == ["B", "D", "C"]  # the options are B, C, D, A
    assert all("option" in fault(read[n]) for n in (1, 2, 3))
    table = made.mmbench()
    rows = [one_by_one(table)[0] | {"answer": answer} for answer in ("B", "AB", "E", "")]
    read = load_task(f"mmbench:{stored(rows, table.features, tmp_path / 'mm.parquet')}")
    assert [bool(fault(sample)) for sample in read] == [False, True, True, True]


def test_an_option_called_none_and_a_gap_in_mmbench(tmp_path: Path) -> None:
    table = made.mmbench()
    row = one_by_one(table)[0] | {"A": None, "B": "None", "C": "nan", "D": "red", "answer": "D"}
    (read,) = load_task(f"mmbench:{stored([row], table.features, tmp_path / 'mm.parquet')}")
    assert read.choices == ("", "None", "", "red") and read.prompt.startswith("Which color?\nB. None\nD. red\nAnswer")
    assert [score(letter, read) for letter in "ABCD"] == [0, 0, 0, 1]


def test_options_of_mmstar_that_cannot_be_found(tmp_path: Path) -> None:
    table = made.mmstar()
    rows = one_by_one(table)
    rows[0] |= {"question": "Which?\nOptions: A: red; B: green; C: blue; D: gray", "answer": "C"}
    read = load_task(f"mmstar:{stored(rows, table.features, tmp_path / 'star.parquet')}")
    assert read[0].choices == ("", "", "", "") and score("C", read[0]) == 1 and not fault(read[0])


def test_images_in_cells_of_other_kinds(tmp_path: Path) -> None:
    encoded = made.image(made.GREEN)["bytes"]
    text = base64.b64encode(encoded).decode()
    rows = {"question": ["Which?"], "options": [["B", "C"]], "answer": ["1"]}
    for name, cell in {
        "base64": text,
        "listed": [encoded],
        "list": [text],
        "uri": f"data:image/png;base64,{text}",
    }.items():
        pl.DataFrame(rows | {"image": [cell]}).write_parquet(tmp_path / f"{name}.parquet")
        assert tuple(load_task(f"ai2d:{tmp_path / name}.parquet")[0].load()[0, 0]) == made.GREEN
    features = made.ai2d().features | {"image": datasets.List(datasets.Image())}
    row = {"question": "Which?", "options": ["B", "C"], "answer": "1"}
    images = [made.image(made.GREEN), made.image(made.BLUE)]
    path = stored(
        [row | {"image": images[:1]}, row | {"image": images}], datasets.Features(features), tmp_path / "l.parquet"
    )
    one, two = load_task(f"ai2d:{path}")
    assert tuple(one.load()[0, 0]) == made.GREEN
    with pytest.raises(InputError, match=r"several images \(2\); these tasks take one"):
        two.load()
