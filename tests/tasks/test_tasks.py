"""Tasks return the same samples every time, and a broken line costs only that line."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vqttt.errors import InputError, UnknownNameError
from vqttt.images.files import save_image
from vqttt.scoring import normalise, score
from vqttt.study.provenance import data_hash, images_hash
from vqttt.tasks import TASKS, chance, is_file, load_task, question_text
from vqttt.tasks.broken import fault
from vqttt.tasks.vq_mini import CATEGORIES, samples, scene_and_question
from vqttt.tasks.vq_mini.drawing import draw
from vqttt.types import Sample


def test_sizes_are_those_published() -> None:
    assert len(load_task("easy-vqa")) == 9673
    assert len(load_task("digits")) == 600


@pytest.mark.parametrize("name", ["easy-vqa", "digits", "vq-mini"])
def test_samples_are_well_formed_and_repeat(name: str) -> None:
    first, every = load_task(name, 24), load_task(name)
    whole = {sample.id: sample for sample in every}
    assert len(first) == 24 and len(whole) == len(every)
    for sample in first:
        again = whole[sample.id]
        assert sample == again
        image = sample.load()
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert np.array_equal(image, again.load())
        assert sample.question
        assert sample.answers[0]
        assert sample.category


def test_limit_keeps_the_order_of_the_task() -> None:
    whole = [sample.id for sample in load_task("easy-vqa")]
    part = [sample.id for sample in load_task("easy-vqa", 50)]
    assert len(part) == 50
    assert part == sorted(part, key=whole.index)


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(InputError, match=f"limit must be at least 1, not {limit}"):
        load_task("digits", limit)


def test_files_of_the_users_own_are_known_by_name() -> None:
    assert [is_file(name) for name in ("jsonl:a", "tsv:a", "mme:a", "digits", "jsonl")] == [True, True, *[False] * 3]
    with pytest.raises(InputError, match="'tsv:' lacks a path; give tsv:PATH"):
        load_task("tsv:")


def test_vq_mini_cycles_through_categories_and_splits_are_disjoint() -> None:
    assert Counter(sample.category for sample in samples(count=80)) == dict.fromkeys(CATEGORIES, 10)
    seeds = {split: {scene_and_question(split, n)[0].seed for n in range(200)} for split in ("train", "dev", "test")}
    assert not seeds["train"] & seeds["test"]
    assert not seeds["dev"] & seeds["test"]


def test_vq_mini_answers_follow_from_the_scene() -> None:
    for index in range(400):
        scene, question = scene_and_question("test", index)
        colors = [item.color for item in scene.items]
        match question.type:
            case "count_all" | "count_bars":
                assert question.answer == str(len(scene.items))
            case "extreme_bar":
                values = [item.value for item in scene.items]
                extreme = max(values) if "largest" in question.text else min(values)
                assert question.answer == colors[values.index(extreme)]
            case "addition":
                assert question.answer == str(sum(int(item.name) for item in scene.items))
            case "exists":
                _, _, _, color, name = question.text.rstrip("?").split()
                assert (question.answer == "yes") == ((color, name) in {(i.color, i.name) for i in scene.items})


def test_vq_mini_labels_cover_the_objects() -> None:
    for index in range(40):
        scene, _ = scene_and_question("test", index)
        image, contents, colors = draw(scene)
        assert image.shape == (224, 224, 3)
        assert set(np.unique(colors)) - {0}, "something is there"
        assert ((contents > 0) == (colors > 0)).all()


def sample(*answers: str, choices: tuple[str, ...] = ()) -> Sample:
    return Sample(id="x", load=lambda: np.zeros((1, 1, 3), np.uint8), question="?", answers=answers, choices=choices)


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("Yes.", "yes", 1), ("the Red", "red", 1), ("7.0", "7", 1), ("1,200", "1200", 1), ("no", "yes", 0),
        ("", "yes", 0), ("red shape", "red", 0), ("nan", "7", 0), ("", "A", 0), ("the", "A", 0), ("a", "A", 1),
        ("0.5", ".5", 1), ("5", ".5", 0),
    ],
)  # fmt: skip
def test_scoring(answer: str, reference: str, right: int) -> None:
    assert score(answer, sample(reference)) == right
    assert score(answer, sample("other", reference)) == right


def test_scoring_choices() -> None:
    question = sample("red", choices=("blue", "red"))
    assert [score(answer, question) for answer in ("B", "(b)", "B. red", "red", "A", "green", "")] == [
        1,
        1,
        1,
        1,
        0,
        0,
        0,
    ]
    assert "A. blue\nB. red" in question_text(question)
    assert normalise(" The  cat. ") == "cat"


def test_gaps_keep_the_letters_of_the_other_options() -> None:
    gaps = sample("Two", choices=("", "Two", "One", "Three"))
    assert "\nB. Two\nC. One\nD. Three\n" in question_text(gaps) and "A." not in question_text(gaps)
    assert [score(answer, gaps) for answer in ("B", "A", "C", ".")] == [1, 0, 0, 0]
    assert chance(gaps) == 1 / 3


def test_chance() -> None:
    assert chance(sample("A", choices=("red",))) == 1
    assert chance(sample("A", choices=("", "", "", ""))) == 0.25
    assert chance(sample("Yes.")) == chance(sample("no")) == 0.5
    assert np.isnan(chance(sample("red"))) and np.isnan(chance(sample("")))


def test_unknown_task() -> None:
    with pytest.raises(UnknownNameError, match="did you mean vq-mini"):
        load_task("vqmini")
    assert all(TASKS.summary(name) for name in TASKS)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("q/ok.jsonl", "jsonl:q/ok.jsonl"),
        ("q/OK.TSV", "tsv:q/OK.TSV"),
        ("json:q/ok.jsonl", "jsonl:q/ok.jsonl"),
        ("C:/ok.tsv", "tsv:C:/ok.tsv"),
    ],
)
def test_a_path_alone_is_told_how_to_give_a_file(name: str, given: str) -> None:
    with pytest.raises(UnknownNameError) as met:
        load_task(name)
    assert str(met.value).endswith(f"; or a file, as jsonl:PATH or tsv:PATH; give {given}")
    with pytest.raises(UnknownNameError, match=r"as jsonl:PATH or tsv:PATH$"):
        load_task("nonsense")


def test_jsonl_reports_broken_lines_by_number(tmp_path: Path) -> None:
    save_image(np.zeros((8, 8, 3), np.uint8), tmp_path / "a.png")
    good = {"image": "a.png", "question": "what?", "answer": ["red", "dark red"], "id": "one"}
    lines = [
        json.dumps(good), "{broken", json.dumps({"image": "a.png", "question": "?"}), "[1]", "",
        json.dumps(good | {"id": "two", "question": " "}), json.dumps(good | {"id": "three", "image": "gone.png"}),
    ]  # fmt: skip
    path = tmp_path / "my.jsonl"
    path.write_text("\n".join(lines))
    read = load_task(f"jsonl:{path}")
    assert [s.id for s in read] == ["one", "line 2", "line 3", "line 4", "line 6", "three"]
    assert read[0].load().shape == (8, 8, 3)
    assert read[0].answers == ("red", "dark red")
    for broken, reason in zip(
        read[1:],
        ("line 2", "line 3: the field 'answer' is missing", "line 4", "line 6: the question is empty", "gone"),
        strict=True,
    ):
        with pytest.raises(InputError, match=reason):
            broken.load()


def test_jsonl_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.jsonl"):
        load_task(f"jsonl:{tmp_path / 'no.jsonl'}")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        load_task(f"jsonl:{tmp_path / 'empty.jsonl'}")
    line = json.dumps({"image": "a.png", "question": "what?", "answer": "red", "id": "one"})
    (tmp_path / "twice.jsonl").write_text(f"{line}\n{line}\n")
    _, second = load_task(f"jsonl:{tmp_path / 'twice.jsonl'}")
    with pytest.raises(InputError, match="line 2: the id 'one' is already used on line 1"):
        second.load()


def test_jsonl_with_unusual_bytes(tmp_path: Path) -> None:
    good = json.dumps({"image": "a.png", "question": "a\u2028b?", "answer": 3, "id": "g"}, ensure_ascii=False).encode()
    surrogate = rb'{"image": "a.png", "question": "\ud800?", "answer": "x"}'
    null = b'{"image": "a.png", "question": "what?", "answer": null}'
    (tmp_path / "odd.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join([good, b"\xff\xfe", surrogate, null]))
    read = load_task(f"jsonl:{tmp_path / 'odd.jsonl'}")
    assert [s.id for s in read] == ["g", "line 2", "line 3", "line 4"]
    for sample, reason in zip(read[1:], ("not UTF-8, at byte 1", "half a character", "answer is empty"), strict=True):
        assert reason in fault(sample)
    assert read[0].answers == ("3",)


def test_a_changed_image_changes_the_hash_of_images(tmp_path: Path) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"image": "a.png", "question": "what?", "answer": "x"}\n')
    hashes = set()
    for content in (None, b"", b"0" * 200_000, b"0" * 199_999 + b"1"):
        if content is not None:
            (tmp_path / "a.png").write_bytes(content)
        hashes.add(images_hash(f"jsonl:{questions}", load_task(f"jsonl:{questions}")))
    assert len(hashes) == 4
    assert data_hash(load_task("vq-mini", 3)) == data_hash(load_task("vq-mini", 3))
