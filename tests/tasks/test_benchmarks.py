"""Every benchmark from a small table in its own schema: prompts, references, scores and errors."""

import sys
from pathlib import Path

import datasets
import numpy as np
import polars as pl
import pytest
from PIL import Image as PILImage

from tests.support import benchmark_tables as made
from vqttt.errors import InputError, MissingExtraError
from vqttt.models.fake import FakeTunableModel
from vqttt.results.report import write_csv, write_html, write_markdown
from vqttt.results.summary import summarise
from vqttt.runs.loading import load_records
from vqttt.scoring import score
from vqttt.scoring.aggregates import aggregate
from vqttt.study.config import StudyConfig
from vqttt.study.runner import run
from vqttt.tasks import TASKS, load_task, question_text
from vqttt.tasks.benchmarks import BENCHMARKS
from vqttt.tasks.benchmarks.mmstar import options_in
from vqttt.types import Sample

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write each benchmark as parquet files, laid out as on the Hub, next to those of another split."""
    root = tmp_path_factory.mktemp("benchmarks")
    for name, table in made.TABLES.items():
        inside = root / name / (BENCHMARKS[name].config or "data")
        inside.mkdir(parents=True)
        table().to_parquet(inside / f"{BENCHMARKS[name].split}-00000-of-00001.parquet")
        (inside / "train-00000-of-00001.parquet").write_bytes(b"of another split, not to be read")
    (root / "gqa" / "testdev_balanced_images").mkdir()
    made.gqa_images().to_parquet(root / "gqa" / "testdev_balanced_images" / "testdev-00000-of-00001.parquet")
    return {name: root / name for name in made.TABLES}


def load(folders: dict[str, Path], name: str) -> list[Sample]:
    return load_task(f"{name}:{folders[name]}")


def good(sample: Sample) -> bool:
    try:
        return sample.load().shape == (20, 30, 3)
    except InputError:
        return False


def test_all_are_tasks() -> None:
    assert set(made.TABLES) == set(BENCHMARKS) < set(TASKS)
    assert all(BENCHMARKS[name].summary == TASKS.summary(name) for name in BENCHMARKS)


@pytest.mark.parametrize("name", made.TABLES)
def test_references_are_right_and_ids_are_stable(name: str, folders: dict[str, Path]) -> None:
    read = load(folders, name)
    assert len(read) == len(made.TABLES[name]())
    assert len({sample.id for sample in read}) == len(read)
    assert read == load(folders, name)
    asked = [sample for sample in read if good(sample)]
    assert asked
    for sample in asked:
        assert question_text(sample) == sample.prompt
        assert sample.question and sample.rule
        best = max(score(answer, sample) for answer in sample.answers)
        assert best == 1 or sample.rule == "vqa"
        assert score("no such thing at all", sample) < 1 or sample.rule in ("mme", "pope")


@pytest.mark.parametrize(
    ("name", "ids", "prompt", "answers", "category", "question_type"),
    [
        ("mathvista", "1 2 3 4", "Q1", ("red",), "geometry problem solving", "multi_choice, text"),
        (
            "mmmu", "validation_Art_Theory_1 validation_Art_Theory_2 validation_Math_3 test_Math_4",
            "<image 1> Which?\n\n(A) green\n(B) red\n(C) it's blue\n\nAnswer with the option's letter from the given "
            "choices directly.", ("B",), "Art Theory", "multiple-choice",
        ),
        (
            "scienceqa", "00000 00001 00002", "Context: Look at it.\nWhich color?\nA. green\nB. red\nAnswer with the "
            "option's letter from the given choices directly.", ("B",), "natural science", "physics",
        ),
        (
            "textvqa", "34602", "What does it say?\nAnswer the question using a single word or phrase.",
            ("red",) * 3 + ("Red.",) * 2 + ("dark red",) * 5, "reading", "",
        ),
        (
            "mme", "color/0001.png color/0001.png#2 code_reasoning/0001.png code_reasoning/0001.png#2",
            "Is it Yes?\nAnswer the question using a single word or phrase.", ("yes",), "color", "perception",
        ),
        (
            "mmstar", "0 1", "Which color?\nOptions: A: light, pale green, B: red, C: dark red, D: blue\nAnswer with "
            "the option's letter from the given choices directly", ("B",), "math", "geometry",
        ),
        (
            "realworldqa", "00000 00001", "Which color?\nA. green\nB. red\nPlease answer directly with only the letter "
            "of the correct option and nothing else.", ("B",), "options", "",
        ),
        (
            "pope", "adversarial/1 adversarial/1#2 random/1", "Is there a adversarial dog in the image?\nAnswer the "
            "question using a single word or phrase.", ("yes",), "adversarial", "yes",
        ),
        (
            "mmbench", "241 1000241 252", "Which color?\nA. green\nB. red\nAnswer with the option's letter from the "
            "given choices directly.", ("B",), "perception", "color",
        ),
        (
            "ai2d", "00000", "Which?\nA. B\nB. C\nC. D\nD. A\nAnswer with the option's letter from the given choices "
            "directly.", ("B",), "diagrams", "",
        ),
        ("chartqa", "00000 00001", "How much?\nAnswer the question with a single word.", ("42",), "human", ""),
        ("ocrbench", "00000 00001", "what is written in the image?", ("RED",), "Regular Text Recognition", "IIIT5K"),
        (
            "vqav2", "262148000", "What color is it?\nAnswer the question using a single word or phrase.",
            ("red",) * 10, "other", "what color",
        ),
        (
            "gqa", "201307251 201640614", "What color is it?\nAnswer the question using a single word or phrase.",
            ("red",), "query", "attr",
        ),
    ],
)  # fmt: skip
def test_first_question(name, ids, prompt, answers, category, question_type, folders) -> None:
    read = load(folders, name)
    assert [sample.id for sample in read] == [f"{name}-{key}" for key in ids.split()]
    first = read[0]
    assert (first.prompt, first.answers) == (prompt, answers)
    assert (first.category, first.question_type) == (category, question_type)


def test_what_cannot_be_used_is_marked_with_the_reason(folders: dict[str, Path]) -> None:
    for name, number, reason in [
        ("mmmu", 1, r"several images \(2\); these tasks take one"),
        ("mmmu", 3, "no public answer"),
        ("scienceqa", 2, "the question has no image"),
        ("gqa", 1, "'n0' is not in testdev_balanced_images"),
    ]:
        with pytest.raises(InputError, match=reason):
            load(folders, name)[number].load()


def test_rules_and_options_by_row(folders: dict[str, Path]) -> None:
    rules = {name: [sample.rule for sample in load(folders, name)] for name in made.TABLES}
    assert rules["mathvista"] == ["mathvista-choice", "mathvista-float-1", "mathvista-integer", "mathvista-list"]
    assert rules["mmmu"] == ["mmmu-choice", "mmmu-choice", "mmmu-open", "mmmu-choice"]
    assert rules["realworldqa"] == ["realworldqa", "realworldqa-open"]
    assert rules["ocrbench"] == ["ocrbench", "ocrbench-expression"]
    assert load(folders, "mmmu")[2].answers == ("4", "four")
    assert load(folders, "mmmu")[2].prompt.endswith("Area?\n\nAnswer the question using a single word or phrase.")
    options = [sample.choices for sample in load(folders, "mmbench")]
    assert options == [("green", "red"), ("red", "green"), ("green", "red")]
    assert load(folders, "mmbench")[2].prompt.startswith("It grows. And this?\nA. green")
    assert load(folders, "mmstar")[0].choices == ("light, pale green", "red", "dark red", "blue")
    assert options_in("Which of A, B?") == ("", "", "", "")


def test_images_are_those_of_their_rows_and_stay_encoded(folders: dict[str, Path], monkeypatch) -> None:
    opened = []
    monkeypatch.setattr("vqttt.tasks.cells.load_image", lambda found: opened.append(found) or np.ones(1))
    read = load(folders, "scienceqa")
    assert not opened
    read[1].load()
    assert len(opened) == 1 and isinstance(opened[0], bytes)
    monkeypatch.undo()
    assert tuple(load(folders, "scienceqa")[1].load()[0, 0]) == made.GREEN
    assert tuple(load(folders, "gqa")[0].load()[0, 0]) == made.RED


def test_saved_data_sets_single_files_and_selections(folders: dict[str, Path], tmp_path: Path) -> None:
    table = made.scienceqa()
    table.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict(train=table.select([0]), test=table).save_to_disk(tmp_path / "dictionary")
    table.select([1, 0]).save_to_disk(tmp_path / "selected")
    table.to_parquet(tmp_path / "one.parquet")
    wanted = load(folders, "scienceqa")
    for name in ("saved", "dictionary", "one.parquet"):
        assert load_task(f"scienceqa:{tmp_path / name}") == wanted
    selected = load_task(f"scienceqa:{tmp_path / 'selected'}")
    assert [tuple(sample.load()[0, 0]) for sample in selected] == [made.GREEN, made.RED]
    assert len(load_task(f"scienceqa:{folders['scienceqa']}", limit=2)) == 2


def test_a_table_with_plain_bytes_or_paths(tmp_path: Path) -> None:
    PILImage.new("RGB", (30, 20), made.BLUE).save(tmp_path / "blue.png")
    rows = {"question": ["Which?"], "options": [["B", "C"]], "answer": ["1"]}
    pl.DataFrame(rows | {"image": [made.image(made.GREEN)["bytes"]]}).write_parquet(tmp_path / "bytes.parquet")
    pl.DataFrame(rows | {"image": ["blue.png"]}).write_parquet(tmp_path / "paths.parquet")
    colors = [load_task(f"ai2d:{tmp_path / name}.parquet")[0].load()[0, 0] for name in ("bytes", "paths")]
    assert [tuple(color) for color in colors] == [made.GREEN, made.BLUE]


def test_errors_say_what_would_be_right(folders: dict[str, Path], tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(
        InputError, match=r"is not mme: it lacks the columns question_id, category and has type, .*lmms-lab-encoder"
    ):
        load_task(f"mme:{folders['chartqa']}")
    with pytest.raises(InputError, match="does not contain mmmu; give a folder written by save_to_disk"):
        load_task(f"mmmu:{tmp_path}")
    with pytest.raises(InputError, match="does not contain mmmu"):
        load_task(f"mmmu:{tmp_path / 'nowhere'}")
    datasets.DatasetDict(train=made.pope()).save_to_disk(tmp_path / "dictionary")
    with pytest.raises(InputError, match="has no split 'test'; it has train"):
        load_task(f"pope:{tmp_path / 'dictionary'}")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"cannot read .*broken\.parquet as a table"):
        load_task(f"pope:{tmp_path / 'broken.parquet'}")
    made.scienceqa().select([2]).to_parquet(tmp_path / "blind.parquet")
    with pytest.raises(
        InputError,
        match=r"blind\.parquet can be used \(1 in all\); .* has no image; give the split test of",
    ):
        load_task(f"scienceqa:{tmp_path / 'blind.parquet'}")
    with pytest.raises(
        InputError,
        match=r"can be used \(3 in all\); .* is not a row of mme .*'adversarial' is not among",
    ):
        load_task(f"mme:{folders['pope']}")
    with pytest.raises(InputError, match=r"can be used \(\d+ in all\); .* is not a row of textvqa"):
        load_task(f"textvqa:{folders['vqav2']}")
    with pytest.raises(InputError, match="lacks a path"):
        load_task("mmmu:")
    with pytest.raises(InputError, match="'digits' takes no path; these do: jsonl, tsv, mathvista"):
        load_task("digits:here")

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route to\nhost")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(InputError, match=r"cannot load lmms-lab-encoder/POPE .*no route to host.*--task pope:PATH"):
        load_task("pope")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vqttt\[benchmarks\]'"):
        load_task("pope")


def test_the_hub_is_asked_only_for_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def hub(*arguments: object, **named: object) -> object:
        asked.append((arguments, named))
        return made.TABLES["mmbench" if arguments[1] == "en" else "textvqa"]()

    monkeypatch.setattr(datasets, "load_dataset", hub)
    assert len(load_task("mmbench")) == 3 and len(load_task("textvqa")) == 1
    assert asked == [
        (("lmms-lab-encoder/MMBench", "en"), {"split": "dev"}),
        (
            ("lmms-lab-encoder/textvqa", None),
            {"split": "validation", "data_files": {"validation": "data/validation-*"}},
        ),
    ]


def test_an_invalid_row_costs_only_that_row(tmp_path: Path) -> None:
    rows = [row for table in (made.ai2d(), made.ai2d()) for row in table.cast_column("image", datasets.Image(False))]
    rows[1]["answer"] = "seven"
    datasets.Dataset.from_list(rows, features=made.ai2d().features).to_parquet(tmp_path / "odd.parquet")
    first, second = load_task(f"ai2d:{tmp_path / 'odd.parquet'}")
    assert good(first)
    with pytest.raises(InputError, match=r"it is not a row of ai2d \(ValueError"):
        second.load()


def test_a_study_from_end_to_end(folders: dict[str, Path], tmp_path: Path) -> None:
    tasks = tuple(f"{name}:{folders[name]}" for name in ("vqav2", "mmmu", "mme", "gqa"))
    config = StudyConfig(models=("fake",), tasks=tasks, degradations=("clean",), methods=("none",))
    run(config, tmp_path / "run", FakeTunableModel, lambda *_: None)
    records = load_records(tmp_path / "run")
    by_task = {name.partition(":")[0]: records.filter(task=name) for name in tasks}
    assert by_task["vqav2"]["answer"].to_list() == ["red"] and by_task["vqav2"]["score"].to_list() == [1]
    # The fake model always answers "red": not a letter, but the text of MMMU's option B.
    assert by_task["mmmu"]["score"].to_list() == [0, 0, 0, 0]
    assert by_task["mmmu"]["format_score"].to_list() == [1, 0, 0, 0]
    assert [bool(error) for error in by_task["mmmu"]["error"]] == [False, True, False, True]
    assert by_task["gqa"]["score"].to_list() == [1, 0]
    summary = {row["task"].partition(":")[0]: row for row in write_and_summarise(tmp_path / "run")}
    assert (summary["mmmu"]["accuracy"], summary["mmmu"]["format_accuracy"]) == (0, 0.25)
    assert aggregate(tasks[2], by_task["mme"].to_dicts())["pairs"] == 2
    assert "with format credit" in write_html(tmp_path / "run").read_text()
    assert "| mme:" in write_markdown(tmp_path / "run").read_text().partition("Benchmark scores")[2]
    assert "Benchmark scores" in (tmp_path / "run" / "report.html").read_text()


def test_likelihood_answers_by_letter_in_a_study(folders: dict[str, Path], tmp_path: Path) -> None:
    tasks = tuple(f"{name}:{folders[name]}" for name in ("ai2d", "mmmu", "chartqa"))
    config = StudyConfig(models=("fake",), tasks=tasks, degradations=("clean",), methods=("likeliest",))
    run(config, tmp_path / "run", FakeTunableModel, lambda *_: None)
    answers = {row["sample_id"]: row["answer"] for row in load_records(tmp_path / "run").to_dicts()}
    assert answers["ai2d-00000"] in "ABCD" and answers["mmmu-validation_Art_Theory_1"] in "ABC"
    assert answers["chartqa-00000"] == "red"


def write_and_summarise(folder: Path) -> list[dict]:
    assert "format_accuracy" in write_csv(folder).read_text().partition("\n")[0]
    return summarise(load_records(folder)).to_dicts()


def test_the_docs_list_every_benchmark_with_its_source_and_split() -> None:
    lines = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text().splitlines()
    for name, benchmark in BENCHMARKS.items():
        config = f" ({benchmark.config})" if benchmark.config else ""
        wanted = f"| `{name}` | {benchmark.hub}{config}, {benchmark.split} |"
        assert sum(line.startswith(wanted) for line in lines) == 1, wanted


def test_gqa_with_its_images_in_the_table(tmp_path: Path) -> None:
    images = [made.image(made.GREEN), made.image(made.BLUE)]
    made.gqa().add_column("image", images, feature=datasets.Image()).to_parquet(tmp_path / "gqa.parquet")
    read = load_task(f"gqa:{tmp_path / 'gqa.parquet'}")
    assert [tuple(sample.load()[0, 0]) for sample in read] == [made.GREEN, made.BLUE]
