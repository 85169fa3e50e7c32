"""MAXIM: the network, and running it on images of any size.

`goldens/maxim/tfjs.json` holds the output of TensorFlow.js 4.22 (its WebAssembly backend, with Einsum as a matrix
product) for `scene(64, 128)` / 255, computed from the graphs in the packages: mean, standard deviation, and every
eighth pixel of every eighth row. It needs the weights: `vqttt restorers install maxim-denoising`, and so on.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.images import natural, psnr, scene
from tests.support.small_models import SMALL_MAXIM, small_maxim
from vqttt.images.degradations import degrade
from vqttt.images.restorers.maxim import VARIANTS, restore, weights_path
from vqttt.images.restorers.maxim.blocks import MultiAxis
from vqttt.images.restorers.maxim.network import Config, Maxim
from vqttt.images.restorers.maxim.restorer import MaximRestorer, load_file

GOLDENS = Path(__file__).parent.parent / "goldens" / "maxim" / "tfjs.json"


pytestmark = pytest.mark.usefixtures("one_thread")


def weights_or_skip(name: str) -> None:
    if not weights_path(name).is_file():
        pytest.skip(f"the weights of {name} are not installed")


@pytest.mark.parametrize(("stages", "millions"), [(2, 14.17), (3, 22.21)])
def test_parameters_are_as_many_as_published(stages, millions):
    with torch.device("meta"):
        network = Maxim(Config(stages=stages))
    assert network.config.multiple == 64
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    assert Config.of(network.state_dict()) == network.config


@pytest.mark.parametrize("shape", [(16, 16), (16, 48), (64, 32)])
@torch.inference_mode()
def test_the_network_keeps_the_shape(shape):
    assert SMALL_MAXIM.multiple == 16
    image = torch.rand(2, *shape, 3)
    restored = small_maxim()(image)
    assert restored.shape == image.shape and bool(restored.isfinite().all())
    torch.testing.assert_close(restored[1:], small_maxim()(image[1:]), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_pixels_mix_along_the_grid_and_within_blocks():
    side, rows, columns = 3, 2, 4
    module = MultiAxis(6, side)
    x = torch.rand(1, side * rows, side * columns, 6)
    mixed = module.along_axes(x, lambda cells: cells.roll(1, 0), lambda cells: cells.roll(2, 0))

    expanded = torch.nn.functional.gelu(module.expand(module.norm(x)), approximate="tanh")
    shifted = torch.empty_like(expanded)
    for i in range(side * side):
        for row in range(rows):
            for column in range(columns):
                far, near = (i - 1) % side**2, (i - 2) % side**2
                shifted[:, i // side * rows + row, i % side * columns + column, :6] = expanded[
                    :, far // side * rows + row, far % side * columns + column, :6
                ]
                shifted[:, row * side + i // side, column * side + i % side, 6:] = expanded[
                    :, row * side + near // side, column * side + near % side, 6:
                ]
    torch.testing.assert_close(mixed, module.project(shifted), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(16, 16), (17, 100), (33, 47)])
def test_a_network_that_adds_nothing_returns_the_image(shape):
    network = small_maxim()
    torch.nn.init.zeros_(network.output.weight)
    torch.nn.init.zeros_(network.output.bias)
    image = natural(*shape)
    for tile in (32, 512):
        np.testing.assert_array_equal(MaximRestorer(network, tile, overlap=8)(image), image)


def test_images_are_restored_the_same_every_time():
    restorer = MaximRestorer(small_maxim())
    image = natural(50, 70)
    image.flags.writeable = False
    restored = restorer(image)
    assert restored.shape == image.shape and restored.dtype == np.uint8 and restored.flags.c_contiguous
    assert not np.array_equal(restored, image)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(restorer, [image] * 8):
            np.testing.assert_array_equal(again, restored)


def test_tiles_leave_no_seams():
    network, image = small_maxim(), natural(48, 160)
    with torch.no_grad():  # a trained network changes an image by a few levels
        network.output.weight *= 0.1
        network.output.bias *= 0.1
    whole = MaximRestorer(network)(image).astype(float)

    def step(overlap: int) -> float:
        """Return the largest step between neighbouring columns that is absent without tiles."""
        change = MaximRestorer(network, tile=64, overlap=overlap)(image) - whole
        assert np.abs(change).mean() < 1
        return float(np.abs(np.diff(change.mean(axis=(0, 2)))).max())

    assert step(32) < 0.6 < step(0) / 3


@pytest.mark.parametrize("name", list(VARIANTS))
def test_parity_with_tensorflow_js(name):
    weights_or_skip(name)
    network = load_file(weights_path(name), weights_path(name).stat().st_mtime_ns).network
    image = torch.from_numpy(scene(64, 128).astype(np.float32) / np.float32(255))[None]
    with torch.inference_mode():
        restored = network(image)[0].numpy()
    golden = json.loads(GOLDENS.read_text())[name]
    np.testing.assert_allclose(restored[::8, ::8].ravel(), golden["every_eighth_pixel"], atol=1e-4, rtol=0)
    assert restored.mean() == pytest.approx(golden["mean"], abs=1e-5)
    assert restored.std() == pytest.approx(golden["std"], abs=1e-5)


def test_noise_is_removed():
    weights_or_skip("maxim-denoising")
    image = scene(128, 128)
    noisy = degrade(image, "gaussian_noise", 2, 0)
    assert psnr(restore(noisy, "maxim-denoising"), image) > psnr(noisy, image) + 3
