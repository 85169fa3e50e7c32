"""What a gradient step stores: little where activations are recomputed, nothing of an answer's later tokens."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from tests.support.small_families import BUILDERS, small
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.methods import METHODS
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.recompute import recomputed
from vqttt.models.tunable import LogitGeneration
from vqttt.tuning.adapters import AdapterConfig
from vqttt.tuning.tuner import Tuner, TuningConfig

# Warnings of transformers about its own code.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SHALLOW = AdapterConfig(lora_blocks=1)


@contextmanager
def stored() -> Iterator[dict[int, int]]:
    """Within the block, note the bytes of all that is stored for a backward pass, by where it is."""
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield found


def traced(model: HuggingFaceModel, checkpoint: bool, tokens: int) -> tuple[LogitGeneration, list[Tensor], int]:
    """Answer and take one step; return the answers, the gradients, and the bytes that were stored.

    The backward pass comes after the adapters were taken off.
    """
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    tuner = Tuner(model, TuningConfig(checkpoint=checkpoint, adapters=SHALLOW), sets=2, seed=0)
    assert tuner.one_pass
    with stored() as found:
        base, losses = tuner.trace(inputs, tokens)
    weights = {weight.untyped_storage().data_ptr() for weight in model.network.parameters()}
    tuner.descend(losses)
    gradients = [tensor.grad for tensor in tuner.adapters.parameters if tensor.grad is not None]
    assert len(gradients) == len(tuner.adapters.parameters)
    assert all(weight.grad is None for weight in model.network.parameters())
    return base, gradients, sum(size for place, size in found.items() if place not in weights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", list(BUILDERS))
def test_one_pass_answers_and_descends_alike_and_stores_less(name: str, dtype: torch.dtype) -> None:
    model = small(name, dtype)
    base, gradients, whole = traced(model, False, 4)
    same, as_before, less = traced(model, True, 4)
    assert torch.equal(same.tokens, base.tokens) and torch.equal(same.logits, base.logits)
    assert any(gradient.any() for gradient in gradients)
    for gradient, other in zip(gradients, as_before, strict=True):
        scale = float(gradient.abs().max())
        torch.testing.assert_close(other, gradient, atol=1e-3 * scale + 1e-12, rtol=0)
    assert less < 0.95 * whole, (less, whole)
    assert not any("forward" in vars(module) for module in model.network.modules()), "layers stay changed"


@pytest.mark.parametrize("checkpoint", [False, True])
def test_later_tokens_store_nothing(checkpoint: bool) -> None:
    model = small("llava")
    (first, _, one), (answers, _, several) = (traced(model, checkpoint, tokens) for tokens in (1, 6))
    assert answers.tokens.shape[1] > first.tokens.shape[1] == 1, "the answers must go on"
    assert several <= 1.01 * one, "each token is stored"


def test_the_mode_of_gradients_is_as_before() -> None:
    model = small("llava")
    inputs = model.encode(sample_images(1), QUESTIONS[:1])
    for mode in (True, False):
        with torch.set_grad_enabled(mode):
            model.generate_with_gradient(inputs, 3)
            assert torch.is_grad_enabled() is mode
    assert not model.network._forward_pre_hooks


def test_only_layers_without_hooks_are_recomputed() -> None:
    model = small("llava")
    inputs = model.encode(sample_images(1), QUESTIONS[:1])
    pixels = model.pixels(inputs).pixels.clone().requires_grad_()
    first, second = list(model.vision_blocks)[:2]
    calls = {"first": 0, "second": 0}

    def counting(name: str) -> None:
        calls[name] += 1

    def inside(block: nn.Module) -> nn.Module:
        return next(module for module in block.modules() if isinstance(module, nn.Linear))

    # A pre-hook counts and does not keep a layer from being recomputed; a hook, as that of LoRA, does.
    handles = [
        inside(first).register_forward_pre_hook(lambda *_: counting("first")),
        inside(second).register_forward_pre_hook(lambda *_: counting("second")),
        inside(first).register_forward_hook(lambda module, given, output: output * 1.5),
    ]
    try:
        with recomputed(model.network):
            loss = model.answer_logits(model.with_pixels(inputs, pixels)).logsumexp(-1).sum()
        loss.backward()
    finally:
        for handle in handles:
            handle.remove()
    assert calls == {"first": 1, "second": 2}


@pytest.mark.parametrize("method", ["vq-ttt", "vq-ttt-episodic"])
def test_methods_answer_alike(method: str) -> None:
    model, found = small("llava"), []
    for checkpoint in (False, True):
        spec = METHODS[method].changed({"checkpoint": checkpoint, "gate": 0.0, "guard": False})
        built = spec.build(model, max_new_tokens=4)
        found.append([built.ask(sample_images(2), QUESTIONS[:2]) for _ in range(2)])
    for batch, again in zip(*found, strict=True):
        for answer, other in zip(batch, again, strict=True):
            assert (answer.answer, answer.base_answer) == (other.answer, other.base_answer)
            assert abs(answer.entropy_after - other.entropy_after) < 1e-4
    assert any(answer.entropy_after != answer.entropy_before for batch in found[0] for answer in batch)
