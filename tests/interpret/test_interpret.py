"""What every family exposes to analyses: all its parts, and image tokens in the right places."""

from copy import deepcopy
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.test_conformance import ASKED, unequal
from tests.support.small_families import BUILDERS, small
from vqttt.errors import InputError
from vqttt.interpret import attention, image_words, logit_lens, relative_attention
from vqttt.interpret.attention import with_question
from vqttt.models import family_class
from vqttt.models.base import Inputs
from vqttt.models.huggingface import HuggingFaceModel

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# As docs/analyses.md says: whether a family's image tokens have places in the image, and whether the prompt has them.
PLACES_IN_PROMPT = {
    "llava", "llava/siglip", "llava/dinov2", "llava/sam", "paligemma", "gemma3", "llava_next", "llava_next/mistral",
    "llava_onevision", "internvl", "idefics3", "smolvlm", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "cogvlm", "cogvlm2",
}  # fmt: skip
PLACES_CROSSED = {"mllama"}
NO_PLACES = {"idefics", "idefics2"}
CROSSED = {"mllama", "idefics"}
ATTENDING = {"idefics": [0, 1], "mllama": [1]}


@pytest.fixture(params=list(BUILDERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_family_is_in_the_table() -> None:
    assert set(BUILDERS) == PLACES_IN_PROMPT | PLACES_CROSSED | NO_PLACES


def test_the_page_agrees() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "analyses.md").read_text()
    rows = {cells[0].strip("`"): cells[1:] for cells in (line.strip("| ").split(" | ") for line in page.splitlines())}
    for name in BUILDERS:
        attends, places, lens, words = rows[name]
        assert (attends == "cross-attention") == (name in CROSSED) == (words == "no")
        assert places == ("no: latents" if name in NO_PLACES else "yes") and lens == "yes"


def test_every_family_exposes_what_the_table_says(name: str) -> None:
    model = small(name)
    inputs = model.encode(unequal(), ASKED)
    tokens = model.image_tokens(inputs)
    by_sample, lens = attention(model, inputs), logit_lens(model, inputs)
    layers = ATTENDING.get(name, [0, 1])
    assert [layer for layer, _ in model.decoder.attention] == layers
    assert [weights.shape for weights in by_sample] == [(len(layers), int(keys.sum())) for keys in tokens.keys]
    for weights in by_sample:
        assert torch.isfinite(weights).all() and (weights >= 0).all()
        assert (weights.sum(1) <= 1 + 1e-5).all() and (weights.sum(1) > 0).all()
        if name in CROSSED:  # there is nothing else to attend to
            torch.testing.assert_close(weights.sum(1), torch.ones(len(layers)), atol=1e-5, rtol=0)
    assert len(tokens.grids) == len(model.pixels(inputs).pixels)
    assert any(grid is not None for grid in tokens.grids) == (name not in NO_PLACES)
    assert model.decoder.crossed == (name in CROSSED)
    assert lens.logits.shape[:2] == (len(model.decoder.layers), 3)
    if name in CROSSED:
        with pytest.raises(InputError, match="by cross-attention"):
            image_words(model, inputs, 0)
    else:
        assert [len(words) for words in image_words(model, inputs, 0)] == tokens.keys.sum(1).tolist()


def test_relative_attention_is_a_ratio_per_token(name: str) -> None:
    model = small(name)
    inputs = model.encode(unequal(), ASKED)
    generic = with_question(model, inputs, unequal(), "how many objects are there in it?")
    relative = relative_attention(model, inputs, generic)
    asked, plain = attention(model, inputs), attention(model, generic)
    for ratio, above, below in zip(relative, asked, plain, strict=True):
        torch.testing.assert_close(ratio * below.mean(0), above.mean(0))
    same = relative_attention(model, inputs, inputs)
    torch.testing.assert_close(same, [torch.ones_like(ratio) for ratio in same])


def test_the_lens_ends_with_the_models_own_logits(name: str) -> None:
    model = small(name)
    inputs = model.encode(unequal(), ASKED)
    lens = logit_lens(model, inputs)
    assert torch.equal(lens.logits[-1], model.answer_logits(inputs)[:, 0])
    assert (lens.logits[0] - lens.logits[-1]).abs().max() > 1e-2
    assert torch.isfinite(lens.entropy()).all()


def test_eager_attention_ends_with_its_block(name: str) -> None:
    model = small(name)
    inputs = model.encode(unequal(), ASKED)
    before = model.answer_logits(inputs)
    hooks = [len(module._forward_hooks) for module in model.network.modules()]
    with model.decoder.eager():
        torch.testing.assert_close(model.answer_logits(inputs), before, atol=1e-4, rtol=0)
    attention(model, inputs)
    assert torch.equal(model.answer_logits(inputs), before)
    assert hooks == [len(module._forward_hooks) for module in model.network.modules()]


def test_a_batch_is_analysed_as_one_at_a_time(name: str) -> None:
    model = small(name)
    together = attention(model, model.encode(unequal(), ASKED))
    for n, weights in enumerate(together):
        alone = attention(model, model.encode(unequal()[n : n + 1], ASKED[n : n + 1]))[0]
        if name == "mllama":  # in a batch, padding tiles are marked but get no attention
            assert alone.sum() == pytest.approx(float(weights.sum()))
        torch.testing.assert_close(alone, weights, atol=1e-4, rtol=0)


def content_of_tokens(model: HuggingFaceModel, inputs: Inputs) -> list[torch.Tensor]:
    """The hidden states of each sample's image tokens as the text gets them, (T, width)."""
    found: list[torch.Tensor] = []

    def keep(module: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> None:
        if not model.decoder.crossed:
            found.append(arguments[0] if arguments else given["hidden_states"])
        else:
            states = given.get("cross_attention_states")
            found.append(given["key_value_states"] if states is None else states)

    decoder = model.decoder
    module = decoder.attention[0][1] if decoder.crossed else decoder.layers[0]
    handle = module.register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        model.answer_logits(inputs)
    handle.remove()
    keys = model.image_tokens(inputs).keys
    return [states[row] for states, row in zip(found[0].view(*keys.shape, -1), keys, strict=True)]


def test_a_token_covers_the_part_that_its_grid_says(name: str) -> None:
    """If a part of an image changes, the token that covers it changes more than the sample's others."""
    model = family_class(small(name).network.config.model_type)(
        name, deepcopy(small(name).network), small(name).processor
    )
    with torch.no_grad():
        for block in model.vision_blocks:  # so that parts hardly influence one another
            for parameter in block.parameters():
                parameter.mul_(0.05)
    inputs = model.encode(unequal(), ASKED)
    pixels, owner, _ = model.pixels(inputs)
    before = content_of_tokens(model, inputs)
    grids, right = model.image_tokens(inputs).grids, []
    parts: dict[int, list[tuple[int, int, int]]] = {sample: [] for sample in range(inputs.count)}
    for n, grid in enumerate(grids):
        if grid is not None:
            parts[int(owner[n])] += [(n, row, column) for row, column in (grid >= 0).nonzero().tolist()[::3]]
    for one_of_each_sample in zip_longest(*parts.values()):  # one pass for a part of each sample
        changed, some = pixels.clone(), [part for part in one_of_each_sample if part]
        for n, row, column in some:
            height, width = (edge // count for edge, count in zip(pixels.shape[2:], grids[n].shape, strict=True))
            changed[n, :, row * height : (row + 1) * height, column * width : (column + 1) * width] *= -1
        after = content_of_tokens(model, model.with_pixels(inputs, changed))
        for n, row, column in some:
            moved = (after[owner[n]] - before[owner[n]]).norm(dim=1)
            right.append(int(moved.argmax()) == int(grids[n][row, column]))
    assert name in NO_PLACES or len(right) > 3
    assert np.mean(right or [1]) > 0.9, (sum(right), len(right))


def test_every_token_of_an_image_has_one_place(name: str) -> None:
    model = small(name)
    inputs = model.encode(unequal(), ASKED)
    tokens, owner = model.image_tokens(inputs), model.pixels(inputs).owner
    for sample, count in enumerate(tokens.keys.sum(1).tolist()):
        grids = [grid for n, grid in enumerate(tokens.grids) if owner[n] == sample and grid is not None]
        placed = torch.cat([grid[grid >= 0] for grid in grids]).tolist() if grids else []
        assert len(set(placed)) == len(placed) and set(placed) <= set(range(count))
        assert name in NO_PLACES or len(placed) > 0.6 * count


def test_a_black_image_has_places_too(name: str) -> None:
    model = small(name)
    inputs = model.encode([np.zeros((64, 40, 3), np.uint8), unequal()[1]], ASKED[:2])
    tokens, owner = model.image_tokens(inputs), model.pixels(inputs).owner.tolist()
    for sample, weights in enumerate(attention(model, inputs)):
        grids = [grid for grid, of in zip(tokens.grids, owner, strict=True) if of == sample and grid is not None]
        assert all(grid.max() < weights.shape[1] for grid in grids)
        assert len(grids) > 0 or name in NO_PLACES


def test_image_tokens_of_several_images(name: str) -> None:
    model = small(name)
    first, second, third = unequal()
    inputs = model.encode([[first, second], [third]], ASKED[:2])
    tokens = model.image_tokens(inputs)
    assert len(tokens.grids) == len(model.pixels(inputs).pixels)
    assert [weights.shape[1] for weights in attention(model, inputs)] == tokens.keys.sum(1).tolist()
    bare = model.encode([[]], ASKED[:1])
    with pytest.raises(InputError, match="no image to analyse"):
        attention(model, bare)
