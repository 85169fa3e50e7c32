"""A study of several models: each answers as it does alone, one is held at a time, and all are checked first."""

import gc
import json
import weakref
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import polars as pl
import pytest

from tests.support.command import vqttt
from tests.support.engines import examples, records
from tests.support.figures import without_drawing
from vqttt.cli.dry_run import print_estimate
from vqttt.cli.options import model_names
from vqttt.errors import InputError, ModelError, RunFolderError, UnknownNameError
from vqttt.methods import METHODS
from vqttt.models import LoadOptions
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.runs.folder import RunFolder
from vqttt.runs.loading import load_records
from vqttt.study.config import StudyConfig
from vqttt.study.config_file import from_described, read_config
from vqttt.study.engines import EngineOptions
from vqttt.study.estimate import estimate
from vqttt.study.models import Models, check_names
from vqttt.study.plan import count_records, rounds
from vqttt.study.runner import run

BOTH = StudyConfig(
    models=("fake", "other"),
    tasks=("digits", "vq-mini"),
    degradations=("clean", "fog"),
    severities=(5,),
    methods=("none", "vq-ttt"),
    limit=6,
    batch=3,
)
TOTAL = 2 * 2 * 2 * 2 * 6
SMALL = replace(BOTH, tasks=("digits",), methods=("none",))
SMALL_TOTAL = 2 * 2 * 6


class Other(FakeTunableModel):
    """A model that confuses red and green."""

    def __init__(self, name: str = "other") -> None:
        super().__init__(name)
        self.network.head.weight.data[:2] = self.network.head.weight.data[:2].flip(0)


def load(name: str) -> FakeTunableModel:
    return {"fake": FakeTunableModel, "other": Other}[name](name)


class Shelf:
    """Loads models; notes which, and fails if another one is still in memory."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.last: weakref.ref[FakeTunableModel] | None = None

    def __call__(self, name: str) -> FakeTunableModel:
        gc.collect()
        assert self.last is None or self.last() is None, f"{self.loaded[-1]} is still held while {name} is loaded"
        model = load(name)
        self.last = weakref.ref(model)
        self.loaded.append(name)
        return model


class Stop:
    """A progress callback that interrupts the study after some of its records."""

    def __init__(self, after: int, total: int = TOTAL) -> None:
        self.after, self.total = after, total

    def __call__(self, done: int, total: int, what: str) -> None:
        assert total == self.total
        if done >= self.after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(run(BOTH, tmp_path_factory.mktemp("both") / "run", load))


def test_each_model_answers_as_it_does_alone(tmp_path: Path, both: Path) -> None:
    found = dict[str, str]()
    for name in BOTH.models:
        run(replace(BOTH, models=(name,)), tmp_path / name, load)
        mine = records(both).filter(model=name)
        order = ["task", "degradation", "method", "sample_id"]
        assert mine.sort(order).equals(records(tmp_path / name).sort(order))
        found |= examples(tmp_path / name)
    assert examples(both) == found
    answers = records(both).filter(method="none").partition_by("model")
    assert answers[0]["image_sha256"].equals(answers[1]["image_sha256"]), "both see the same images"
    assert not answers[0]["answer"].equals(answers[1]["answer"])


def test_the_run_says_what_it_is_a_run_of(both: Path, tmp_path: Path) -> None:
    about = RunFolder(both).description()
    assert about["config"]["models"] == ["fake", "other"] and "model" not in about["config"]
    assert about["weights"] == {name: load(name).fingerprint() for name in BOTH.models}
    assert from_described(about["config"]) == BOTH
    assert len(load_records(both)) == TOTAL == count_records(BOTH, (6, 6))
    with pytest.raises(RunFolderError, match=r"models was \['fake', 'other'\] and is not given now; model was not"):
        run(replace(BOTH, models=("fake",)), both, load)
    with pytest.raises(RunFolderError, match=r"different study \(weights: other changed\)"):
        run(BOTH, both, FakeTunableModel)


def test_a_run_of_one_model_is_that_of_older_versions(tmp_path: Path) -> None:
    config = replace(BOTH, models=("fake",), tasks=("digits",), methods=("none",))
    described = json.loads(json.dumps(config.described()))
    assert described == {
        "model": "fake",
        "tasks": ["digits"],
        "degradations": ["clean", "fog"],
        "severities": [5],
        "methods": ["none"],
        "limit": 6,
        "seeds": [0],
        "batch": 3,
        "max_new_tokens": 16,
        "scale": "relative",
        "restorers": ["none"],
    }
    assert config.digest == "54afacda"
    assert from_described(described) == config
    run(config, tmp_path / "run")
    about = RunFolder(tmp_path / "run").description()
    assert about["config"] == described
    assert (about["weights"], about["files"]) == (FakeTunableModel().fingerprint(), {})
    run(replace(config, models=("fake", "fake")), tmp_path / "run")  # given twice, it is one model


@pytest.mark.parametrize("after", [5, TOTAL // 2, TOTAL // 2 + 1, TOTAL - 1])
def test_a_study_that_is_killed_resumes_to_the_same_records(tmp_path: Path, both: Path, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(BOTH, tmp_path / "run", load, Stop(after))
    assert len(list((tmp_path / "run" / "cells").glob("*.parquet"))) < 16
    run(BOTH, tmp_path / "run", load)
    assert records(tmp_path / "run").equals(records(both))
    assert examples(tmp_path / "run") == examples(both)


@pytest.mark.slow
def test_workers_write_what_one_does(tmp_path: Path, both: Path, one_thread: None) -> None:
    run(BOTH, tmp_path / "run", load, engine=EngineOptions(workers=2))
    assert records(tmp_path / "run").equals(records(both))
    assert examples(tmp_path / "run") == examples(both)


def test_one_model_is_held_at_a_time_and_loaded_as_seldom_as_can_be(tmp_path: Path) -> None:
    shelf = Shelf()
    with pytest.raises(KeyboardInterrupt):
        run(SMALL, tmp_path / "run", shelf, Stop(SMALL_TOTAL // 2 + 3, SMALL_TOTAL))
    assert shelf.loaded == ["other", "fake", "other"]
    shelf = Shelf()
    run(SMALL, tmp_path / "run", shelf)
    assert shelf.loaded == ["other", "fake", "other"], "both are checked, and the first has nothing left to do"
    shelf = Shelf()
    run(SMALL, tmp_path / "run", shelf)
    assert shelf.loaded == ["other", "fake"], "nothing is left to do"
    shelf = Shelf()
    run(replace(SMALL, models=("fake",)), tmp_path / "one", shelf)
    assert shelf.loaded == ["fake"]


def test_the_jobs_of_a_model_follow_each_other_and_say_whose_they_are() -> None:
    answers, shown = rounds(replace(BOTH, models=("a", "b", "a"), seeds=(0, 1)))
    assert [model for model, _ in groupby(answers, lambda job: job.model)] == ["a", "b"]
    assert answers[0].label == "a digits clean" and answers[-1].label == "b vq-mini fog 5 seed 1"
    assert [task for task, _ in groupby(shown, lambda job: job.task)] == ["digits", "vq-mini"]
    assert shown[1].label == "b digits examples"
    assert rounds(replace(BOTH, models=("a",)))[0][0].label == "digits clean"


class Silent(FakeTunableModel):
    """A model that answers nothing."""

    def ask(self, images, questions, max_new_tokens):
        raise ValueError("patch_size is missing")


def load_silent(name: str) -> FakeTunableModel:
    return (FakeTunableModel if name == "fake" else Silent)(name)


def test_a_study_stops_if_its_second_model_answers_nothing(tmp_path: Path) -> None:
    reason = "other digits clean: not one of 6 answers succeeded.*stopped; all failed with: .*patch_size is missing"
    with pytest.raises(InputError, match=reason):
        run(SMALL, tmp_path / "run", load_silent)
    assert load_records(tmp_path / "run")["model"].unique().to_list() == ["fake"], "what the first answered is kept"
    with pytest.raises(InputError, match=reason):
        run(SMALL, tmp_path / "run", load_silent)
    run(SMALL, tmp_path / "run", FakeTunableModel)  # it has the same weights
    assert (load_records(tmp_path / "run")["error"] == "").all(), "nothing that failed is left"


def test_a_finished_run_in_which_one_model_answered_nothing_is_no_success(tmp_path: Path, both: Path) -> None:
    folder = tmp_path / "run"
    run(SMALL, folder, load)
    for cell in (folder / "cells").glob("other~*"):
        pl.read_parquet(cell).with_columns(error=pl.lit("out of memory")).write_parquet(cell)
    with pytest.raises(InputError, match=r"not one answer of other succeeded.*all failed with: out of memory"):
        run(SMALL, folder, load)


def plain(name: str) -> FakeTunableModel | FakeModel:
    return FakeModel(name) if name == "other" else FakeTunableModel(name)


def absent(name: str) -> FakeTunableModel:
    if name == "other":
        raise ModelError("the folder is empty")
    return FakeTunableModel(name)


def same(name: str) -> FakeTunableModel:
    return FakeTunableModel("fake")


@pytest.mark.parametrize(
    ("loader", "reason"),
    [
        (plain, "^other does not give access to the model's internals, which vq-ttt needs"),
        (absent, "^other: the folder is empty"),
        (same, "the models 'fake' and 'other' both have the name 'fake' in records"),
    ],
)
def test_what_does_not_fit_one_model_is_said_before_any_answer(tmp_path: Path, loader, reason: str) -> None:
    with pytest.raises((InputError, ModelError), match=reason):
        run(BOTH, tmp_path / "run", loader)
    assert not (tmp_path / "run").exists()


def test_a_saved_tuning_is_of_one_model(tmp_path: Path) -> None:
    METHODS["vq-ttt"].build(load("fake")).save(tmp_path / "tuned.safetensors")
    own = {"vq-ttt": {"tuned": str(tmp_path / "tuned.safetensors")}}
    with pytest.raises(InputError, match=r"tuned on a model with other weights \(fake\) than other"):
        run(replace(BOTH, method_settings=own), tmp_path / "run", load)
    assert not (tmp_path / "run").exists()


def test_files_that_methods_use_are_listed_by_model() -> None:
    models = Models(BOTH.models, load, {"none": METHODS["none"]})
    assert models.described()["files"] == {}
    files = {"vq-ttt-features": {"clean_features": "0123"}}
    models.facts["other"] = replace(models.facts["other"], files=files, device="cuda")
    described = models.described()
    assert described["files"] == {"other": files}
    assert described["device"]["type"] == "cpu and cuda"
    assert list(described["weights"]) == ["fake", "other"]


def test_names_and_options_are_checked_without_loading(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown model 'fak'; did you mean fake.*or a checkpoint folder"):
        run(replace(BOTH, models=("fake", "fak")), tmp_path / "run")
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    mixed = replace(BOTH, models=("fake", str(tmp_path / "checkpoint")), load=LoadOptions(dtype="bfloat16"))
    check_names(mixed)
    with pytest.raises(InputError, match="the model 'fake' takes no load options"):
        check_names(replace(mixed, models=("fake", "fake-plain")))
    for wrong, reason in ((("fake", ""), "empty name"), ((), "models is empty"), ("fake", "not the one text 'fake'")):
        with pytest.raises(InputError, match=reason):
            replace(BOTH, models=wrong)


def test_a_file_names_one_model_or_several(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    for text, models in (
        ('model = "fake"', ("fake",)),
        ('models = ["fake", "fake-plain"]', ("fake", "fake-plain")),
    ):
        file.write_text(text)
        assert read_config(file).models == models
    for text, reason in (
        ('model = "a"\nmodels = ["b"]', "line 1: give model or models, not both"),
        ('model = ["a"]', r"line 1: model must be text, not \['a'\]"),
        ('models = "a"', "line 1: models must be a list, such as "),
        ("models = [3]", "line 1: models must be a list of text"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=reason):
            read_config(file)


def test_models_are_separated_by_commas_unless_a_folder_has_that_name(tmp_path: Path) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    assert model_names(None) is None
    assert model_names(["org/a,org/b", "fake"]) == ("org/a", "org/b", "fake")
    assert model_names([str(folder), "fake, embedded"]) == (str(folder), "fake", "embedded")


def test_an_estimate_measures_every_model() -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            return self.now

    clock, rows = Clock(), {"fake": 0.01, "other": 0.05}

    def costly(name: str) -> FakeTunableModel:
        class Costly(FakeTunableModel):
            def answer_logits(self, inputs, answers=None):
                clock.now += rows[name] * inputs.count
                return super().answer_logits(inputs, answers)

        clock.now += 1.0
        return Costly(name)

    config = replace(BOTH, methods=("none",), limit=20)
    found = estimate(config, costly, clock=clock)
    assert (found.models, found.cells, found.records) == (2, 8, 160)
    assert found.by_model == pytest.approx({"fake": 80 * 0.01, "other": 80 * 0.05})
    assert found.seconds == pytest.approx(3 + 80 * 0.06), "the second model is loaded twice"
    with pytest.raises(InputError, match=r"^other does not give access"):
        estimate(BOTH, plain)


def test_a_dry_run_says_what_each_model_takes(capsys: pytest.CaptureFixture[str]) -> None:
    config = replace(BOTH, models=("fake", "fake-plain"), methods=("none",))
    print_estimate(config, 1, 0.0)
    lines = capsys.readouterr().out.splitlines()
    assert "models: 2, conditions: 2, methods: 1, seeds: 1, cells: 8, answers: 48 (24 of each model)" in lines
    assert lines[-1].startswith("of that for the answers, measured on each model: fake 0:00:0")
    print_estimate(replace(config, models=("fake",)), 1, 0.0)
    assert "model" not in capsys.readouterr().out


def test_the_command_takes_several_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_drawing(monkeypatch)
    monkeypatch.setattr("vqttt.cli.progress.SECONDS", 0.0)  # every batch has its line, however quick the study is
    grid = ("--task", "digits", "--degradation", "clean,fog", "--severity", 5, "--method", "none", "--limit", 4)
    asked = ("study", "--model", "fake,fake-plain", *grid, "--out", tmp_path / "run")
    assert vqttt(monkeypatch, *asked) == 0
    assert "fake-plain digits fog 5: " in capsys.readouterr().err
    assert set(load_records(tmp_path / "run")["model"]) == {"fake", "fake-plain"}
    next((tmp_path / "run" / "cells").glob("fake-plain~*fog*")).unlink()
    assert vqttt(monkeypatch, "study", "--resume", tmp_path / "run") == 0
    assert (
        vqttt(monkeypatch, "study", "--model", "fake", "--model", "fake-plain", *grid, "--out", tmp_path / "run") == 0
    )
    assert len(load_records(tmp_path / "run")) == 2 * 2 * 4


@pytest.mark.parametrize(
    "command",
    [
        ("answer", "a.png", "what?"),
        ("analyse", "a.png", "what?"),
        ("tune", "--out", "tuned.safetensors"),
        ("bench",),
        ("clean-features", "--out", "clean.safetensors"),
    ],
)
def test_other_commands_take_one_model(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vqttt(monkeypatch, *command, "--model", "fake,fake-plain") == 2
    assert "--model takes one model here, such as fake; several are for `vqttt study`" in capsys.readouterr().err
