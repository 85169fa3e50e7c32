"""Settings from the command line, limits, and the names of cells."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command import vqttt
from tests.support.figures import without_drawing
from tests.support.fuzzing import examples
from vqttt.errors import InputError
from vqttt.images.files import save_image
from vqttt.methods import METHODS, MethodSpec
from vqttt.methods.none import NoTuning
from vqttt.models.fake import FakeTunableModel
from vqttt.runs.folder import RunFolder
from vqttt.runs.loading import load_records
from vqttt.study import EngineOptions
from vqttt.study.config import PRESETS, StudyConfig
from vqttt.study.config_file import from_described, read_config
from vqttt.study.plan import LONGEST, Cell
from vqttt.study.runner import resumed, run
from vqttt.study.settings import with_settings, with_tuned
from vqttt.types import Condition

CONFIG = StudyConfig(
    models=("fake",), tasks=("digits",), degradations=("fog",), severities=(5,), methods=("none", "vq-ttt"), limit=4
)


def stored(config: StudyConfig) -> dict[str, object]:
    """The configuration as `run.json` has it."""
    found: dict[str, object] = json.loads(json.dumps(config.described()))
    return found


def own_file(folder: Path, lines: int) -> str:
    save_image(np.full((20, 20, 3), 200, np.uint8), folder / "a.png")
    row = json.dumps({"image": "a.png", "question": "what colour?", "answer": "red"})
    (folder / "q.jsonl").write_text("\n".join([row] * lines))
    return f"jsonl:{folder}/q.jsonl"


def test_settings_are_merged() -> None:
    own = {"mine.2": {"base": "vq-ttt", "adapters": {"lora_rank": 8}}}
    config = replace(CONFIG, methods=("mine.2", "vq-ttt"), method_settings=own)
    given = [
        "mine.2.adapters.lora_rank=4",
        "mine.2.adapters.kernel='none'",
        "vq-ttt.steps=3",
        "mine.2.objective=entropy",
    ]
    specs = with_settings(config, given).method_specs
    assert (specs["mine.2"].config.adapters.lora_rank, specs["mine.2"].config.adapters.kernel) == (4, "none")
    assert specs["mine.2"].config.objective == "entropy"
    assert specs["vq-ttt"].config.steps == 3
    assert config.method_settings == own, "the old study is as it was"
    assert with_settings(config, []) == config


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("vq-ttt", "write METHOD.KEY=VALUE"),
        ("steps=3", "write METHOD.KEY=VALUE"),
        ("vq-ttt..steps=3", "a key is empty"),
        ("vq-select.steps=3", "these run: none, vq-ttt"),
        ("vq-ttt.stepz=3", "has no setting 'stepz'"),
        ("vq-ttt.steps=3x", "steps must be a whole number, not '3x'"),
        ("vq-ttt.steps=-1", "steps"),
        ("vq-ttt.adapters=3", "adapters is a table of settings"),
        ("none.steps=3", "the baseline"),
    ],
)
def test_a_setting_that_cannot_be_is_named(item: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as raised:
        with_settings(CONFIG, [item])
    assert str(raised.value).startswith(f"--set {item}: ")


@examples(50)
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_a_setting_or_one_clear_error(key: str, value: str) -> None:
    for item in (f"{key}={value}", f"vq-ttt.{key}={value}", f"vq-ttt.steps={value}"):
        try:
            with_settings(CONFIG, [item])
        except InputError as error:
            assert str(error).startswith("--set ")


def test_a_tuned_file_is_for_the_one_method_that_can(tmp_path: Path) -> None:
    file = tmp_path / "tuned.safetensors"
    with pytest.raises(InputError, match=r"--tuned: there is no file .*tuned\.safetensors"):
        with_tuned(CONFIG, file)
    METHODS["vq-ttt"].build(FakeTunableModel()).save(file)
    config = with_tuned(CONFIG, file)
    assert config.methods == tuple(name.replace("vq-ttt", "vq-ttt-tuned") for name in CONFIG.methods)
    assert config.method_settings == {"vq-ttt-tuned": {"base": "vq-ttt", "tuned": str(file)}}
    assert not config.method_specs["vq-ttt-tuned"].learns
    own = with_tuned(with_settings(CONFIG, ["vq-ttt.steps=3"]), file)
    assert own.method_settings == {"vq-ttt-tuned": {"base": "vq-ttt", "steps": 3, "tuned": str(file)}}
    with pytest.raises(InputError, match="has a method called vq-ttt-tuned already"):
        with_tuned(replace(config, methods=("vq-ttt", "vq-ttt-tuned")), file)
    with pytest.raises(InputError, match="of none, tta none can; choose one by --method"):
        with_tuned(replace(CONFIG, methods=("none", "tta")), file)
    with pytest.raises(InputError, match="vq-ttt and vq-select can all"):
        with_tuned(replace(CONFIG, methods=("none", "vq-ttt", "vq-select")), file)


def test_options_of_the_command_reach_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_drawing(monkeypatch)
    task, tuned = own_file(tmp_path, 240), tmp_path / "tuned.safetensors"
    METHODS["vq-ttt"].build(FakeTunableModel()).save(tuned)
    base = ("study", "--model", "fake", "--task", task, "--degradation", "fog", "--severity", 3)
    assert vqttt(monkeypatch, *base, "--method", "none", "--out", tmp_path / "whole") == 0
    assert len(load_records(tmp_path / "whole")) == 240
    assert " of 240 " not in "".join(capsys.readouterr())
    limited = (*base, "--limit", 8, "--out", tmp_path / "cut", "--method", "none,vq-ttt", "--set", "vq-ttt.steps=1")
    assert vqttt(monkeypatch, *limited) == 0
    printed = capsys.readouterr()
    assert f"{task}: 8 of 240 questions" in printed.err and f"{task}: 8 of 240 questions" in printed.out
    about = RunFolder(tmp_path / "cut").description()
    assert about["questions"] == {task: {"used": 8, "of": 240}}
    assert about["methods"]["vq-ttt"]["steps"] == 1
    assert vqttt(monkeypatch, "study", "--resume", tmp_path / "cut") == 0
    assert vqttt(monkeypatch, "study", "--resume", tmp_path / "cut", "--set", "vq-ttt.steps=2") == 2
    assert "leave out set" in capsys.readouterr().err
    frozen = (*base, "--limit", 8, "--method", "vq-ttt", "--tuned", tuned, "--out", tmp_path / "tuned")
    assert vqttt(monkeypatch, *frozen) == 0
    records = load_records(tmp_path / "tuned")
    assert records["steps"].max() == 0 and set(records["method"]) == {"vq-ttt-tuned"}


def test_a_preset_does_not_cut_files_of_ones_own(tmp_path: Path) -> None:
    quick, file = PRESETS["quick"], own_file(tmp_path, 1)
    mixed = replace(quick, tasks=("digits", file))
    assert [mixed.limit_of(task) for task in mixed.tasks] == [200, None]
    assert from_described(stored(mixed)).limit_of(file) is None
    chosen = replace(mixed, limit=50)
    assert [chosen.limit_of(task) for task in chosen.tasks] == [50, 50]
    assert replace(mixed, limit=None).limit_of("digits") is None
    assert "preset_limit" not in quick.described(), "runs of older versions stay the same study"
    old = stored(mixed)
    del old["preset_limit"]
    assert from_described(old).limit_of(file) == 200, "an older version cut the file, and goes on to"
    written = tmp_path / "study.toml"
    written.write_text("limit = 200\n")
    assert replace(read_config(written), tasks=(file,)).limit_of(file) == 200


def test_a_study_that_names_no_preset_asks_one_model_about_images_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('tasks = ["digits"]\n')
    plain = replace(PRESETS["quick"], models=("embedded",), restorers=("none",), tasks=("digits",))
    assert read_config(file) == plain
    assert read_config(file, "quick") == replace(PRESETS["quick"], tasks=("digits",))
    old = {name: value for name, value in stored(plain).items() if name not in ("restorers", "model", "models")}
    assert from_described(old) == plain


def test_a_preset_that_is_given_wins_over_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('preset = "paper"\nmodel = "fake"\n')
    assert read_config(file) == replace(PRESETS["paper"], models=("fake",))
    assert read_config(file, "quick") == replace(PRESETS["quick"], models=("fake",))


NAMES = st.text(max_size=300) | st.sampled_from(["./x", "..", ".hidden", "a" * 400, "ü/" * 200])


@examples(50)
@given(NAMES, NAMES, NAMES, NAMES, st.integers(0, 2**64))
def test_cells_have_names_that_any_file_system_takes(model: str, task: str, kind: str, method: str, seed: int) -> None:
    condition = Condition(degradation=kind, severity=5, restorer=task)
    cells = [Cell(model=m, task=task, condition=condition, method=method, seed=seed) for m in (model, f"{model}x")]
    keys = [cell.key for cell in cells]
    assert keys[0] != keys[1]
    for key in keys:
        assert key.isascii() and "/" not in key and "\0" not in key and not key.startswith(".")
        assert len(f"{key}~quality.json.0123abcd.part") <= 255
    assert len(keys[0]) <= LONGEST


def test_names_that_were_good_stay_as_they_are() -> None:
    cell = Cell(model="a/b", task="digits", condition=Condition(degradation="fog", severity=3), method="none", seed=0)
    assert cell.key == "a-b-c14cddc0~digits~fog-3~none~s0"


def test_a_study_with_very_long_names_runs(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    chain = "+".join(["gaussian_noise", "motion_blur", "gaussian_blur", "jpeg_compression", "impulse_noise"])
    own = {"m" * 100: {"base": "vq-ttt"}}
    config = replace(
        CONFIG,
        tasks=(own_file(folder, 3),),
        degradations=("clean", chain),
        methods=("none", *own),
        method_settings=own,
        restorers=("none", "median"),
    )
    run(config, tmp_path / "run", lambda name: FakeTunableModel("./" + "model" * 60))
    assert len(load_records(tmp_path / "run")) == 3 * 2 * 2 * 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"severities": (1.5,)}, "severities must be whole numbers from 1 to 5, not 1.5"),
        ({"severities": (True,)}, "severities must be whole numbers from 1 to 5, not True"),
        ({"seeds": (-1,)}, "seeds must be whole numbers from 0 up, not -1"),
        ({"seeds": ()}, "seeds is empty; give at least one, such as 0"),
        ({"methods": ()}, "methods is empty; give at least one, such as none"),
        ({"tasks": ("digits", "")}, "tasks has an empty name; leave out the comma"),
        ({"batch": 2.5}, "batch must be a whole number, not 2.5"),
        ({"methods": ("mine",)}, r"a method of your own needs a table \[methods\.mine\] in a --config file"),
        ({"method_settings": {"vq-ttt": {"objective": "entropie"}}}, r"unknown objective 'entropie'; [^;]+$"),
    ],
)
def test_what_a_study_cannot_be_is_said_plainly(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(CONFIG, **wrong)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("severities = [1.5]", r"line 1: severities must be a list of whole numbers, such as \[2, 4\]; 1.5 is none"),
        ("seeds = [-1]", "line 1: seeds must be whole numbers from 0 up, not -1"),
        ("methods = []", 'line 1: methods is empty; give at least one, such as \\["none"'),
    ],
)
def test_so_it_is_in_a_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path / "study.toml")


def test_a_model_without_internals_names_the_methods_that_need_them(tmp_path: Path) -> None:
    config = replace(CONFIG, models=("fake-plain",), methods=("none", "vq-ttt", "vq-select", "tent"))
    with pytest.raises(
        InputError, match=r"fake-plain does not give .* which vq-ttt and tent need; .* --method vq-select"
    ):
        run(config, tmp_path / "run")


class Echo(NoTuning):
    """A method that a program registers while it runs."""


def test_a_method_registered_by_a_program_runs_in_workers_and_is_named_when_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS._entries, "echo", MethodSpec(Echo))
    # A task that is quickly loaded, because every process loads it.
    config = replace(CONFIG, tasks=(own_file(tmp_path, 4),), methods=("none", "echo"))
    run(config, tmp_path / "run", engine=EngineOptions(workers=2))
    assert set(load_records(tmp_path / "run")["method"]) == {"none", "echo"}
    assert resumed(tmp_path / "run") == config
    monkeypatch.delitem(METHODS._entries, "echo")
    with pytest.raises(InputError, match=r"unknown method 'echo'.*from the module tests\.study\.test_settings"):
        resumed(tmp_path / "run")
    about = RunFolder(tmp_path / "run").description() | {"plugins": {"echo": "parrots 1.2"}}
    (tmp_path / "run" / "run.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"the run had 'echo' from the package parrots 1\.2: install it again"):
        resumed(tmp_path / "run")


def test_a_setting_is_given_once() -> None:
    with pytest.raises(InputError, match=r"--set sets vq-ttt.steps 2 times; give each setting once"):
        with_settings(CONFIG, ["vq-ttt.steps=3", "vq-ttt.gate=0.1", "vq-ttt.steps = 4"])
