"""Files of tensors: with ordinary permissions, the old one or the whole new one, and apart from what was read."""

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from vqttt.errors import InputError
from vqttt.models.fake import FakeTunableModel
from vqttt.tuning import tuned_file
from vqttt.tuning.feature_statistics import load_clean
from vqttt.tuning.tuned_file import save_tensors


def permissions(file: Path) -> int:
    return file.stat().st_mode & 0o777


def test_a_new_file_is_like_any_other_and_an_old_one_keeps_its_permissions(tmp_path: Path) -> None:
    other, file, private = tmp_path / "other", tmp_path / "new", tmp_path / "private"
    other.touch()
    save_tensors(file, {"a": torch.ones(2)})
    assert permissions(file) == permissions(other)
    private.touch(0o600)
    save_tensors(private, {"a": torch.ones(2)})
    assert permissions(private) == 0o600


def test_tensors_that_were_read_stay_when_the_file_is_written_again(tmp_path: Path) -> None:
    file = tmp_path / "file"
    tuned_file.write(file, {"a": torch.ones(50_000)}, {})
    read = tuned_file.read(file)[0]["a"]
    tuned_file.write(file, {"a": torch.zeros(2)}, {})
    assert read.equal(torch.ones(50_000))


def test_a_failure_keeps_the_old_file_and_leaves_no_new_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    save_tensors(file, {"a": torch.ones(2)})
    before = file.read_bytes()
    for path in (file, tmp_path / "new"):
        with pytest.raises((ValueError, SafetensorError, RuntimeError)):
            save_tensors(path, {"a": torch.ones(4)[::2], "b": torch.ones(4).to_sparse()})
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_numbers_that_are_not_finite_are_refused(value: float, dtype: torch.dtype, tmp_path: Path) -> None:
    file = tmp_path / "file"
    tuned_file.write(file, {"counts": torch.tensor(3), "a": torch.tensor([1, value], dtype=dtype)}, {})
    with pytest.raises(InputError, match=r"file: its tensor 'a' has numbers that are not finite.*; run `vqttt tune`"):
        tuned_file.read(file)


def test_clean_features_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "file", {"a": torch.tensor([torch.nan])})
    with pytest.raises(InputError, match=r"tensor 'a' has numbers that are not finite.*; run `vqttt clean-features`"):
        load_clean(tmp_path / "file", FakeTunableModel())
