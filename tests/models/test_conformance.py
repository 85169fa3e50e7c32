"""What every model family must do, on small random weights in the family's real classes.

A type says what it does not take: several images in a prompt, none, both in a batch (`several`, `bare`, `mixes`);
LoRA of each sample's own (`together`); LoRA at all (blocks without projections, or no blocks). That must be refused,
and the rest must hold.
"""

import json
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from tests.support.small_families import ANSWERING, BUILDERS, OTHERS, small
from tests.support.small_families.asked import ASKED, unequal
from tests.support.small_models import with_few_views
from tests.support.transformers_chat import transformers_inputs, transformers_logits
from vqttt.errors import InputError
from vqttt.methods import Episodic, EpisodicConfig
from vqttt.models import load_model
from vqttt.models.base import Inputs
from vqttt.models.discovered.answering import AnsweringModel
from vqttt.models.discovered.family import Discovered
from vqttt.models.discovered.verify import CHECKS, Check, verified
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.tunable import tunable
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
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROUNDING = {"float32": 1e-4, "bfloat16": 0.1}

ALWAYS = (
    "kimi_k25",
    "lfm2_vl",
    "minicpm_ocr",
    "mistral3",
    "gemma4",
    "molmo2",
    "nemotron_h_omni",
    "deepseek_vl_hybrid",
    "unlimited_ocr",
    "fuyu",
    "t5gemma2",
    "chameleon",
)
"""Types by discovery that run with the families that have a file of their own, one of each kind: patches of all images
packed in one row, or a row an image, or side by side; whole images whose tokens are packed; class tokens; image tokens
that are pooled; two encoders on two tensors; an encoder that runs twice; no encoder; an encoder-decoder; answers alone.
"""

ROUNDED = ("llava/sam", "deepseek_vl_hybrid", "deepseek_ocr2", "unlimited_ocr", "inkling_mm_model", "janus")
"""Types whose pass with gradients rounds otherwise: their attention bias depends on the query, so that torch takes
another path; or (Janus) their own `generate` cuts gradients off, so that there is another pass."""

ALIKE = ("perception_lm", "perception_lm/gigantic")
"""Types whose processor needs as many tiles of each image of a batch."""


BLENDED = ("deepseek_vl_hybrid",)
"""Types whose processor pads an image before it shrinks it, which blends the two where they meet."""


def by_discovery(names: tuple[str, ...] | list[str]) -> list[object]:
    """The parameters of tests of types by discovery; `make families` runs all of them."""
    return [pytest.param(name, marks=pytest.mark.families(always=name in ALWAYS)) for name in names]


TYPES = [*BUILDERS, *by_discovery([name for name in OTHERS if name not in ANSWERING])]


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


def plain_inputs(model: HuggingFaceModel, images: list[list[Image]], questions: list[str]) -> dict[str, Any]:
    """Encode a batch by transformers alone (see `transformers_inputs`), in the network's dtype."""
    shown = [[PILImage.fromarray(image) for image in sample] for sample in images]
    batch = transformers_inputs(model.processor, shown, questions)
    return {
        key: value.to(model.network.dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for key, value in batch.items()
    }


def shared_out(model: HuggingFaceModel) -> list[list[Image]]:
    """The images of two samples; of unequal number if the model takes several."""
    first, second, third = unequal()
    return [[first, second], [third]] if model.several else [[first], [second]]


def has_lora(model: HuggingFaceModel) -> bool:
    """Whether the first vision blocks have projections to adapt."""
    return any(model.lora_targets(block) for block in list(model.vision_blocks)[:2])


def own(model: HuggingFaceModel) -> dict[str, int]:
    """Options for adapters of which every sample has its own: without LoRA where a block's rows are not known."""
    return {} if model.together else {"lora_rank": 0}


@torch.no_grad()
def logits_under(adapters: Adapters, inputs: Inputs) -> torch.Tensor:
    with adapters.applied(inputs) as adapted:
        return adapters.model.answer_logits(adapted)


def alone(adapters: Adapters, n: int) -> Adapters:
    """One of several sets, as the only one."""
    one = Adapters(adapters.model, adapters.config, sets=1)
    one.restore([tensor[n : n + 1] for tensor in adapters.snapshot()])
    return one


@pytest.fixture(params=TYPES)
def model(request: pytest.FixtureRequest) -> HuggingFaceModel:
    return small(request.param)


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("name", TYPES)
def test_identity_equals_plain_transformers(name: str, dtype: str) -> None:
    model = small(name, DTYPES[dtype])
    theirs = plain_inputs(model, [[image] for image in unequal()], ASKED)
    inputs = model.encode(unequal(), ASKED)
    assert inputs.tensors.keys() == theirs.keys()
    assert all(torch.equal(inputs.tensors[key], torch.as_tensor(theirs[key])) for key in theirs)
    # The same arguments for both: a product of another shape rounds otherwise on some processors.
    with torch.no_grad():
        logits = transformers_logits(model.network, theirs)
        out = model.network.generate(**theirs, max_new_tokens=4, output_logits=True, return_dict_in_generate=True)
    assert (logits[0] - logits[1]).abs().max() > 1e-2, "answers that do not differ between images test nothing"
    for sets in (1, 3):
        adapters = Adapters(model, AdapterConfig(**own(model) if sets > 1 else {}), sets=sets)
        assert torch.equal(logits_under(adapters, inputs), logits)
        with adapters.applied(inputs) as adapted:
            generated = model.generate(adapted, 4)
            traced = model.generate_with_gradient(adapted, 4)
        assert torch.equal(generated.logits, torch.stack(out.logits, 1).float())
        assert torch.equal(generated.tokens, out.sequences[:, -len(out.logits) :])
        assert traced.logits.requires_grad
        if name in ROUNDED:
            torch.testing.assert_close(traced.logits[:, 0], logits[:, 0], atol=ROUNDING[dtype], rtol=0)
        else:
            assert torch.equal(traced.logits, generated.logits)


@dataclass(frozen=True)
class Reloaded:
    """A small model after it was saved and loaded: its class, its answers, and the checks that loading it made."""

    kind: type
    logits: torch.Tensor
    checks: list[Check]


@cache
def reloaded(name: str) -> Reloaded:
    model = small(name)
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", f"{place}/cache")
        model.network.save_pretrained(place)
        model.processor.save_pretrained(place)
        loaded = load_model(place)
        kept = [json.loads(file.read_text()) for file in Path(place, "cache").rglob("*.json")]
        checks = [Check(**check) for verdict in kept for check in verdict["checks"]]
        if not isinstance(loaded, HuggingFaceModel):  # a check failed; the tests say which
            return Reloaded(type(loaded), torch.empty(0), checks)
        return Reloaded(type(loaded), loaded.answer_logits(loaded.encode(unequal(), ASKED)), checks)


def test_a_saved_folder_loads_as_the_same_model(model: HuggingFaceModel) -> None:
    loaded = reloaded(model.name)
    assert loaded.kind is type(model)
    assert torch.equal(loaded.logits, model.answer_logits(model.encode(unequal(), ASKED)))


def test_images_round_trip_and_carry_gradients(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    shown = model.pixels(inputs)
    assert shown.pixels.ndim == 4 and shown.pixels.shape[1] == 3
    assert set(shown.owner.tolist()) == {0, 1, 2} and len(shown.owner) == len(shown.pixels)
    again = model.with_pixels(inputs, shown.pixels).tensors
    assert all(torch.equal(again[key], inputs.tensors[key]) for key in inputs.tensors)
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
        model.to_image(shown.pixels[n, :, rows, columns]).astype(int)
        for which, (rows, columns) in shown.contents()
        for n in which.tolist()
    ]
    assert any(
        one[-4:, :, 1].mean() > one[:4, :, 1].mean() + 150 and one[:, :4, 0].mean() > one[:4, -4:, 0].mean() + 150
        for one in images
    )


def grown(mask: torch.Tensor, by: int) -> torch.Tensor:
    """A mask with so many more pixels around it."""
    return torch.nn.functional.max_pool2d(mask.float(), 2 * by + 1, stride=1, padding=by) > 0


WHITE = [np.full((*shape, 3), 255, np.uint8) for shape in ((37, 64), (64, 23), (50, 50))]


@pytest.mark.parametrize("name", list(BUILDERS))
def test_white_images_are_white_where_there_is_content(name: str) -> None:
    model = small(name)
    pixels, _, mask = model.pixels(model.encode(WHITE, ASKED))
    stats = model.processor.image_processor
    mean, std = (torch.tensor(values)[:, None, None] for values in (stats.image_mean, stats.image_std))
    is_white = ((pixels - (1 - mean) / std).abs() < 1e-3).all(1, keepdim=True)
    assert torch.equal(is_white, torch.ones_like(is_white) if mask is None else mask)


def test_content_is_what_changes_with_the_image(model: HuggingFaceModel) -> None:
    grey = [image // 2 for image in WHITE]
    batches: list[slice] = [slice(None)]
    if model.name in ALIKE:
        with pytest.raises(InputError, match="one at a time"):
            model.encode(WHITE, ASKED)
        batches = [slice(n, n + 1) for n in range(3)]
    for batch in batches:
        shown, dimmed = (model.pixels(model.encode(images[batch], ASKED[batch])) for images in (WHITE, grey))
        content = torch.ones_like(shown.pixels[:, :1], dtype=torch.bool) if shown.mask is None else shown.mask
        changed = (shown.pixels != dimmed.pixels).all(1, keepdim=True)
        edge = 2 if model.name in BLENDED else 0
        assert (changed >= content).all() and (changed <= grown(content, edge)).all()
        inner = ~grown(~content, edge)
        for pixels, level in ((shown.pixels, 255), (dimmed.pixels, 127)):
            images = np.stack([model.to_image(one) for one in pixels]).astype(int)
            assert (abs(images[inner[:, 0]] - level) <= 1).all()


def test_gradients_reach_every_parameter_and_no_other(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    adapters = disturbed(model, 3 if model.together else 1)
    with adapters.applied(inputs) as adapted:
        model.answer_logits(adapted).logsumexp(-1).sum().backward()
    for tensor in adapters.parameters:
        assert tensor.grad is not None
        assert (tensor.grad.flatten(1).abs().amax(1) > 0).all(), "a set without a gradient"
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_only_the_first_vision_blocks_carry_lora(model: HuggingFaceModel) -> None:
    blocks = list(model.vision_blocks)
    paths = {module: path for path, module in model.network.named_modules()}
    adapters = Adapters(model, AdapterConfig(lora_blocks=2, lora_targets=("q", "k", "v")), sets=1)
    assert len(adapters.lora) == sum(len(model.lora_targets(block)) for block in blocks[:2])
    for lora in adapters.lora:
        assert any(lora.module in set(block.modules()) for block in blocks[:2]), paths[lora.module]
        assert "language" not in paths[lora.module]
    if isinstance(model, Discovered):
        found = [model.lora_targets(block) for block in blocks]
        assert {tuple(sorted(targets)) for targets in found} <= {(), ("k", "q", "v")}
        assert all(t["q"].out_features == t["q"].in_features for t in found if t), "a query is as wide as the block"
        return
    assert len(blocks) == 3 and len(adapters.lora) == 2 * 3
    assert all("vis" in paths[lora.module] for lora in adapters.lora)
    assert {part.up.shape[1] for part in adapters.lora} == {32}, "a query is as wide as the block"


def test_one_step_lowers_the_objective(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    base = model.generate(inputs, 2)
    rate = 1e-4 if isinstance(model, Discovered) else 1e-3  # for some of so many, a larger step goes too far
    config = TuningConfig(kernel_rate=rate, lora_rate=rate, adapters=AdapterConfig(**own(model)))
    tuner = Tuner(model, config, sets=3, seed=0)
    before = tuner.step(inputs, base)
    after = tuner.losses(inputs, base)
    assert (after < before).all(), (before, after)


def test_checkpointing_saves_memory_and_changes_nothing(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    base = model.generate(inputs, 2)
    found = []
    for checkpoint in (False, True):
        config = TuningConfig(checkpoint=checkpoint, adapters=AdapterConfig(**own(model)))
        tuner = Tuner(model, config, sets=3, seed=0)
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
    adapters = Adapters(model, AdapterConfig(**own(model)), sets=3)
    start = adapters.snapshot()
    adapters.restore(disturbed(model, 3, **own(model)).snapshot())
    assert not torch.allclose(logits_under(adapters, inputs), plain, atol=1e-3)
    adapters.reset()
    assert all(map(torch.equal, adapters.snapshot(), start))
    assert torch.equal(logits_under(adapters, inputs), plain)
    assert torch.equal(model.answer_logits(inputs), plain), "hooks outlived the block"
    assert model.fingerprint() == weights


def test_padding_keeps_every_bit(model: HuggingFaceModel) -> None:
    # With fewer images in one sample than in the other: Idefics would fail if padding were changed.
    inputs = model.encode(shared_out(model), ASKED[:2])
    shown = model.pixels(inputs)
    with torch.no_grad(), disturbed(model, 2, **own(model)).applied(inputs) as adapted:
        filtered = model.pixels(adapted)
        model.answer_logits(adapted)
    if not isinstance(model, Discovered):  # whose levels may be such that content is zero
        raw = inputs.tensors["pixel_values"]
        assert (adapted.tensors["pixel_values"][raw == 0] == 0).all(), "zeros mark padding"
    mask = torch.ones_like(shown.pixels[:, :1], dtype=torch.bool) if shown.mask is None else shown.mask
    assert torch.equal(filtered.pixels.where(~mask, 0), shown.pixels.where(~mask, 0))
    changed = (filtered.pixels != shown.pixels).any(1, keepdim=True)
    assert changed[mask].float().mean() > 0.5


def test_a_batch_of_unequal_images_tunes_as_one_at_a_time(model: HuggingFaceModel) -> None:
    images = unequal()
    together = disturbed(model, 3, **own(model))
    inputs = model.encode(images, ASKED)
    batch = logits_under(together, inputs)
    for n in range(3):
        single = logits_under(alone(together, n), model.encode(images[n : n + 1], ASKED[n : n + 1]))
        torch.testing.assert_close(single[0], batch[n], atol=2e-4, rtol=0)


def test_every_sample_has_lora_of_its_own(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    together = disturbed(model, 3, kernel="none")
    if not has_lora(model):
        assert not together.parameters
        return
    if not model.together:
        with pytest.raises(InputError, match="rows of a sample are not known"):
            logits_under(together, inputs)
        return
    batch = logits_under(together, inputs)
    for n in range(3):
        own = logits_under(alone(together, n), inputs)
        torch.testing.assert_close(own[n], batch[n], atol=2e-4, rtol=0)
        others = [m for m in range(3) if m != n]
        assert ((own - batch).abs().amax((1, 2))[others] > 2e-3).all(), "LoRA has too little effect"


def test_several_images_in_a_prompt(model: HuggingFaceModel) -> None:
    if not model.several:
        with pytest.raises(InputError, match="takes one image with a question, not 2"):
            model.encode([unequal()[:2]], ASKED[:1])
        return
    samples = shared_out(model)
    inputs = model.encode(samples, ASKED[:2])
    theirs = plain_inputs(model, samples, ASKED[:2])
    with torch.no_grad():
        plain = transformers_logits(model.network, theirs)
    assert torch.equal(model.answer_logits(inputs), plain)
    together = disturbed(model, 2, **own(model))
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
    if not model.bare:
        with pytest.raises(InputError, match="answers only questions about an image"):
            model.encode([[], []], ASKED[:2])
        return
    inputs = model.encode([[], []], ASKED[:2])
    plain = model.answer_logits(inputs)
    assert torch.equal(logits_under(disturbed(model, 2, **own(model)), inputs), plain)
    answers = Episodic(model, EpisodicConfig(gate=0.0), max_new_tokens=2).answer_alone(inputs)
    assert [answer.answer for answer in answers] == model.generate(inputs, 2).texts


def test_prompts_with_and_without_images_in_a_batch(model: HuggingFaceModel) -> None:
    samples = [[], [unequal()[0]]]
    if not (model.mixes and model.bare):
        with pytest.raises(
            InputError, match="cannot be in one batch" if model.bare else "only questions about an image"
        ):
            model.encode(samples, ASKED[:2])
        return
    together = disturbed(model, 2, **own(model))
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


@pytest.mark.parametrize("name", TYPES)
def test_tuning_in_bfloat16(name: str) -> None:
    model = small(name, torch.bfloat16)
    inputs = model.encode(unequal(), ASKED)
    config = TuningConfig(kernel_rate=1e-2, lora_rate=1e-3, adapters=AdapterConfig(**own(model)))
    tuner = Tuner(model, config, sets=3, seed=0)
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
    answers = with_few_views(method).build(model, max_new_tokens=2).answer(inputs, model.generate(inputs, 2))
    assert len(answers) == 3 and all(np.isfinite(answer.entropy_after) for answer in answers)
    assert model.fingerprint() == before


def test_features_are_of_a_samples_own_images(model: HuggingFaceModel) -> None:
    inputs = model.encode(unequal(), ASKED)
    if not model.together:
        with pytest.raises(InputError, match="rows of a sample are not known"), collect_statistics(model, inputs):
            model.answer_logits(inputs)
        return
    with torch.no_grad(), collect_statistics(model, inputs) as batch:
        model.answer_logits(inputs)
    if isinstance(model, Discovered):
        assert len(batch.means) == min(3, len(model.vision_blocks))
        assert all(len(tensor) == 3 and tensor.ndim == 2 for tensor in batch.means)
    else:
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
    if not has_lora(model):
        with pytest.raises(InputError, match="no LoRA"):
            export_peft(tuned, tmp_path)
        return
    export_peft(tuned, tmp_path)
    inputs = model.encode(unequal(), ASKED)
    theirs = peft.PeftModel.from_pretrained(deepcopy(model.network), tmp_path)
    adapted = {path for path, module in theirs.named_modules() if hasattr(module, "lora_A")}
    assert len(adapted) == len({lora.module for lora in tuned.lora})
    with torch.no_grad(), tuned.applied(inputs) as adapted:
        ours = model.answer_logits(adapted)
        logits = transformers_logits(theirs.get_base_model(), model.given(adapted.tensors))
    assert not torch.allclose(ours, model.answer_logits(inputs), atol=1e-3)
    torch.testing.assert_close(logits, ours, atol=1e-4, rtol=0)


def test_every_check_of_a_loaded_model_holds(model: HuggingFaceModel) -> None:
    # Loading a type without a file of its own makes the checks and keeps them.
    checks = reloaded(model.name).checks if isinstance(model, Discovered) else verified(model)
    assert [check.name for check in checks] == [name for _, name, _ in CHECKS]
    failed = {check.name: check.failed for check in checks if check.failed}
    assert not failed


def test_prompts_have_the_tokens_of_the_chat_template(model: HuggingFaceModel) -> None:
    ids = model.encode(unequal(), ASKED).tensors["input_ids"]
    assert torch.equal(ids, plain_inputs(model, [[image] for image in unequal()], ASKED)["input_ids"])
    bos = model.processor.tokenizer.bos_token_id
    assert (ids == bos).sum(1).max() <= 1, "the prompt begins twice"


@pytest.mark.parametrize("name", by_discovery(ANSWERING))
def test_a_model_without_a_way_to_the_pixels_answers_and_is_not_tuned(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = small(name)
    model.network.save_pretrained(tmp_path)
    model.processor.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path))
    assert isinstance(loaded, AnsweringModel)
    theirs = plain_inputs(model, [[image] for image in unequal()], ASKED)
    out = model.network.generate(**theirs, max_new_tokens=4, output_logits=True, return_dict_in_generate=True)
    answers = loaded.answer(unequal(), ASKED, 4)
    assert torch.equal(answers.tokens, out.sequences[:, -len(out.logits) :])
    assert torch.equal(answers.logits, torch.stack(out.logits, 1).float())
    assert (answers.logits[0, 0] - answers.logits[1, 0]).abs().max() > 1e-2
    with pytest.raises(InputError, match="needs access to the model's internals"):
        tunable(loaded, "tuning")
