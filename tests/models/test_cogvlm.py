"""CogVLM: its arithmetic against a slow implementation by hand, generation, prompts and gradients."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from torchvision import transforms

from tests.support import cogvlm_by_hand as by_hand
from tests.support.small_families import small
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.errors import InputError
from vqttt.models.cogvlm import CogVLM, CogVLMProcessor
from vqttt.tuning.adapters import AdapterConfig, Adapters

BOTH = ("cogvlm", "cogvlm2")


@pytest.fixture(params=BOTH)
def model(request: pytest.FixtureRequest) -> CogVLM:
    return small(request.param)


@pytest.fixture(params=BOTH)
def exact(request: pytest.FixtureRequest) -> CogVLM:
    """In float64, with all weights random, also norms, biases and class token, which start as ones or zeros."""
    kept = small(request.param)
    network = deepcopy(kept.network).double()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(drawn * 0.3 + (1.0 if parameter.ndim == 1 else 0.0))
    return CogVLM(request.param, network, kept.processor)


def weights_of(model: CogVLM) -> by_hand.Weights:
    return {name: tensor.numpy() for name, tensor in model.network.state_dict().items()}


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(11), dtype=torch.float64)


def close(ours: torch.Tensor, theirs: np.ndarray, tolerance: float = 1e-9) -> None:
    assert theirs.std() > 1e-2, "nothing to compare"
    np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=tolerance, rtol=tolerance)


def test_vision_block(exact: CogVLM) -> None:
    block, name, x = exact.vision_blocks[1], "model.vision.transformer.layers.1", drawn(2, 17, 32)
    weights = weights_of(exact)
    for n in range(2):
        row = x[n].numpy()
        close(block.attention(x)[n], by_hand.vision_attention(row, weights, f"{name}.attention", 2))
        close(block.mlp(x)[n], by_hand.vision_mlp(row, weights, f"{name}.mlp"))
        close(block(x)[n], by_hand.vision_block(row, weights, name, 2, 1e-6))


def test_tower_and_adapter(exact: CogVLM) -> None:
    vision, pixels, weights = exact.network.model.vision, drawn(2, 3, 32, 32), weights_of(exact)
    name = "model.vision.patch_embedding"
    config = exact.network.config
    assert vision(pixels).shape == (2, {"cogvlm": 18, "cogvlm2": 6}[exact.name], 32)
    for n in range(2):
        image = pixels[n].numpy()
        close(vision.patch_embedding(pixels)[n], by_hand.patches(image, weights, name, 8))
        close(vision(pixels)[n], by_hand.image_tokens(image, weights, config.to_dict()))
    x = drawn(5, 32)
    close(vision.linear_proj(x), by_hand.adapter(x.numpy(), weights, "model.vision.linear_proj"))


def test_visual_expert(exact: CogVLM) -> None:
    """Positions and expert tokens are given here; `test_whole_forward` checks how the model determines them."""
    layer, weights, config = exact.network.model.layers[1], weights_of(exact), exact.network.config.to_dict()
    expert, at = by_hand.expert_and_positions(2, 6, 4)
    assert at == [0, 1, 2, 3, 3, 3, 3, 4, 5, 6, 7, 8]
    x, image, positions = drawn(1, 12, 32), torch.tensor([expert]), torch.tensor([at])
    mask = torch.ones(12, 12, dtype=torch.bool).tril()[None, None]
    ours, _ = layer.self_attn(x, image, positions, mask, None)
    name = "model.layers.1"
    # Angles are computed in float32.
    close(ours[0], by_hand.expert_attention(x[0].numpy(), weights, f"{name}.self_attn", config, expert, at), 2e-5)
    close(layer.mlp(x, image)[0], by_hand.expert_mlp(x[0].numpy(), weights, f"{name}.mlp", expert))


def test_whole_forward(exact: CogVLM) -> None:
    """A batch with and without images, padded on the left."""
    inputs = exact.encode([*sample_images(2), []], QUESTIONS[:3])
    logits = exact.network(**inputs.tensors).logits
    masks, kinds = inputs.tensors["attention_mask"], inputs.tensors["token_type_ids"]
    assert masks.sum(1).unique().numel() == 3, "prompts of equal length would not test padding"
    for n in range(3):
        ids = inputs.tensors["input_ids"][n][masks[n].bool() & (kinds[n] == 0)].tolist()
        image = inputs.tensors["pixel_values"][n].double().numpy() if n < 2 else None
        theirs = by_hand.prompt_logits(ids, image, weights_of(exact), exact.network.config.to_dict())
        close(logits[n][masks[n].bool()], theirs, 2e-4)


def test_cache_changes_nothing(model: CogVLM) -> None:
    inputs = model.encode([*sample_images(2), []], QUESTIONS[:3])
    options = {"max_new_tokens": 6, "return_dict_in_generate": True, "output_logits": True}
    cached, plain = (model.network.generate(**inputs.tensors, use_cache=use, **options) for use in (True, False))
    assert torch.equal(cached.sequences, plain.sequences)
    assert len(cached.logits) == 6
    for ours, theirs in zip(cached.logits, plain.logits, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    forced = model.answer_logits(inputs, cached.sequences[:, -6:])
    torch.testing.assert_close(torch.stack(cached.logits, 1), forced, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="position_ids are needed"):
        model.network(inputs.tensors["input_ids"][:, :1], cache=cached.cache)


def test_left_padded_batch_equals_one_at_a_time(model: CogVLM) -> None:
    samples = [[sample_images(2)[0]], [], [sample_images(2)[1]]]
    batch = model.generate(model.encode(samples, QUESTIONS[:3]), 4)
    for n in range(3):
        single = model.generate(model.encode(samples[n : n + 1], QUESTIONS[n : n + 1]), 4)
        length = int(batch.mask[n].sum())
        assert torch.equal(single.tokens[0, :length], batch.tokens[n, :length])
        torch.testing.assert_close(single.logits[0, :length], batch.logits[n, :length], atol=1e-4, rtol=0)


def test_images_and_image_positions_must_agree(model: CogVLM) -> None:
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    with pytest.raises(ValueError, match=rf"take {model.network.config.image_tokens} tokens, but .* are marked"):
        model.network(**{**inputs.tensors, "pixel_values": inputs.tensors["pixel_values"][:1]})


def test_prompts_are_the_published_ones() -> None:
    tokenizer, config = small("cogvlm").processor.tokenizer, small("cogvlm").network.config
    chat = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "is it red?"}]},
        {"role": "assistant", "content": "no"},
        {"role": "user", "content": "blue?"},
    ]
    written = {
        "chat": "Question: is it red? Answer: no\nQuestion: blue? Answer:",
        "vqa": "Question: is it red? Short answer: no\nQuestion: blue? Short answer:",
        "base": "blue?",
    }
    for template, text in written.items():
        processor = CogVLMProcessor(tokenizer, config, template)
        prompt = processor.apply_chat_template(chat)
        ids, kinds, mask = (
            processor(images=[[PILImage.new("RGB", (9, 7))]], text=[prompt])[key][0].tolist()
            for key in ("input_ids", "token_type_ids", "attention_mask")
        )
        words = tokenizer.encode(text, add_special_tokens=False)
        assert ids == [config.bos_token_id, *[config.pad_token_id] * 18, *words]
        assert kinds == [0, *[1] * 18, *[0] * len(words)]
        assert set(mask) == {1}
        with pytest.raises(InputError, match="more or fewer image markers"):
            processor(images=None, text=[prompt])
    with pytest.raises(InputError, match="known: base, chat, vqa"):
        CogVLMProcessor(tokenizer, config, "haiku")
    with pytest.raises(InputError, match="must alternate"):
        processor.apply_chat_template(chat[:2])
    with pytest.raises(InputError, match="only with the first question"):
        processor.apply_chat_template([chat[2], chat[1], chat[0]])


def test_images_are_prepared_as_published(model: CogVLM) -> None:
    image = np.ascontiguousarray(sample_images(1, side=128)[0][:, :96])
    published = transforms.Compose(
        [
            transforms.Resize((32, 32), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ]
    )
    ours = model.encode([image], QUESTIONS[:1]).tensors["pixel_values"][0]
    torch.testing.assert_close(ours, published(PILImage.fromarray(image)), atol=1e-5, rtol=0)


def test_gradients_reach_pixels_and_no_weight(model: CogVLM) -> None:
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    pixels = model.pixels(inputs).pixels.clone().requires_grad_()
    generated = model.generate_with_gradient(model.with_pixels(inputs, pixels), 3)
    generated.logits[:, 0].logsumexp(-1).sum().backward()
    assert pixels.grad is not None
    assert (pixels.grad.abs().amax((1, 2, 3)) > 0).all()
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_identity_adapters_change_no_bit(model: CogVLM) -> None:
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    plain = model.answer_logits(inputs)
    assert (plain[0] - plain[1]).abs().max() > 1e-2
    adapters = Adapters(model, AdapterConfig(lora_targets=("q", "k", "v")), sets=2)
    with adapters.applied(inputs) as adapted:
        assert torch.equal(model.answer_logits(adapted), plain)
    assert {part.module for part in adapters.lora} == {b.attention.query_key_value for b in model.vision_blocks[:2]}


def test_attention_weights_are_returned(model: CogVLM) -> None:
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    network = deepcopy(model.network)
    network.set_attn_implementation("eager")
    outputs = network(**inputs.tensors, output_attentions=True, output_hidden_states=True)
    length = inputs.tensors["input_ids"].shape[1]
    heads = network.config.num_attention_heads
    assert [tuple(weights.shape) for weights in outputs.attentions] == [(2, heads, length, length)] * 2
    assert len(outputs.hidden_states) == 3
    torch.testing.assert_close(outputs.logits[:, -1:], model.answer_logits(inputs), atol=1e-4, rtol=0)


def test_checkpointing_changes_no_gradient(model: CogVLM) -> None:
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    network, grads, calls = deepcopy(model.network), [], []
    network.model.layers[1].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    for times in (1, 2):  # a checkpointed layer runs twice
        if times == 2:
            network.activation_checkpointing_enable()
            network.train()
        pixels = inputs.tensors["pixel_values"].clone().requires_grad_()
        logits = network(**{**inputs.tensors, "pixel_values": pixels}, use_cache=False).logits
        logits.logsumexp(-1).sum().backward()
        grads.append(pixels.grad)
        assert len(calls) == times
        calls.clear()
    assert torch.equal(*grads)
