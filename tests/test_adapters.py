"""Adapters start as the identity to the last bit, act per image, and go back to the last bit."""

import pytest
import torch

from tests.small_models import QUESTIONS, pictures, tiny_llava
from vqttt.adapters import KERNELS, AdapterConfig, Adapters
from vqttt.errors import UnknownNameError
from vqttt.models.base import Model
from vqttt.models.fake import FakeModel

MODELS = [FakeModel(), tiny_llava()]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
each_kernel = pytest.mark.parametrize("kernel", list(KERNELS))


def disturb(adapters: Adapters) -> None:
    """Give every set values of its own."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (*adapters.kernel_parameters, *adapters.lora_parameters):
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.2)


@each_model
@each_kernel
@pytest.mark.parametrize("sets", [1, 3])
def test_identity_leaves_logits_bit_identical(model: Model, kernel: str, sets: int) -> None:
    inputs = model.encode(pictures(3), QUESTIONS[:3])
    plain = model.answer_logits(inputs)
    adapters = Adapters(model, AdapterConfig(kernel=kernel), sets=sets)
    with adapters.applied(inputs) as seen:
        assert torch.equal(model.answer_logits(seen), plain)


@each_model
@each_kernel
def test_reset_restores_every_bit(model: Model, kernel: str) -> None:
    inputs = model.encode(pictures(2), QUESTIONS[:2])
    plain = model.answer_logits(inputs)
    weights = model.fingerprint()
    adapters = Adapters(model, AdapterConfig(kernel=kernel), sets=2)
    start = adapters.snapshot()
    disturb(adapters)
    with adapters.applied(inputs) as seen:
        assert not torch.equal(model.answer_logits(seen), plain)
    adapters.reset()
    assert all(map(torch.equal, adapters.snapshot(), start))
    with adapters.applied(inputs) as seen:
        assert torch.equal(model.answer_logits(seen), plain)
    assert torch.equal(model.answer_logits(inputs), plain), "hooks outlived the block"
    assert model.fingerprint() == weights


@each_model
@each_kernel
def test_every_image_uses_its_own_set(model: Model, kernel: str) -> None:
    images, questions = pictures(3), QUESTIONS[:3]
    together = Adapters(model, AdapterConfig(kernel=kernel), sets=3)
    disturb(together)
    inputs = model.encode(images, questions)
    with torch.no_grad(), together.applied(inputs) as seen:
        batch = model.answer_logits(seen)
    for n in range(3):
        alone = Adapters(model, AdapterConfig(kernel=kernel), sets=1)
        alone.restore([tensor[n : n + 1] for tensor in together.snapshot()])
        single = model.encode(images[n : n + 1], questions[n : n + 1])
        with torch.no_grad(), alone.applied(single) as seen:
            torch.testing.assert_close(model.answer_logits(seen)[0], batch[n], atol=1e-4, rtol=0)


@each_kernel
def test_kernel_matches_plain_convolution_and_keeps_brightness(kernel: str) -> None:
    model = FakeModel()
    adapters = Adapters(model, AdapterConfig(kernel=kernel, kernel_size=5), sets=2)
    disturb(adapters)
    assert adapters.kernel is not None
    inputs = model.encode(pictures(2), QUESTIONS[:2])
    whole = adapters.kernel.kernel()
    torch.testing.assert_close(whole.sum((1, 2)), torch.ones(2), atol=1e-5, rtol=0)
    with adapters.applied(inputs) as seen:
        filtered = seen.tensors["pixel_values"]
    padded = torch.nn.functional.pad(inputs.tensors["pixel_values"], (2, 2, 2, 2), mode="replicate")
    for n in range(2):
        weight = whole[n].expand(3, 1, 5, 5)
        expected = torch.nn.functional.conv2d(padded[n : n + 1], weight, groups=3)[0]
        torch.testing.assert_close(filtered[n], expected, atol=1e-5, rtol=0)


def test_only_declared_parameters_get_gradients() -> None:
    model = tiny_llava()
    adapters = Adapters(model, AdapterConfig(lora_blocks=2), sets=1)
    inputs = model.encode(pictures(2), QUESTIONS[:2])
    with adapters.applied(inputs) as seen:
        model.answer_logits(seen).logsumexp(-1).sum().backward()
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert all(tensor.grad is not None for tensor in (*adapters.kernel_parameters, *adapters.lora_parameters))
    assert len(adapters.lora) == 4


def test_odd_configurations_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="interpolation"):
        AdapterConfig(kernel="interpolaton")
    with pytest.raises(ValueError, match="odd"):
        AdapterConfig(kernel_size=4)
    with pytest.raises(ValueError, match="'k'"):
        Adapters(FakeModel(), AdapterConfig(lora_targets=("k",)), sets=1)
