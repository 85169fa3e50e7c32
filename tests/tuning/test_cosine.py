"""Filtering by the cosine transform agrees with filtering pixel by pixel."""

import torch

from vqttt.tuning.cosine import gaussians, to_frequencies, to_pixels
from vqttt.tuning.filters import blurred


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_there_and_back_changes_nothing() -> None:
    pixels = drawn(2, 3, 40, 57)
    frequencies = to_frequencies(pixels)
    assert not torch.allclose(frequencies, pixels, atol=0.1)
    torch.testing.assert_close(to_pixels(frequencies), pixels, atol=1e-5, rtol=0)
    torch.testing.assert_close(frequencies.square().sum(), pixels.square().sum())


def test_the_slowest_frequency_is_the_mean() -> None:
    pixels = drawn(2, 3, 40, 57)
    frequencies = to_frequencies(pixels)
    torch.testing.assert_close(frequencies[..., 0, 0] / (40 * 57) ** 0.5, pixels.mean((2, 3)))
    flat = to_frequencies(torch.full((1, 3, 40, 57), 0.7)).flatten(2)
    assert flat[..., 1:].abs().max() < 1e-4


def test_a_gaussian_blurs_as_a_convolution_does() -> None:
    pixels = drawn(2, 3, 60, 44)
    factors = gaussians(60, 44, (1.0, 1.7, 2.8), pixels.device)
    assert torch.equal(factors[:, 0, 0], torch.ones(3)), "brightness is kept"
    ours = [to_pixels(to_frequencies(pixels) * factor) for factor in factors]
    for soft, sigma in zip(ours, (1.0, 1.7, 2.8), strict=True):
        difference = (soft - blurred(pixels, sigma))[..., 9:-9, 9:-9]  # one mirrors edges, the other repeats them
        assert difference.abs().max() < 0.03, sigma
        assert (soft - pixels).abs().max() > 0.3
