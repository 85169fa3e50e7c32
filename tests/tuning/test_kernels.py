"""The mixture of blurs: what its weights and its contrast do, and that contrast only rises."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.models.tunable import TunableModel
from vqttt.tuning.kernels import Blurs, KernelConfig
from vqttt.tuning.objectives import OBJECTIVES, Evidence, Objective
from vqttt.tuning.tuner import Tuner, TuningConfig

RATE = 0.05


def built(values: list[float]) -> Blurs:
    kernel = Blurs(KernelConfig(), 1, torch.Generator())
    kernel.parameters[0][:] = torch.tensor(values)
    return kernel


def filtered(kernel: Blurs, pixels: Tensor) -> Tensor:
    return pixels + kernel.change(kernel.coefficients(pixels, torch.zeros(len(pixels), dtype=torch.long)), pixels)


def noise(spread: float) -> Tensor:
    return 0.3 + spread * torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))


def test_a_positive_weight_blurs_and_a_negative_one_sharpens() -> None:
    pixels = noise(1.0)
    soft, sharp = filtered(built([0, 0.5, 0, 0, 0, 0]), pixels), filtered(built([0, -0.5, 0, 0, 0, 0]), pixels)
    assert soft.std() < 0.9 * pixels.std() < pixels.std() < 0.9 * sharp.std()
    torch.testing.assert_close(soft + sharp, 2 * pixels, atol=1e-4, rtol=0)


def test_contrast_is_around_the_mean_of_each_channel() -> None:
    pixels = noise(1.0)
    pixels[:, 1] += 2
    mean = pixels.mean((2, 3), keepdim=True)
    expected = mean + 2 * (pixels - mean)
    torch.testing.assert_close(
        filtered(built([0, 0, 0, 0, torch.tensor(2.0).log().item(), 0]), pixels), expected, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("spread", [0.1, 0.4, 0.8])
def test_contrast_by_image_brings_images_to_the_usual_spread(spread: float) -> None:
    tuned = filtered(built([0, 0, 0, 0, 0, 1]), noise(spread))
    inside = (tuned - tuned.mean((2, 3), keepdim=True)).square().mean().sqrt()
    assert inside.log().item() == pytest.approx(Blurs.usual, abs=1e-3)


def test_no_image_loses_contrast() -> None:
    vivid = noise(1.5)
    assert torch.equal(filtered(built([0, 0, 0, 0, 0, 1]), vivid), vivid)


def test_a_flat_image_stays_as_it_is() -> None:
    flat = torch.full((1, 3, 32, 32), 0.4)
    torch.testing.assert_close(filtered(built([0.3, -0.2, 0, 0, 1, 1]), flat), flat, atol=1e-4, rtol=0)


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Tensor]:
    """What the parameters become where the loss is the spread of the pixels, with a sign."""
    model: TunableModel = tiny_llava()
    inputs = model.encode(sample_images(12), QUESTIONS * 3)
    base = model.generate(inputs, 2)

    def after(sign: float) -> Tensor:
        def spread(evidence: Evidence) -> Tensor:
            return sign * evidence.pixels.square().mean((1, 2, 3))

        monkeypatch.setitem(OBJECTIVES._entries, "spread", Objective(loss=spread))
        tuner = Tuner(model, TuningConfig(objective="spread", kernel_rate=RATE), sets=None, seed=0)
        for _ in range(3):
            tuner.step(inputs, base)
        return tuner.adapters.kernel_parameters[0][0].detach()

    return after


def test_contrast_rises_but_never_falls(tuned: Callable[[float], Tensor]) -> None:
    more, less = tuned(-1.0), tuned(1.0)
    assert more[-2] > RATE and (more[:4] < -RATE).all()
    assert torch.equal(less[-2:], torch.zeros(2)) and (less[:4] > RATE).all()
