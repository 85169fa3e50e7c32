"""A saved file is applied only where it was made: same model, method, settings and corrections."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support.small_models import QUESTIONS, sample_images
from vqttt.errors import InputError
from vqttt.methods import METHODS, find_method
from vqttt.methods.saved import Saved
from vqttt.methods.stream import StreamMethod
from vqttt.models import load_model
from vqttt.models.fake import FakeTunableModel
from vqttt.tuning import tuned_file

LEARNING = [name for name in METHODS if issubclass(METHODS[name].kind, StreamMethod) and name != "vq-ttt-features"]


def tuned(name: str, model: FakeTunableModel, file: Path) -> StreamMethod:
    method = METHODS[name].build(model)
    assert isinstance(method, StreamMethod)
    method.answer(*model.ask(sample_images(4), QUESTIONS, 2))
    method.save(file)
    return method


@pytest.mark.parametrize("name", LEARNING)
def test_a_file_says_what_it_was_made_with_and_fits_only_that(name: str, tmp_path: Path) -> None:
    model, file = FakeTunableModel(), tmp_path / "tuned.safetensors"
    method = tuned(name, model, file)
    about = tuned_file.read(file)[1]
    assert (about["method"], about["weights"]) == (name, model.fingerprint())
    assert about["settings"] == method.settings()
    METHODS[name].saved(file).build(model)
    other = FakeTunableModel("fake-2")
    with torch.no_grad():
        other.network.head.weight[0, 0] += 1e-3
    with pytest.raises(InputError, match=r"was tuned on a model with other weights \(fake\) than fake-2; run") as met:
        METHODS[name].saved(file).build(other)
    assert "\n" not in str(met.value) and len(str(met.value)) < 300
    another = next(one for one in LEARNING if one != name)
    with pytest.raises(InputError, match=f"was tuned by {name}, not by {another}; choose that method"):
        METHODS[another].saved(file).build(model)
    setting = next(one for one in ("rate", "lora_rate", "trust") if hasattr(METHODS[name].config, one))
    own = {"mine": {"base": name, setting: 0.5, "tuned": str(file)}}
    with pytest.raises(InputError, match=f"was tuned with other settings of {name}: {setting} is .*, not 0.5$"):
        find_method("mine", own).build(model)


@pytest.mark.parametrize("name", LEARNING)
def test_a_file_with_nan_is_refused_by_every_method(name: str, tmp_path: Path) -> None:
    model, file = FakeTunableModel(), tmp_path / "tuned.safetensors"
    tuned(name, model, file)
    tensors, about = tuned_file.read(file)
    tensors.setdefault("adapter.0", torch.zeros(1))  # this model has no norms that tent and sar could tune
    broken = {key: tensor * torch.nan if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    tuned_file.write(file, broken, about)
    specs = [METHODS[name].saved(file)]
    if hasattr(METHODS[name].config, "start"):
        specs.append(METHODS[name].changed({"start": str(file)}))
    for configured in specs:
        with pytest.raises(InputError, match="not finite") as met:
            configured.build(model)
        assert "\n" not in str(met.value) and str(file) in str(met.value)


def test_a_stream_may_go_on_from_a_file_with_other_rates(tmp_path: Path) -> None:
    model, file = FakeTunableModel(), tmp_path / "tuned.safetensors"
    before = tuned("vq-ttt", model, file)
    going_on = METHODS["vq-ttt"].changed({"start": str(file), "lora_rate": 0.5}).build(model)
    assert isinstance(going_on, StreamMethod)
    assert all(map(torch.equal, going_on.adapters.snapshot(), before.adapters.snapshot()))
    assert "start" not in going_on.settings()
    with pytest.raises(InputError, match="has other adapters than the method: lora_rank is 4, not 8"):
        METHODS["vq-ttt"].changed({"start": str(file), "adapters": {"lora_rank": 8}}).build(model)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    model, file = FakeTunableModel(), tmp_path / "x.safetensors"
    save_file({"adapter.0": torch.zeros(4)}, file)
    with pytest.raises(InputError, match="was not written by `vqttt tune`"):
        METHODS["vq-ttt"].saved(file).build(model)
    save_file({"adapter.0": torch.zeros(4)}, file, metadata={"vqttt": '{"kernel": "blurs"}'})
    with pytest.raises(InputError, match="was written by another version of vqttt; run `vqttt tune` again"):
        METHODS["vq-ttt"].saved(file).build(model)


def test_the_first_difference_is_named() -> None:
    assert tuned_file.difference({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}) == ""
    assert tuned_file.difference({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}) == "c is 2, not 3"
    assert tuned_file.difference({"a": 1}, {"a": 1, "d": "x"}) == 'd is not set, not "x"'


def test_what_was_learned_is_said_in_a_line(tmp_path: Path) -> None:
    model = FakeTunableModel()
    said = tuned("vq-select", model, tmp_path / "a").summary()
    assert re.fullmatch("which correction suits which image, from [1-9][0-9]* tries", said)
    assert "the kernel's largest parameter moved by" in tuned("vq-ttt", model, tmp_path / "b").summary()


def test_the_file_that_ships_is_given_by_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = find_method("mine", {"mine": {"base": "vq-select", "tuned": "shipped"}}).build(load_model("embedded"))
    assert isinstance(method, Saved) and not method.learns
    with pytest.raises(InputError, match="no file ships for the method vq-ttt; one does for vq-select"):
        METHODS["vq-ttt"].changed({"tuned": "shipped"})
    monkeypatch.chdir(tmp_path)
    tuned("vq-ttt", FakeTunableModel(), Path("shipped"))
    own = METHODS["vq-ttt"].changed({"tuned": "shipped"}).config
    assert own.file == "shipped", "a file of one's own comes first"
