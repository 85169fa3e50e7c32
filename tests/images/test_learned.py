"""Networks from a weights file, and large images in tiles."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from safetensors.torch import save, save_file

from tests.support.fuzzing import examples
from tests.support.images import scene
from vqttt.errors import InputError
from vqttt.images.restorers import find, fingerprint, restore
from vqttt.images.restorers.tiling import apply_in_tiles


def nafnet() -> torch.nn.Module:
    from spandrel.architectures.NAFNet import NAFNet

    torch.manual_seed(0)
    network = NAFNet(width=8, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1])
    for parameter in network.parameters():  # its residual scales start at zero, which would switch off all blocks
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def compact(scale: int) -> torch.nn.Module:
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    return Compact(num_feat=8, num_conv=2, upscale=scale)


def dncnn_gray() -> torch.nn.Module:
    from spandrel.architectures.DnCNN import DnCNN

    torch.manual_seed(0)
    return DnCNN(in_nc=1, out_nc=1, nc=8, nb=17, act_mode="R")


NETWORKS = {"nafnet": (nafnet, 1), "compact": (lambda: compact(2), 2), "dncnn": (dncnn_gray, 1)}


@pytest.fixture(params=NETWORKS)
def weights(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    make, scale = NETWORKS[request.param]
    path = tmp_path / f"{request.param}.safetensors"
    save_file(make().state_dict(), path)
    return path, scale


@pytest.mark.parametrize("shape", [(16, 16), (7, 33), (61, 50)])
def test_a_weights_file_restores(weights, shape):
    path, scale = weights
    image = scene(*shape)
    image.flags.writeable = False
    restored = restore(image, f"spandrel:{path}")
    assert restored.shape == (shape[0] * scale, shape[1] * scale, 3) and restored.dtype == np.uint8
    np.testing.assert_array_equal(restored, restore(image, f"spandrel:{path}"))
    assert len(np.unique(restored)) > 5
    assert len(fingerprint(f"spandrel:{path}")) == 64


def test_it_is_the_network_that_plain_spandrel_runs(tmp_path):
    from spandrel import ModelLoader

    path = tmp_path / "nafnet.pth"
    torch.save(nafnet().state_dict(), path)
    image = scene(48, 64)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    theirs = ModelLoader().load_from_state_dict(nafnet().state_dict())(pixels)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(restore(image, f"spandrel:{path}") - theirs).max() <= 0.5 + 1e-3


def test_tiles_leave_no_seam():
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 8, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 5, padding=2)]
    network = torch.nn.Sequential(*layers)
    image = np.random.default_rng(0).integers(0, 256, (150, 210, 3), dtype=np.uint8)

    def run(pixels: torch.Tensor) -> torch.Tensor:
        return network(pixels).sigmoid()

    whole = apply_in_tiles(run, image, 300, 16).astype(int)
    seams = [np.abs(apply_in_tiles(run, image, 64, overlap).astype(int) - whole) for overlap in (0, 8, 24)]
    assert seams[0].max() > 8
    assert seams[0].mean() > seams[1].mean() > seams[2].mean()
    assert seams[2].max() <= 4


@pytest.mark.parametrize("shape", [(64, 64), (65, 64), (127, 301), (64, 1000)])
@pytest.mark.parametrize("zoom", [1, 3])
def test_tiles_cover_everything_once(shape, zoom):
    def enlarge(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)

    image = scene(*shape)
    expected = np.kron(image, np.ones((zoom, zoom, 1), np.uint8))
    np.testing.assert_array_equal(apply_in_tiles(enlarge, image, 64, 16), expected)


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "net.safetensors"
    image, restored = scene(32, 32), []
    for factor in (1.0, 0.5):
        save_file({name: value * factor for name, value in nafnet().state_dict().items()}, path)
        restored.append(restore(image, f"spandrel:{path}"))
    assert not np.array_equal(*restored)


def whole(network: torch.nn.Module, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer, **options)
    return buffer.getvalue()


UNUSABLE = {
    "an empty file": (lambda: b"", "the file is empty"),
    "a web page": (lambda: b"<!DOCTYPE html>\n<html><body>404 \xe2\x80\x94 gone</body></html>", "a web page"),
    "a text": (lambda: b"not weights", "a text"),
    "a pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "a cut zip": (lambda: whole(nafnet())[:9000], "truncated or damaged"),
    "a cut pickle": (lambda: whole(nafnet(), _use_new_zipfile_serialization=False)[:3000], "damaged"),
    "a cut safetensors": (lambda: save(nafnet().state_dict())[:9000], "truncated or damaged"),
    "noise": (lambda: np.random.default_rng(0).bytes(5000), "damaged"),
    "an image": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), "damaged"),
    "a list": (lambda: pickled([1, 2]), "holds a list"),
    "a module": (lambda: pickled(torch.nn.Linear(2, 2)), "give the weights alone"),
}


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("case", UNUSABLE)
def test_a_file_that_is_no_weights_is_told_by_its_content(case, suffix, tmp_path):
    make, said = UNUSABLE[case]
    file = tmp_path / f"file.{suffix}"
    file.write_bytes(make())
    with pytest.raises(InputError, match="cannot be read as weights") as error:
        find(f"spandrel:{file}")
    message = str(error.value)
    assert said in message and len(message.splitlines()) == 1
    assert not any(advice in message for advice in ("weights_only", "torch.load", "arbitrary code"))


def test_weights_of_another_network_are_refused(tmp_path):
    file = tmp_path / "file.safetensors"
    save_file({"strange.weight": torch.zeros(3)}, file)
    with pytest.raises(InputError, match="no architecture that spandrel knows"):
        restore(scene(16, 16), f"spandrel:{file}")
    save_file({name: value[..., :1].contiguous() for name, value in nafnet().state_dict().items()}, file)
    with pytest.raises(InputError, match="its weights fit no network"):
        find(f"spandrel:{file}")
    with pytest.raises(InputError, match="no such file"):
        find(f"spandrel:{tmp_path / 'gone.safetensors'}")


def test_the_content_tells_the_format_and_not_the_suffix(tmp_path):
    file = tmp_path / "file.pth"
    save_file(nafnet().state_dict(), file)
    assert restore(scene(16, 16), f"spandrel:{file}").shape == (16, 16, 3)


@given(some.binary(max_size=3000), some.sampled_from(["pth", "safetensors"]))
@examples(100)
def test_any_bytes_are_refused_in_one_line(tmp_path_factory, content, suffix):
    file = tmp_path_factory.mktemp("any") / f"file.{suffix}"
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        find(f"spandrel:{file}")
    assert len(str(error.value).splitlines()) == 1 and "weights_only" not in str(error.value)


def test_pickled_code_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match="cannot be read as weights"):
        find(f"spandrel:{tmp_path / 'trap.pth'}")
    assert not (tmp_path / "sprung").exists()
