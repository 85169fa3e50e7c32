"""Whatever a file holds, loading it gives samples, some of them marked, or one `InputError` in one line."""

import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.support.fuzzing import examples
from vqttt.errors import InputError
from vqttt.tasks import chance, load_task, question_text
from vqttt.tasks.broken import fault
from vqttt.types import Sample

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
awkward = some.sampled_from([
    "", " ", "None", "nan", "NaN", "null", "A", "B.", "AC", "['A', 'C']", "[]", '["x"]', "0", "-1", "1e999", "\0", "\r",
    '"', '""', '"a', "\ud800", "https://x.org/a.png", "data:,", "data:image/png;base64,", IMAGE, f"['{IMAGE}']",
    f"[{IMAGE}", "a" * 300, "../..", "A" * 65, "\x85", "\u2028", "é", "row 2", "line 1",
])  # fmt: skip
cells = awkward | some.text(max_size=20)
scalars = some.none() | some.booleans() | some.integers() | some.floats() | cells
values = some.recursive(
    scalars, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(cells, inner, max_size=3)
)
fields = some.sampled_from(["id", "image", "question", "answer", "choices", "category", "question_type", "other"])
objects = some.dictionaries(fields, values, max_size=8)
good = {"image": "a.png", "question": "what?", "answer": "red"}


pytestmark = pytest.mark.usefixtures("own_cache")


def check(kind: str, content: bytes, name: str = "own", rows: int | None = None) -> None:
    """Load a file and look at every sample as a study would."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.{kind}"
        path.write_bytes(content)
        try:
            samples = load_task(f"{kind}:{path}")
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 2000
            return
        assert rows is None or len(samples) == rows
        assert len({sample.id for sample in samples}) == len(samples)
        for sample in samples:
            look(sample)


def look(sample: Sample) -> None:
    texts = (sample.id, sample.question, sample.category, sample.question_type, *sample.answers, *sample.choices)
    assert all(isinstance(text, str) and "\0" not in text for text in texts)
    "".join(texts).encode()
    assert sample.answers and sample.id
    if not fault(sample):
        assert question_text(sample).strip() and any(sample.answers)
        assert not 0 <= chance(sample) < 1 / 26
    try:
        sample.load()
    except InputError as error:
        assert "\n" not in str(error)


@examples(150)
@given(some.binary(max_size=400))
@pytest.mark.parametrize("kind", ["jsonl", "tsv"])
def test_any_bytes(kind: str, content: bytes) -> None:
    check(kind, content)


@examples(150)
@given(content=some.binary(max_size=200))
@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("kind", ["jsonl", "tsv"])
def test_any_bytes_after_a_byte_order_mark(kind: str, mark: bytes, content: bytes) -> None:
    check(kind, mark + content)


@examples(150)
@given(some.lists(values | objects | objects.map(lambda some_fields: good | some_fields), min_size=1, max_size=4))
def test_any_json_as_a_line(rows: list[object]) -> None:
    check("jsonl", "\n".join(map(json.dumps, rows)).encode(), rows=len(rows))


COLUMNS = ("index", "question", "answer", "image", "image_path", "A", "B", "C", "hint", "category", "choices")


@examples(150)
@given(
    some.lists(some.lists(cells, max_size=len(COLUMNS) + 1), min_size=1, max_size=4),
    some.sampled_from(["own", "MathVista_MINI", "MME", "MMMU_DEV_VAL", "OCRBench", "MMBench_DEV_EN"]),
)
def test_any_text_in_any_cell(rows: list[list[str]], name: str) -> None:
    lines = ["\t".join(COLUMNS), *map("\t".join, rows)]
    check("tsv", "\n".join(lines).encode("utf-8", "surrogatepass"), name)


@examples(150)
@given(some.dictionaries(some.sampled_from(COLUMNS), cells.filter(lambda cell: "\ud800" not in cell), min_size=1))
def test_any_text_in_a_good_row(changed: dict[str, str]) -> None:
    row = dict.fromkeys(COLUMNS, "") | {"index": "1", "question": "what?", "answer": "red", "image": IMAGE} | changed
    content = pl.DataFrame([row, row | {"index": "2"}]).write_csv(separator="\t", quote_style="always")
    check("tsv", content.encode(), rows=2)


@examples(25)
@given(some.lists(some.dictionaries(some.sampled_from(["question", "options", "answer", "image"]), cells), max_size=3))
def test_any_text_in_a_benchmarks_table(rows: list[dict[str, str]]) -> None:
    columns = {"question": None, "options": None, "answer": None, "image": None}
    table = [columns | {name: cell.replace("\ud800", "") for name, cell in row.items()} for row in rows]
    schema = dict.fromkeys(columns, pl.String)
    with tempfile.TemporaryDirectory() as folder:
        pl.DataFrame(table, schema=schema).write_parquet(f"{folder}/own.parquet")
        try:
            samples = load_task(f"ai2d:{folder}/own.parquet")
        except InputError as error:
            assert "\n" not in str(error)
            return
        assert len(samples) == len(rows)
        for sample in samples:
            look(sample)
