"""What is kept between calls is bounded, and what is added to a layer is on that layer's device."""

import numpy as np
import torch
from torch import nn

from tests.support.small_models import sample_images
from vqttt.tuning import spectrum
from vqttt.tuning.augmix import OPERATIONS, augmix
from vqttt.tuning.layers import LoRA, NormChange
from vqttt.tuning.spectrum import describe, unnaturalness


def test_the_cache_of_spectrum_weights_is_bounded() -> None:
    spectrum._kept.clear()
    for side in range(300, 420, 4):  # about 2 MB of weights each, all of other shapes
        unnaturalness(torch.zeros(1, 3, side, side + 1))
        assert sum(pools.nbytes for pools, _ in spectrum._kept.values()) <= 32 * 2**20
    assert (416, 417) in spectrum._kept and (300, 301) not in spectrum._kept


def test_an_image_too_large_for_the_cache_is_described_all_the_same() -> None:
    large = torch.randn(1, 3, 1300, 1300, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(describe(large)).all()
    assert (1300, 1300) not in spectrum._kept


def test_kept_weights_are_those_that_were_made() -> None:
    pixels = torch.randn(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    spectrum._kept.clear()
    first = describe(pixels)
    assert torch.equal(describe(pixels), first)


def test_changes_are_computed_where_the_layer_is() -> None:
    """The `meta` device stands in for a second GPU: torch refuses to mix it with the CPU's tensors."""
    x = torch.zeros(3, 5, 8, device="meta")
    rows = torch.tensor([0, 1, 1], device="meta")
    for norm in (nn.LayerNorm(8, device="meta"), nn.RMSNorm(8, device="meta")):
        change = NormChange(norm, torch.zeros(2, 8), torch.zeros(2, 8))
        for chosen in (None, rows):
            assert change.change(x, x, chosen).device.type == "meta"
    lora = LoRA(nn.Linear(8, 8, device="meta"), 0, torch.zeros(2, 4, 8), torch.zeros(2, 8, 4))
    assert lora.change(x, x, None).device.type == "meta"


def test_a_view_is_drawn_from_its_seed() -> None:
    image = sample_images(1, side=48)[0]
    views = [augmix(image, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert views[0].shape == image.shape and views[0].dtype == np.uint8
    assert np.array_equal(views[0], views[1]) and not np.array_equal(views[0], views[2])


def test_views_of_any_shape_stay_close_to_the_image_on_average() -> None:
    for shape in ((1, 1, 3), (3, 200, 3), (64, 48, 3)):
        flat = np.full(shape, 90, np.uint8)
        for seed in range(5):
            assert augmix(flat, np.random.default_rng(seed)).shape == shape
    image = sample_images(1, side=64)[0]
    mean = np.mean([augmix(image, np.random.default_rng(seed)).mean() for seed in range(60)])
    assert abs(mean - image.mean()) < 20


def test_the_operations_are_mild() -> None:
    from PIL import Image

    image = sample_images(1, side=64)[0]
    for number, operation in enumerate(OPERATIONS):
        for seed in range(10):
            made = np.asarray(operation(Image.fromarray(image), np.random.default_rng(seed)))
            assert made.shape == image.shape, number
            moved = np.abs(made.astype(int) - image.astype(int)).mean()
            assert moved < 40, (number, moved)
