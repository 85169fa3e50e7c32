"""Cells as people's files have them: texts, lists and images; and what is refused, with the reason."""

import base64
import json
import math
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.support.fuzzing import examples
from vqttt.errors import InputError
from vqttt.images.files import save_image, to_data_uri
from vqttt.tasks import load_task
from vqttt.tasks.broken import fault
from vqttt.tasks.cells import as_label, as_text, as_texts, is_inline, listed, one_image, open_image
from vqttt.types import Sample


@pytest.fixture
def encoded(tmp_path: Path) -> str:
    """Save an image of noise as `a.png`, and return it in base64; both alphabets differ in it."""
    save_image(np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8), tmp_path / "a.png")
    text = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    assert "+" in text and "/" in text
    return text


def test_text() -> None:
    values = [None, math.nan, True, False, 3, 2.5, " a ", "None", "nan", "null"]
    assert [as_text(value) for value in values] == ["", "", "yes", "no", "3", "2.5", "a", "None", "nan", "null"]
    for value in (["a"], {"a": 1}, b"a", "a\0b", "\ud800"):
        with pytest.raises(ValueError, match=r"must be a text|zero byte|half a character"):
            as_text(value)
    assert as_label(["a", None, 3]) == "a, 3" and as_texts([None, "None", 1]) == ("None", "1")


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("['a', \"b\"]", ["a", "b"]), ('["a", null, true]', ["a", None, True]), ("[]", []), ("[1.50]", [1.5]),
        ("a", None), ("[a]", None), ("(1, 2)", None), ("[" * 9000 + "]" * 9000, None), (r"['\d']", [r"\d"]),
        ("['a\0']", None),
    ],
)  # fmt: skip
def test_lists(cell: str, found: list | None) -> None:
    assert listed(cell) == found


def test_image_cells(tmp_path: Path, encoded: str) -> None:
    wrapped = "\n".join(textwrap.wrap(encoded, 76))
    safe = encoded.replace("+", "-").replace("/", "_")
    uri = f"data:image/png;base64,{encoded}"
    cells = [
        encoded, [encoded], str([encoded]), json.dumps([encoded]), uri, [uri], uri.replace("=", "%3D"), safe,
        encoded.rstrip("="), safe.rstrip("="), wrapped, wrapped.replace("\n", "\r\n"), json.dumps([wrapped]),
        str(encoded.encode()), "a.png", ["a.png"], "['a.png']", {"bytes": base64.b64decode(encoded), "path": None},
        base64.b64decode(encoded), ["a.png", None], str(tmp_path / "a.png"),
    ]  # fmt: skip
    wanted = open_image("a.png", tmp_path)
    for cell in cells:
        assert np.array_equal(open_image(cell, tmp_path), wanted), str(cell)[:60]


@pytest.mark.parametrize("several", [["a.png", "b.png"], "['a.png', 'b.png']", '["a.png", "b.png"]'])
def test_several_images_are_named_as_such(several: object) -> None:
    with pytest.raises(ValueError, match=r"the question has several images \(2\); these tasks take one"):
        one_image(several)


def test_what_is_no_image(tmp_path: Path) -> None:
    for nothing in ("", "[]", [], None, [None]):
        with pytest.raises(ValueError, match="the question has no image"):
            one_image(nothing)
    for url in ("https://example.org/a.png", "['S3://bucket/a.png']", "file:///a.png"):
        with pytest.raises(ValueError, match=r"is a URL .*; download it, and give the path of the file"):
            one_image(url)
    with pytest.raises(ValueError, match=r"the image 'x\.+ is neither base64 nor a path"):
        one_image("x" + "." * 9000)
    with pytest.raises(InputError, match="not valid base64"):
        open_image("QUJD" * 40 + "Q", tmp_path)
    with pytest.raises(InputError, match="not an image"):
        open_image("QUJD" * 40, tmp_path)
    with pytest.raises(InputError, match="not an image"):
        open_image("data:image/svg+xml,%3Csvg/%3E", tmp_path)
    with pytest.raises(InputError, match="an image must be"):
        open_image(7, tmp_path)


def test_a_long_path_of_a_file_is_a_path(tmp_path: Path) -> None:
    path = Path("x" * 40) / ("y" * 40)
    (tmp_path / path).parent.mkdir()
    save_image(np.full((4, 4, 3), 7, np.uint8), tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / path)
    assert is_inline(str(path)) and open_image(str(path), tmp_path).shape == (4, 4, 3)
    (tmp_path / "q.jsonl").write_text(json.dumps({"image": str(path), "question": "?", "answer": "x"}))
    (sample,) = load_task(f"jsonl:{tmp_path / 'q.jsonl'}")
    assert sample.file == tmp_path / path and sample.load().shape == (4, 4, 3)


@examples(100)
@given(some.text() | some.binary() | some.integers() | some.none() | some.lists(some.text() | some.none(), max_size=3))
def test_any_cell_is_an_image_or_one_clear_line(cell: object) -> None:
    try:
        open_image(cell, Path("/nowhere"))
    except InputError as error:
        assert "\n" not in str(error)


def jsonl(folder: Path, *rows: object) -> list[Sample]:
    (folder / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return load_task(f"jsonl:{folder / 'q.jsonl'}")


def test_fields_of_a_jsonl_file(tmp_path: Path, encoded: str) -> None:
    row = {"image": ["a.png"], "question": "what?", "answer": "red"}
    nothing = dict.fromkeys(("id", "choices", "category", "question_type"))
    read = jsonl(
        tmp_path, row, row | nothing, row | {"id": 7}, row | {"id": 7, "answer": "blue"}, row | {"id": "line 5"}, "[]",
        row | {"answer": True}, row | {"answer": [False]}, row | {"image": to_data_uri(np.zeros((4, 4, 3), np.uint8))},
        row | {"category": ["a", "b"]}, row | {"answer": ["", "None"]}, row | {"choices": ["", "red", "blue"]},
    )  # fmt: skip
    assert [s.id for s in read[:6]] == ["line 1", "line 2", "7", "7 (line 4)", "line 5", "line 6"]
    assert [bool(fault(s)) for s in read] == [n in (3, 5) for n in range(12)]
    assert (read[1].category, read[1].question_type, read[1].choices) == ("", "", ())
    assert [s.answers for s in read[6:8]] == [("yes",), ("no",)]
    assert read[8].load().shape == (4, 4, 3) and read[8].file == tmp_path / "q.jsonl"
    assert read[0].load().shape == (16, 24, 3) and read[0].file == tmp_path / "a.png"
    assert read[9].category == "a, b" and read[10].answers == ("None",) and read[11].choices == ("", "red", "blue")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": ""}, "the answer is empty"), ({"answer": " "}, "the answer is empty"),
        ({"answer": [""]}, "the answer is empty"), ({"answer": None}, "the answer is empty"),
        ({"answer": []}, "the answer is empty"), ({"answer": {"a": 1}}, "must be a text or a number"),
        ({"question": None}, "the question must be a text, not None"), ({"question": " "}, "the question is empty"),
        ({"image": ["a", "b"]}, "several images"), ({"image": "http://x.org/a.png"}, "download it"),
        ({"image": None}, "no image"), ({"image": 7.5}, ""), ({"choices": "A"}, "the choices must be a list"),
        ({"choices": {"A": "x"}}, "choices must be a list"), ({"choices": ["", ""]}, "all options are empty"),
        ({"id": ["x"]}, "must be a text or a number"), ({"question": "a\0b"}, "zero byte"),
        ({"choices": [["x"]]}, "must be a text or a number"), ({"category": {}}, "must be a text or a number"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_says_why(tmp_path: Path, change: dict, reason: str) -> None:
    good = {"image": "a.png", "question": "what?", "answer": "red"}
    first, second = jsonl(tmp_path, good, good | change)
    assert not fault(first)
    assert reason in fault(second) and fault(second).startswith("q.jsonl line 2: ") == bool(reason)


def test_files_without_a_usable_line_are_refused_with_what_would_be_right(tmp_path: Path) -> None:
    row = {"image": "a.png", "question": "what?", "answer": "red"}
    files = {
        "array.jsonl": (json.dumps([row, row]).encode(), "JSON array; give one JSON object per line"),
        "pretty.jsonl": (json.dumps(row, indent=1).encode(), r"none of the lines .* give one JSON object per line"),
        "unmarked.jsonl": (json.dumps(row).encode("utf-16-le"), "may be UTF-16; save it as UTF-8"),
        "answers.jsonl": (b'{"image": "a", "question": "?", "answer": ""}', "line 1: the answer is empty"),
        "empty.jsonl": (b"", "is empty"),
    }
    for name, (content, message) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            load_task(f"jsonl:{tmp_path / name}")
    with pytest.raises(InputError, match="cannot read"):
        load_task(f"jsonl:{tmp_path}/a\0b")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_jsonl_file_with_a_byte_order_mark_is_read(tmp_path: Path, encoding: str) -> None:
    row = json.dumps({"image": "a.png", "question": "café?", "answer": "red"}, ensure_ascii=False)
    (tmp_path / "marked.jsonl").write_bytes(f"{row}\n".encode(encoding))
    (sample,) = load_task(f"jsonl:{tmp_path / 'marked.jsonl'}")
    assert sample.question == "café?"
