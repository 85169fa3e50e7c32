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
from vqttt.tasks.broken import fault
from vqttt.tasks.tsv_questions import benchmark_of
from vqttt.types import Sample


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
        common
        | {"index": "9", "image": "", "image_path": "blue.png", "question": "Open?", "answer": "red", "A": "", "B": ""},
        common | {"index": "10", "image": "99", "question": "Whose?", "answer": "A"},
        common | {"index": "7", "image": encoded(made.RED), "question": "Again?", "answer": "A"},
        common | {"index": "11", "image": encoded(made.RED), "question": "Hidden?", "answer": ""},
    ]
    read = load_task(f"tsv:{write_tsv(tmp_path / 'own.tsv', rows)}")
    assert [sample.id for sample in read] == ["7", "8", "9", "row 5", "7 (row 6)", "row 7"]
    assert [tuple(sample.load()[0, 0]) for sample in read[:3]] == [made.GREEN, made.GREEN, made.BLUE]
    assert read[1].choices == ("green", 'a "deep"\nred') and read[1].category == "color"
    assert read[1].prompt.startswith("Look. Two\nlines?\nA. green\nB. a") and [s.rule for s in read[:3]] == [
        "letter", "letter", "exact",
    ]  # fmt: skip
    assert (score("B", read[1]), score("A", read[1]), score("Red.", read[2])) == (1, 0, 1)
    reasons = ("the image '99' is not base64", "the id '7' is already used on row 2", "the answer is empty")
    for broken, reason in zip(read[3:], reasons, strict=True):
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
    with pytest.raises(InputError, match=r"none of the rows of .*; bad.tsv row 2: the image '\*+... is not base64"):
        load_task(f"tsv:{tmp_path / 'bad.tsv'}")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Otherwise one of the two would be used without a word."""
    path = tmp_path / "twice.tsv"
    path.write_text("index\tquestion\tanswer\tanswer\timage\n1\twhat?\tred\tblue\t0\n")
    with pytest.raises(InputError, match="has several columns named answer; give each a name of its own"):
        load_task(f"tsv:{path}")


def test_a_quote_within_a_cell_is_an_ordinary_character(tmp_path: Path) -> None:
    image = encoded(made.GREEN)
    lines = ["index\timage\tquestion\tanswer"]
    lines += [f"{n}\t{image}\t{question}\tyes" for n, question in enumerate(["Is it?", 'A pole 5" tall?', "Then?"])]
    file = tmp_path / "inches.tsv"
    file.write_text("\n".join(lines) + "\n")
    assert [sample.question for sample in load_task(f"tsv:{file}")] == ["Is it?", 'A pole 5" tall?', "Then?"]
    assert all(tuple(sample.load()[0, 0]) == made.GREEN for sample in load_task(f"tsv:{file}"))


def test_an_unclosed_quote_costs_only_its_row(tmp_path: Path) -> None:
    file, red, green = tmp_path / "open.tsv", encoded(made.RED), encoded(made.GREEN)
    file.write_text(f'index\timage\tquestion\tanswer\n1\t{red}\t"Is it?\tyes\n2\t{green}\tThen?\tno\n')
    first, second = load_task(f"tsv:{file}")
    assert fault(first) == "open.tsv row 2: it has a quoted cell that is never closed"
    assert (second.id, second.question) == ("2", "Then?") and tuple(second.load()[0, 0]) == made.GREEN


def test_an_option_may_be_called_none_and_an_answer_must_be_an_option(tmp_path: Path) -> None:
    common = {"image": encoded(made.GREEN), "question": "Which?", "A": "one", "B": "None", "C": "two", "D": ""}
    rows = [common | {"index": "1", "answer": "C"}, common | {"index": "2", "answer": "D"}]
    right, broken = load_task(f"tsv:{write_tsv(tmp_path / 'own.tsv', rows)}")
    assert right.choices == ("one", "None", "two")
    assert score("C", right) == 1.0
    with pytest.raises(InputError, match="the answer 'D' names none of the options A, B, C; give the letter or"):
        broken.load()


def own(path: Path, columns: str, *rows: tuple[str, ...]) -> list[Sample]:
    """Write a table as a person would, without any quoting, and load it."""
    path.write_bytes("\n".join(["\t".join(columns.split()), *map("\t".join, rows)]).encode())
    return load_task(f"tsv:{path}")


@pytest.mark.parametrize(
    ("name", "benchmark"),
    [
        ("MME", "mme"), ("MME-RealWorld", ""), ("MME-RealWorld-Lite", ""), ("ChartQA_TEST", "chartqa"),
        ("ChartQAPro", ""), ("ChartQAPro_TEST", ""), ("MathVista_MINI", "mathvista"), ("OCRBench", "ocrbench"),
        ("OCRBench_v2", ""), ("MMBench_DEV_EN", "mmbench"), ("MMBench_TEST_CN_V11", "mmbench"), ("MMBench-Video", ""),
        ("MMMU_DEV_VAL", "mmmu"), ("MMMU_Pro_10c", ""), ("POPE", "pope"), ("AI2D_TEST_NO_MASK", "ai2d"),
        ("GQA_TestDev_Balanced", "gqa"), ("RealWorldQA", "realworldqa"), ("mme", "mme"), ("my_mme", ""),
    ],
)  # fmt: skip
def test_a_benchmark_is_known_by_its_whole_name(name: str, benchmark: str) -> None:
    assert benchmark_of(name) == benchmark


def test_a_benchmark_with_a_similar_name_is_scored_as_any_other_file(tmp_path: Path) -> None:
    image = encoded(made.RED)
    for name, answer in (("MME-RealWorld", "A"), ("ChartQAPro", "B")):
        (asked,) = own(tmp_path / f"{name}.tsv", "index image question answer A B", ("1", image, "?", answer, "x", "y"))
        assert asked.rule == "letter"
    (asked,) = own(tmp_path / "ChartQAPro.tsv", "index image question answer", ("1", image, "How many?", "100"))
    assert (asked.rule, score("104", asked), score("100", asked)) == ("exact", 0, 1)


def test_mathvista_is_scored_as_mathvista(tmp_path: Path) -> None:
    image, columns = encoded(made.RED), "index image question answer answer_option choices question_type answer_type"
    kinds = (
        ("1", image, "Q1", "6", "A", "['6', '3', '4', '2']", "multi_choice", "text"),
        ("2", image, "Q2", "2", "D", "['6', '3', '4', '2']", "multi_choice", "integer"),
        ("3", image, "Q3", "12", "", "", "free_form", "integer"),
        ("4", image, "Q4", "0.25", "", "", "free_form", "float"),
        ("5", image, "Q5", "[1, 2]", "", "", "free_form", "list"),
    )
    read = own(tmp_path / "MathVista_MINI.tsv", columns, *kinds)
    choice = "mathvista-choice"
    assert [s.rule for s in read] == [choice, choice, "mathvista-integer", "mathvista-float-2", "mathvista-list"]
    assert [s.prompt for s in read] == ["Q1", "Q2", "Q3", "Q4", "Q5"]
    given = ("A", "(D)", "12.0", "0.25", "[1, 2]")
    assert [score(answer, asked) for answer, asked in zip(given, read, strict=True)] == [1] * 5
    plain = own(
        tmp_path / "MathVista.tsv", "index image question answer", ("1", image, "?", "1.5"), ("2", image, "?", "7")
    )
    assert [s.rule for s in plain] == ["mathvista-float-1", "mathvista-integer"]


def test_options_that_would_be_scored_as_open_answers_are_scored_by_letter(tmp_path: Path) -> None:
    row = ("1", encoded(made.RED), "?", "A", "one", "two")
    (asked,) = own(tmp_path / "OCRBench.tsv", "index image question answer A B", row)
    assert (asked.rule, score("a cat", asked)) == ("letter", 0)


def test_one_bad_row_costs_only_itself(tmp_path: Path) -> None:
    image = encoded(made.GREEN)
    rows = (
        ("1", "what\rcolor?", "red", image), ("2", "short?"), ("3", "long?", "red", image, "more"),
        ("4", "trailing tabs?", "red", image, "", ""), ("1", "again?", "blue", image), ("", "no index?", "red", image),
        ("5", "zero\0byte?", "red", image), ("6", "", "red", image),
    )  # fmt: skip
    read = own(tmp_path / "bad.tsv", "index question answer image", *rows)
    assert [s.id for s in read] == ["1", "row 3", "row 4", "4", "1 (row 6)", "row 7", "row 8", "row 9"]
    assert read[0].question == "what\rcolor?"
    reasons = [fault(s) for s in read]
    assert [bool(reason) for reason in reasons] == [False, True, True, False, True, False, True, True]
    assert reasons[1].startswith("bad.tsv row 3: it has 2 cells, and the header 4")
    assert "it has 5 cells" in reasons[2] and "the id '1' is already used on row 2" in reasons[4]
    assert "zero byte" in reasons[6] and "the question is empty" in reasons[7]
    assert all(tuple(s.load()[0, 0]) == made.GREEN for s in read if not fault(s))


def test_rows_without_an_index_keep_their_own_images(tmp_path: Path) -> None:
    rows = (("", "a?", "red", encoded(made.RED)), ("", "b?", "green", encoded(made.GREEN)))
    read = own(tmp_path / "anonymous.tsv", "index question answer image", *rows)
    assert [tuple(s.load()[0, 0]) for s in read] == [made.RED, made.GREEN]


def test_bytes_that_are_not_utf8_cost_only_their_row(tmp_path: Path) -> None:
    file, image = tmp_path / "latin.tsv", encoded(made.RED).encode()
    lines = [b"index\tquestion\tanswer\timage", b"1\tcaf\xe9?\tred\t" + image, "2\tcafé?\tred\t".encode() + image]
    file.write_bytes(b"\n".join(lines))
    first, second = load_task(f"tsv:{file}")
    assert "not UTF-8" in fault(first) and second.question == "café?"


def test_a_field_of_many_megabytes_is_read(tmp_path: Path) -> None:
    rows = (("1", "x" * 5_000_000, "red", encoded(made.RED)), ("2", "b?", "red", encoded(made.GREEN)))
    long, short = own(tmp_path / "long.tsv", "index question answer image", *rows)
    assert len(long.question) == 5_000_000 and tuple(short.load()[0, 0]) == made.GREEN


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_byte_order_marks_are_read(tmp_path: Path, encoding: str) -> None:
    file, image = tmp_path / "marked.tsv", encoded(made.GREEN)
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    file.write_bytes(
        f'{mark}"index"\tquestion\tanswer\timage\n1\tcafé?\tred\t{image}\n2\tb?\tred\t1\n'.encode(encoding)
    )
    first, second = load_task(f"tsv:{file}")
    assert first.question == "café?" and tuple(first.load()[0, 0]) == tuple(second.load()[0, 0]) == made.GREEN


def test_utf16_without_a_mark_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "unmarked.tsv"
    file.write_bytes(f"index\tquestion\tanswer\timage\n1\ta?\tred\t{encoded(made.RED)}\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"lacks the columns? ") as caught:
        load_task(f"tsv:{file}")
    assert "UTF-16" in str(caught.value) and "\n" not in str(caught.value) and "\0" not in str(caught.value)


def test_a_changed_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "changed.tsv"
    (asked,) = own(file, "index question answer image", ("1", "a?", "red", encoded(made.RED)))
    file.write_text("index\tquestion\tanswer\timage\n")
    with pytest.raises(InputError, match="no longer where it was"):
        asked.load()


def test_categories_called_nothing_are_none(tmp_path: Path) -> None:
    rows = [("1", "a?", "None", encoded(made.RED), word) for word in ("None", "nan", "")]
    read = own(
        tmp_path / "c.tsv", "index question answer image category", *[(str(n), *r[1:]) for n, r in enumerate(rows)]
    )
    assert [(s.category, s.answers) for s in read] == [("", ("None",))] * 3


def test_the_file_that_holds_an_image_is_part_of_a_sample(tmp_path: Path) -> None:
    PILImage.new("RGB", (30, 20), made.BLUE).save(tmp_path / "blue.png")
    columns = "index question answer image image_path"
    rows = (("1", "a?", "red", encoded(made.RED), ""), ("2", "a?", "red", "", "blue.png"), ("3", "a?", "red", "1", ""))
    read = own(tmp_path / "t.tsv", columns, *rows)
    assert [s.file for s in read] == [tmp_path / "t.tsv", tmp_path / "blue.png", tmp_path / "t.tsv"]
