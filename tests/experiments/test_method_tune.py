"""What the experiment on methods learns beforehand: the file that ships, and those that its studies apply."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.method import files, tune
from experiments.method.plan import HALF, HALF_START, PHASES, SELECT, Study
from vqttt.images.restorers import CORRECTIONS
from vqttt.methods import METHODS, VQSelect
from vqttt.models.base import Inputs
from vqttt.models.fake import FakeTunableModel
from vqttt.models.tunable import LogitGeneration

pytestmark = pytest.mark.usefixtures("registered")


def test_the_same_seed_learns_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tune, "START", 8)
    files_ = [tmp_path / name for name in ("a", "b", "c")]
    for file, seed in zip(files_, (1, 1, 2), strict=True):
        tune.main(["--model", "fake", "--scenes", "6", "--seed", str(seed), "--out", str(file)])
    first, again, other = (file.read_bytes() for file in files_)
    assert first == again != other


class _Counting(FakeTunableModel):
    """Counts the images that it answers about."""

    answered = 0

    def generate(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        self.answered += inputs.count
        return super().generate(inputs, max_new_tokens)


def test_it_tries_every_correction_and_fits_whoever_applies_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tune, "START", 0)
    monkeypatch.setattr(VQSelect, "admitted", lambda self, inputs, before: list(range(inputs.count)))
    model = _Counting()
    method = tune.learned(model, ("fog",), count=5)
    assert model.answered == 5 * (1 + len(CORRECTIONS))
    assert method.config == METHODS[SELECT].config
    method.save(tmp_path / "file")
    applied = METHODS[SELECT].saved(tmp_path / "file").build(model)
    assert applied.method.summary() == method.summary()


def test_scenes_are_clean_or_under_the_degradations_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "START", 0)
    drawn = {sample.category.rsplit("-", 1)[0] for sample in tune.samples(("fog", "snow"), 60, seed=0)}
    assert drawn == {"clean", "fog", "snow"}
    assert all(sample.id.startswith("vq-mini-dev") for sample in tune.samples(("fog",), 3, seed=0))


def test_files_are_made_once_and_the_shipped_one_never(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[str] = []

    def make(name: str) -> Callable[..., VQSelect]:
        def method(model: FakeTunableModel) -> VQSelect:
            made.append(name)
            return files._built(model)

        return method

    monkeypatch.setattr(files, "MADE", {name: make(name) for name in ("half", "nothing")})
    config = replace(next(PHASES["streams"](tmp_path)).config)
    methods = tuple(name for name in config.methods if "half" in name)
    study = Study(name="s", config=replace(config, methods=methods))
    assert len(methods) == len((HALF, HALF_START))
    for _ in range(2):
        files.make_files(study, FakeTunableModel)
    assert made == ["half"] and [file.name for file in tmp_path.iterdir()] == ["half.safetensors"]
    shipped = {"x": {"base": SELECT, "tuned": str(tmp_path / "vq-select.safetensors")}}
    with pytest.raises(SystemExit, match=r"experiments\.method\.tune"):
        files.make_files(
            Study(name="s", config=replace(config, methods=("x",), method_settings=shipped)), FakeTunableModel
        )
