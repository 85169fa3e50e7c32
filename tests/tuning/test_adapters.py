"""Adapters start at the identity, act on their own image, and return to the identity; all bit for bit."""

import pytest
import torch

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.errors import InputError, UnknownNameError
from vqttt.models.fake import FakeTunableModel
from vqttt.models.tunable import TunableModel
from vqttt.tuning.adapters import AdapterConfig, Adapters
from vqttt.tuning.kernels import KERNELS, KernelConfig

MODELS = [FakeTunableModel(), tiny_llava()]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
each_kernel = pytest.mark.parametrize("kernel", list(KERNELS))


def disturb(adapters: Adapters) -> None:
    """Give every set different values."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in adapters.parameters:
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.2)


@each_model
@each_kernel
@pytest.mark.parametrize("sets", [1, 3])
def test_identity_leaves_logits_bit_identical(model: TunableModel, kernel: str, sets: int) -> None:
    inputs = model.encode(sample_images(3), QUESTIONS[:3])
    plain = model.answer_logits(inputs)
    adapters = Adapters(model, AdapterConfig(kernel=kernel), sets=sets)
    with adapters.applied(inputs) as adapted:
        assert torch.equal(model.answer_logits(adapted), plain)


@each_model
@each_kernel
def test_reset_restores_every_bit(model: TunableModel, kernel: str) -> None:
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    plain = model.answer_logits(inputs)
    weights = model.fingerprint()
    adapters = Adapters(model, AdapterConfig(kernel=kernel), sets=2)
    start = adapters.snapshot()
    disturb(adapters)
    with adapters.applied(inputs) as adapted:
        assert not torch.equal(model.answer_logits(adapted), plain)
    adapters.reset()
    assert all(map(torch.equal, adapters.snapshot(), start))
    with adapters.applied(inputs) as adapted:
        assert torch.equal(model.answer_logits(adapted), plain)
    assert torch.equal(model.answer_logits(inputs), plain), "hooks outlived the block"
    assert model.fingerprint() == weights


@each_model
@each_kernel
def test_each_image_uses_its_own_set(model: TunableModel, kernel: str) -> None:
    images, questions = sample_images(3), QUESTIONS[:3]
    together = Adapters(model, AdapterConfig(kernel=kernel), sets=3)
    disturb(together)
    inputs = model.encode(images, questions)
    with torch.no_grad(), together.applied(inputs) as adapted:
        batch = model.answer_logits(adapted)
    for n in range(3):
        alone = Adapters(model, AdapterConfig(kernel=kernel), sets=1)
        alone.restore([tensor[n : n + 1] for tensor in together.snapshot()])
        single = model.encode(images[n : n + 1], questions[n : n + 1])
        with torch.no_grad(), alone.applied(single) as adapted:
            torch.testing.assert_close(model.answer_logits(adapted)[0], batch[n], atol=1e-4, rtol=0)


@each_kernel
def test_kernels_keep_brightness_and_are_linear(kernel: str) -> None:
    generator = torch.Generator().manual_seed(1)
    built = KERNELS[kernel](KernelConfig(size=5), 2, generator)
    for tensor in built.parameters:
        tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.2)
    first, second, flat = torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32), torch.full((2, 3, 32, 32), 0.7)
    coefficients = built.coefficients(first, torch.arange(2))
    assert built.change(coefficients, first).abs().max() > 1e-3
    torch.testing.assert_close(built.change(coefficients, flat), torch.zeros_like(flat), atol=1e-5, rtol=0)
    both = built.change(coefficients, first) + 2 * built.change(coefficients, second)
    torch.testing.assert_close(built.change(coefficients, first + 2 * second), both, atol=1e-4, rtol=0)


def test_the_separable_kernel_is_a_convolution_with_its_impulse_response() -> None:
    generator = torch.Generator().manual_seed(1)
    built = KERNELS["separable"](KernelConfig(size=5), 2, generator)
    built.parameters[0].add_(torch.randn(built.parameters[0].shape, generator=generator) * 0.2)
    pixels, owner = torch.randn(2, 3, 16, 16), torch.arange(2)
    filtered = pixels + built.change(built.coefficients(pixels, owner), pixels)
    padded = torch.nn.functional.pad(pixels, (2, 2, 2, 2), mode="replicate")
    for n, response in enumerate(built.impulse_response(pixels, owner, side=5).flip(1, 2)):
        expected = torch.nn.functional.conv2d(padded[n : n + 1], response.expand(3, 1, 5, 5), groups=3)[0]
        torch.testing.assert_close(filtered[n], expected, atol=1e-5, rtol=0)


def test_only_the_adapters_get_gradients() -> None:
    model = tiny_llava()
    adapters = Adapters(model, AdapterConfig(lora_blocks=2), sets=1)
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    with adapters.applied(inputs) as adapted:
        model.answer_logits(adapted).logsumexp(-1).sum().backward()
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert all(tensor.grad is not None for tensor in (*adapters.kernel_parameters, *adapters.lora_parameters))
    assert len(adapters.lora) == 4


def test_impossible_configurations_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="blurs"):
        AdapterConfig(kernel="blur")
    with pytest.raises(ValueError, match="odd"):
        AdapterConfig(kernel_size=4)
    with pytest.raises(InputError, match=r"LoRA targets \['k'\] are not in this model; it has \['q', 'v'\]"):
        Adapters(FakeTunableModel(), AdapterConfig(lora_targets=("k",)), sets=1)
