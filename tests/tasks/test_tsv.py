"""VLMEvalKit's files are read without conversion."""

import base64
import io
from pathlib import Path

import polars as pl
import pytest
from PIL import Image as PILImage

from tests.support import benchmark_tables as made
from vqttt.errors import InputError
from vqttt.scoring import format_score, score
from vqttt.tasks import load_task


def write_tsv(path: Path, rows: list[dict[str, str]]) -> Path:
    frame = pl.DataFrame(rows)
    path.write_text(frame.write_csv(separator="\t"))
    return path


def encoded(color: tuple[int, int, int]) -> str:
    file = io.BytesIO()
    PILImage.new("RGB", (30, 20), color).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_tsv_as_it_is(tmp_path: Path) -> None:
    PILImage.new("RGB", (30, 20), made.BLUE).save(tmp_path / "blue.png")
    common = {"A": "green", "B": 'a "deep"\nred', "C": "", "D": "", "hint": "", "category": "color", "image_path": ""}
    rows = [
        common | {"index": "7", "image": encoded(made.GREEN), "question": "Which?", "answer": "A"},
        common | {"index": "8", "image": "7", "question": "Two\nlines?", "answer": "B", "hint": "Look."},
        common | {"index": "9", "image": "", "image_path": "blue.png", "question": "Open?", "answer": "red", "A": ""},
        common | {"index": "10", "image": "99", "question": "Whose?", "answer": "A"},
        common | {"index": "7", "image": encoded(made.RED), "question": "Again?", "answer": "A"},
        common | {"index": "11", "image": encoded(made.RED), "question": "Hidden?", "answer": ""},
    ]
    read = load_task(f"tsv:{write_tsv(tmp_path / 'own.tsv', rows)}")
    assert [sample.id for sample in read] == ["7", "8", "9", "row 5", "row 6", "row 7"]
    assert [tuple(sample.load()[0, 0]) for sample in read[:3]] == [made.GREEN, made.GREEN, made.BLUE]
    assert read[1].choices == ("green", 'a "deep"\nred') and read[1].category == "color"
    assert read[1].prompt.startswith("Look. Two\nlines?\nA. green\nB. a") and [s.rule for s in read[:3]] == [
        "letter", "letter", "exact",
    ]  # fmt: skip
    assert (score("B", read[1]), score("A", read[1]), score("Red.", read[2])) == (1, 0, 1)
    for broken, reason in zip(
        read[3:], ("no usable image", "already used on an earlier row", "the answer is empty"), strict=True
    ):
        with pytest.raises(InputError, match=reason):
            broken.load()


def test_tsv_named_as_a_benchmark_is_scored_by_its_rule(tmp_path: Path) -> None:
    row = {"index": "1", "image": encoded(made.RED), "question": "What?"}
    cases = {
        "ChartQA_TEST": ("100", "vqa chartqa", "104"),
        "TextVQA_VAL": ("['red', 'red', 'red', 'red', 'dark red']", "vqa", "red"),
        "MME": ("Yes", "mme", "yes."),
        "POPE": ("No", "pope", "There is no dog"),
        "OCRBench": ("['RED', 'RED!']", "ocrbench", "it says red"),
        "MMMU_DEV_VAL": ("12", "mmmu-open", "so 12"),
    }
    for name, (reference, rule, answer) in cases.items():
        (sample,) = load_task(f"tsv:{write_tsv(tmp_path / f'{name}.tsv', [row | {'answer': reference}])}")
        assert sample.rule in rule
        assert (score(answer, sample), format_score("nothing", sample)) == (1, 0)


def test_tsv_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        load_task(f"tsv:{tmp_path / 'none.tsv'}")
    (tmp_path / "odd.tsv").write_text("index\tquestion\n1\twhat?\n")
    with pytest.raises(InputError, match="lacks the columns answer, image; it has index, question"):
        load_task(f"tsv:{tmp_path / 'odd.tsv'}")
    (tmp_path / "empty.tsv").write_text("index\tquestion\tanswer\timage\n")
    with pytest.raises(InputError, match="has no rows"):
        load_task(f"tsv:{tmp_path / 'empty.tsv'}")
    (tmp_path / "bad.tsv").write_text(f"index\tquestion\tanswer\timage\n1\twhat?\tred\t{'*' * 80}\n")
    with pytest.raises(InputError, match="not valid base64"):
        load_task(f"tsv:{tmp_path / 'bad.tsv'}")[0].load()


def test_a_quote_within_a_cell_is_an_ordinary_character(tmp_path: Path) -> None:
    image = encoded(made.GREEN)
    lines = ["index\timage\tquestion\tanswer"]
    lines += [f"{n}\t{image}\t{question}\tyes" for n, question in enumerate(["Is it?", 'A pole 5" tall?', "Then?"])]
    file = tmp_path / "inches.tsv"
    file.write_text("\n".join(lines) + "\n")
    assert [sample.question for sample in load_task(f"tsv:{file}")] == ["Is it?", 'A pole 5" tall?', "Then?"]
    assert all(tuple(sample.load()[0, 0]) == made.GREEN for sample in load_task(f"tsv:{file}"))


def test_an_unclosed_quote_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "open.tsv"
    file.write_text(f'index\timage\tquestion\tanswer\n1\t{encoded(made.RED)}\t"Is it?\tyes\n2\tx\tThen?\tno\n')
    with pytest.raises(InputError, match="never closed"):
        load_task(f"tsv:{file}")


def test_an_option_may_be_called_none_and_an_answer_must_be_an_option(tmp_path: Path) -> None:
    common = {"image": encoded(made.GREEN), "question": "Which?", "A": "one", "B": "None", "C": "two", "D": ""}
    rows = [common | {"index": "1", "answer": "C"}, common | {"index": "2", "answer": "D"}]
    right, broken = load_task(f"tsv:{write_tsv(tmp_path / 'own.tsv', rows)}")
    assert right.choices == ("one", "None", "two")
    assert score("C", right) == 1.0
    with pytest.raises(InputError, match="the answer is D, but there are only 3 options"):
        broken.load()
