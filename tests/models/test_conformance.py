"""What every model family must do, on small random weights in the family's real classes."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from tests.support.small_families import BUILDERS, small
from tests.support.small_models import QUESTIONS, sample_images
from tests.support.transformers_chat import transformers_inputs
from vqttt.errors import InputError
from vqttt.methods import METHODS, Episodic, EpisodicConfig
from vqttt.models import load_model
from vqttt.models.base import Inputs
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.tuning.adapters import AdapterConfig, Adapters
from vqttt.tuning.feature_statistics import collect_statistics
from vqttt.tuning.peft_export import export_peft
from vqttt.tuning.spectrum import DESCRIPTORS, describe
from vqttt.tuning.tuner import Tuner, TuningConfig
from vqttt.types import Image

# Warnings of transformers and peft about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]
ASKED = QUESTIONS[:3]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROUNDING = {"float32": 1e-4, "bfloat16": 0.1}


def unequal() -> list[Image]:
    """Three images of different shapes."""
    tall, wide, square = sample_images(3)
    return [np.ascontiguousarray(tall[:, :36]), np.ascontiguousarray(wide[:40]), square]


def disturbed(model: HuggingFaceModel, sets: int, **config: object) -> Adapters:
    """Adapters far from the identity; every set has different values."""
    adapters = Adapters(model, AdapterConfig(**config), sets=sets)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in adapters.parameters:
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.3)
        for lora in adapters.lora:  # one block's attention has little effect in such a small model
            lora.up.mul_(10)
    return adapters


def plain_inputs(model: HuggingFaceModel, images: list[list[Image]], questions: list[str]) -> dict[str, torch.Tensor]:
    """Encode a batch by transformers alone (see `transformers_inputs`)."""
    shown = [[PILImage.fromarray(image) for image in sample] for sample in images]
    return transformers_inputs(model.processor, shown, questions)


@torch.no_grad()
def logits_under(adapters: Adapters, inputs: Inputs) -> torch.Tensor:
    with adapters.applied(inputs) as adapted:
        return adapters.model.answer_logits(adapted)


def alone(adapters: Adapters, n: int) -> Adapters:
    """One of several sets, as the only one."""
    one = Adapters(adapters.model, adapters.config, sets=1)
    one.restore([tensor[n : n + 1] for tensor in adapters.snapshot()])
    return one


@pytest.fixture(params=list(BUILDERS))
def model(request: pytest.FixtureRequest) -> HuggingFaceModel:
    return small(request.param)


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("name", list(BUILDERS))
def test_identity_equals_plain_transformers(name: str, dtype: str) -> None:
    model = small(name, DTYPES[dtype])
    theirs = plain_inputs(model, [[image] for image in unequal()], ASKED)
    theirs["pixel_values"] = theirs["pixel_values"].to(DTYPES[dtype])
    inputs = model.encode(unequal(), ASKED)
    assert all(torch.equal(inputs.tensors[key], theirs[key]) for key in theirs)
    # The same arguments for both: a product of another shape rounds otherwise on some processors.
    with torch.no_grad():
        logits = model.network(**theirs, use_cache=False, logits_to_keep=1).logits.float()
        out = model.network.generate(**theirs, max_new_tokens=4, output_logits=True, return_dict_in_generate=True)
    assert (logits[0] - logits[1]).abs().max() > 1e-2, "answers that do not differ between images test nothing"
    for sets in (1, 3):
        adapters = Adapters(model, AdapterConfig(), sets=sets)
        assert torch.equal(logits_under(adapters, inputs), logits)
        with adapters.applied(inputs) as adapted:
            generated = model.generate(adapted, 4)
            traced = model.generate_with_gradient(adapted, 4)
        assert torch.equal(generated.logits, torch.stack(out.logits, 1).float())
        assert torch.equal(generated.tokens, out.sequences[:, -len(out.logits) :])
        assert traced.logits.requires_grad
        if name == "llava/sam":  # its attention bias depends on the query, so torch takes another path for gradients
            torch.testing.assert_close(traced.logits[:, 0], logits[:, 0], atol=ROUNDING[dtype], rtol=0)
        else:
            assert torch.equal(traced.logits, generated.logits)


def test_a_saved_folder_loads_as_the_same_model(model: HuggingFaceModel, tmp_path: Path) -> None:
    model.network.save_pretrained(tmp_path)
    model.processor.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path))
    assert type(loaded) is type(model)
    images = unequal()
    assert torch.equal(
        loaded.answer_logits(loaded.encode(images, ASKED)), model.answer_logits(model.encode(images, ASKED))
    )


def test_images_round_trip_and_carry_gradients(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    shown = model.pixels(inputs)
    assert shown.pixels.ndim == 4 and shown.pixels.shape[1] == 3
    assert set(shown.owner.tolist()) == {0, 1, 2} and len(shown.owner) == len(shown.pixels)
    again = model.with_pixels(inputs, shown.pixels).tensors["pixel_values"]
    assert torch.equal(again, inputs.tensors["pixel_values"])
    leaf = shown.pixels.clone().requires_grad_()
    model.answer_logits(model.with_pixels(inputs, leaf)).logsumexp(-1).sum().backward()
    assert leaf.grad is not None
    for which, (rows, columns) in shown.contents():
        content = leaf.grad[which][..., rows, columns]
        assert (content.abs().amax((1, 2, 3)) > 0).all(), "content that has no effect"
        top_left = model.to_image(shown.pixels[which[0], :, rows, columns])
        assert top_left.std() > 10, "not an image"


def test_images_are_the_right_way_up(model: HuggingFaceModel) -> None:
    """An image that is dark at the top, light at the bottom and red on the left comes out the same way."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[16:] = 200
    image[:, :16, 0] = 255
    shown = model.pixels(model.encode([image], ASKED[:1]))
    images = [
        model.to_image(one).astype(int) for one, owner in zip(shown.pixels, shown.owner, strict=True) if owner == 0
    ]
    assert any(
        one[-4:, :, 1].mean() > one[:4, :, 1].mean() + 150 and one[:, :4, 0].mean() > one[:4, -4:, 0].mean() + 150
        for one in images
    )


def test_white_images_are_white_where_there_is_content(model: HuggingFaceModel) -> None:
    white = [np.full((*shape, 3), 255, np.uint8) for shape in ((37, 64), (64, 23), (50, 50))]
    pixels, _, mask = model.pixels(model.encode(white, ASKED))
    stats = model.processor.image_processor
    mean, std = (torch.tensor(values)[:, None, None] for values in (stats.image_mean, stats.image_std))
    is_white = ((pixels - (1 - mean) / std).abs() < 1e-3).all(1, keepdim=True)
    assert torch.equal(is_white, torch.ones_like(is_white) if mask is None else mask)


def test_gradients_reach_every_parameter_and_no_other(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    adapters = disturbed(model, 3)
    with adapters.applied(inputs) as adapted:
        model.answer_logits(adapted).logsumexp(-1).sum().backward()
    for tensor in adapters.parameters:
        assert tensor.grad is not None
        assert (tensor.grad.flatten(1).abs().amax(1) > 0).all(), "a set without a gradient"
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_only_the_first_vision_blocks_carry_lora(model: HuggingFaceModel) -> None:
    blocks = model.vision_blocks
    assert len(blocks) == 3
    paths = {module: path for path, module in model.network.named_modules()}
    adapters = Adapters(model, AdapterConfig(lora_blocks=2, lora_targets=("q", "k", "v")), sets=1)
    assert len(adapters.lora) == 2 * 3
    for lora in adapters.lora:
        assert any(lora.module in set(block.modules()) for block in blocks[:2]), paths[lora.module]
        assert "vis" in paths[lora.module] and "language" not in paths[lora.module]
        assert {part.up.shape[1] for part in adapters.lora} == {32}, "a query is as wide as the block"


def test_one_step_lowers_the_objective(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    base = model.generate(inputs, 2)
    tuner = Tuner(model, TuningConfig(objective="entropy", kernel_rate=1e-3, lora_rate=1e-3), sets=3, seed=0)
    before = tuner.step(inputs, base)
    after = tuner.losses(inputs, base)
    assert (after < before).all(), (before, after)


def test_checkpointing_saves_memory_and_changes_nothing(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    base = model.generate(inputs, 2)
    found = []
    for checkpoint in (False, True):
        tuner = Tuner(model, TuningConfig(checkpoint=checkpoint), sets=3, seed=0)
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor, kept: dict[int, int] = kept) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            losses = tuner.step(inputs, base)
        found.append((sum(kept.values()), losses, tuner.adapters.snapshot()))
    (whole, losses, tuned), (less, same, as_tuned) = found
    assert less < whole, (less, whole)
    torch.testing.assert_close(same, losses, atol=1e-5, rtol=0)
    torch.testing.assert_close(as_tuned, tuned, atol=1e-3, rtol=0)
    assert not any(module.training for module in model.network.modules())


def test_reset_restores_every_bit(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    plain, weights = model.answer_logits(inputs), model.fingerprint()
    adapters = Adapters(model, AdapterConfig(), sets=3)
    start = adapters.snapshot()
    adapters.restore(disturbed(model, 3).snapshot())
    assert not torch.allclose(logits_under(adapters, inputs), plain, atol=1e-3)
    adapters.reset()
    assert all(map(torch.equal, adapters.snapshot(), start))
    assert torch.equal(logits_under(adapters, inputs), plain)
    assert torch.equal(model.answer_logits(inputs), plain), "hooks outlived the block"
    assert model.fingerprint() == weights


def test_padding_keeps_every_bit(model: HuggingFaceModel) -> None:
    first, second, third = unequal()
    # With fewer images in one sample than in the other: Idefics would fail if padding were changed.
    inputs = model.encode([[first, second], [third]], ASKED[:2])
    shown = model.pixels(inputs)
    with torch.no_grad(), disturbed(model, 2).applied(inputs) as adapted:
        filtered = model.pixels(adapted)
        model.answer_logits(adapted)
    raw = inputs.tensors["pixel_values"]
    assert (adapted.tensors["pixel_values"][raw == 0] == 0).all(), "zeros mark padding"
    mask = torch.ones_like(shown.pixels[:, :1], dtype=torch.bool) if shown.mask is None else shown.mask
    assert torch.equal(filtered.pixels.where(~mask, 0), shown.pixels.where(~mask, 0))
    changed = (filtered.pixels != shown.pixels).any(1, keepdim=True)
    assert changed[mask].float().mean() > 0.5


def test_a_batch_of_unequal_images_tunes_as_one_at_a_time(model: HuggingFaceModel) -> None:
    images = unequal()
    together = disturbed(model, 3)
    inputs = model.encode(images, ASKED)
    batch = logits_under(together, inputs)
    for n in range(3):
        single = logits_under(alone(together, n), model.encode(images[n : n + 1], ASKED[n : n + 1]))
        torch.testing.assert_close(single[0], batch[n], atol=2e-4, rtol=0)


def test_every_sample_has_lora_of_its_own(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    together = disturbed(model, 3, kernel="none")
    batch = logits_under(together, inputs)
    for n in range(3):
        own = logits_under(alone(together, n), inputs)
        torch.testing.assert_close(own[n], batch[n], atol=2e-4, rtol=0)
        others = [m for m in range(3) if m != n]
        assert ((own - batch).abs().amax((1, 2))[others] > 2e-3).all(), "LoRA has too little effect"


def test_several_images_in_a_prompt(model: HuggingFaceModel) -> None:
    first, second, third = unequal()
    samples = [[first, second], [third]]
    inputs = model.encode(samples, ASKED[:2])
    theirs = plain_inputs(model, samples, ASKED[:2])
    with torch.no_grad():
        plain = model.network(**theirs, use_cache=False, logits_to_keep=1).logits
    assert torch.equal(model.answer_logits(inputs), plain)
    together = disturbed(model, 2)
    batch = logits_under(together, inputs)
    for n in range(2):
        shared = logits_under(alone(together, n), inputs)
        torch.testing.assert_close(shared[n], batch[n], atol=2e-4, rtol=0)
        part = logits_under(alone(together, n), model.select(inputs, [n]))
        torch.testing.assert_close(part[0], batch[n], atol=2e-4, rtol=0)
        if model.network.config.model_type != "mllama":  # its prompts' first tokens attend to a batch's padding
            single = logits_under(alone(together, n), model.encode(samples[n : n + 1], ASKED[n : n + 1]))
            torch.testing.assert_close(single[0], batch[n], atol=2e-4, rtol=0)


def test_samples_are_selected_in_any_order(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    some = model.select(inputs, [2, 0, 2])
    assert some.count == 3
    expected = model.answer_logits(inputs)[[2, 0, 2]]
    torch.testing.assert_close(model.answer_logits(some), expected, atol=1e-4, rtol=0)


def test_prompts_without_an_image(model: HuggingFaceModel) -> None:
    inputs = model.encode([[], []], ASKED[:2])
    plain = model.answer_logits(inputs)
    assert torch.equal(logits_under(disturbed(model, 2), inputs), plain)
    answers = Episodic(model, EpisodicConfig(gate=0.0), max_new_tokens=2).answer_alone(inputs)
    assert [answer.answer for answer in answers] == model.generate(inputs, 2).texts


def test_prompts_with_and_without_images_in_a_batch(model: HuggingFaceModel) -> None:
    samples = [[], [unequal()[0]]]
    if not model.mixes:
        with pytest.raises(InputError, match="cannot be in one batch"):
            model.encode(samples, ASKED[:2])
        return
    together = disturbed(model, 2)
    inputs = model.encode(samples, ASKED[:2])
    batch = logits_under(together, inputs)
    for n in range(2):
        single = logits_under(alone(together, n), model.encode(samples[n : n + 1], ASKED[n : n + 1]))
        torch.testing.assert_close(single[0], batch[n], atol=2e-4, rtol=0)
        torch.testing.assert_close(
            logits_under(alone(together, n), model.select(inputs, [n]))[0], batch[n], atol=2e-4, rtol=0
        )


def test_teacher_forcing_agrees_with_generation(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    generation = model.generate(inputs, 3)
    forced = model.answer_logits(inputs, generation.tokens)
    counted = generation.mask
    torch.testing.assert_close(forced[counted], generation.logits[counted], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", list(BUILDERS))
def test_tuning_in_bfloat16(name: str) -> None:
    model = small(name, torch.bfloat16)
    inputs = model.encode(unequal(), ASKED)
    tuner = Tuner(model, TuningConfig(kernel_rate=1e-2, lora_rate=1e-3), sets=3, seed=0)
    losses = tuner.step(inputs, model.generate(inputs, 2))
    assert torch.isfinite(losses).all()
    for tensor, start in zip(tuner.adapters.parameters, tuner.adapters.start, strict=True):
        assert tensor.dtype == torch.float32
        assert torch.isfinite(tensor).all()
        assert not torch.equal(tensor, start) or not tensor.grad.any()
    assert torch.isfinite(tuner.losses(inputs, model.generate(inputs, 2))).all()


@pytest.mark.parametrize("method", ["vq-ttt", "vq-select", "tent", "memo"])
def test_methods_answer_a_batch(model: HuggingFaceModel, method: str) -> None:
    inputs = model.batch_of(unequal(), ASKED)
    before = model.fingerprint()
    answers = METHODS[method].build(model, max_new_tokens=2).answer(inputs, model.generate(inputs, 2))
    assert len(answers) == 3 and all(np.isfinite(answer.entropy_after) for answer in answers)
    assert model.fingerprint() == before


def test_features_are_of_a_samples_own_images(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    with torch.no_grad(), collect_statistics(model, inputs) as batch:
        model.answer_logits(inputs)
    assert [tensor.shape for tensor in batch.means] == [(3, 32)] * 3
    for n in range(3):
        one = model.encode(unequal()[n : n + 1], ASKED[n : n + 1])
        with torch.no_grad(), collect_statistics(model, one) as single:
            model.answer_logits(one)
        if model.network.config.model_type == "idefics2":  # its features include padding up to the largest image
            continue
        for ours, theirs in zip((*batch.means, *batch.spreads), (*single.means, *single.spreads), strict=True):
            torch.testing.assert_close(ours[n], theirs[0], atol=1e-4, rtol=1e-4)


def test_the_spectrum_is_of_the_content_alone(model: HuggingFaceModel) -> None:
    """It does not depend on how an image is padded in a batch."""
    tuner = Tuner(model, TuningConfig(objective="naturalness"), sets=None, seed=0)
    inputs = model.encode(unequal(), ASKED)
    batch, described = tuner.losses(inputs, model.generate(inputs, 1)), described_by(model, inputs)
    assert (batch > 0).all()
    for n in range(3):
        one = model.encode(unequal()[n : n + 1], ASKED[n : n + 1])
        torch.testing.assert_close(tuner.losses(one, model.generate(one, 1))[0], batch[n], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(described_by(model, one)[0], described[n], atol=1e-4, rtol=1e-4)


def described_by(model: HuggingFaceModel, inputs: Inputs) -> torch.Tensor:
    return model.pixels(inputs).averaged(describe, inputs.count, DESCRIPTORS)


def test_tuned_adapters_are_saved_and_loaded(model: HuggingFaceModel, tmp_path: Path) -> None:
    inputs = model.encode(unequal(), ASKED)
    tuned = disturbed(model, 1)
    tuned.save(tmp_path / "tuned.safetensors", {})
    loaded = Adapters(model, AdapterConfig(), sets=1)
    loaded.load(tmp_path / "tuned.safetensors")
    assert torch.equal(logits_under(loaded, inputs), logits_under(tuned, inputs))


def test_lora_is_exported_for_peft(model: HuggingFaceModel, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    tuned = disturbed(model, 1)
    export_peft(tuned, tmp_path)
    inputs = model.encode(unequal(), ASKED)
    theirs = peft.PeftModel.from_pretrained(deepcopy(model.network), tmp_path)
    adapted = {path for path, module in theirs.named_modules() if hasattr(module, "lora_A")}
    assert len(adapted) == len({lora.module for lora in tuned.lora})
    with torch.no_grad(), tuned.applied(inputs) as adapted:
        ours = model.answer_logits(adapted)
        logits = theirs(**adapted.tensors, use_cache=False, logits_to_keep=1).logits
    assert not torch.allclose(ours, model.answer_logits(inputs), atol=1e-3)
    torch.testing.assert_close(logits, ours, atol=1e-4, rtol=0)
