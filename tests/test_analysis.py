"""Attention and lens against slow computation by hand, and what every family exposes: nothing may go missing."""

import math
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from tests.small_families import BUILDERS, flat, small
from tests.small_families.tokens import generation_config, text_config
from tests.small_models import QUESTIONS, pictures, tiny_llava
from tests.test_conformance import ASKED, unequal
from vqttt.analysis import (
    Lens,
    attention,
    compare,
    examine,
    logit_lens,
    mosaic,
    on_grid,
    picture_words,
    relative_attention,
)
from vqttt.analysis.attention import with_question
from vqttt.analysis.drawing import draw
from vqttt.errors import InputError
from vqttt.methods import METHODS, VQTTT, VQTTTConfig
from vqttt.models import family_class
from vqttt.models.base import Inputs
from vqttt.models.fake import FakeModel
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.paligemma import PaliGemma

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# What docs/analyses.md says of each family: whether its image tokens have places, and whether they are in the prompt.
PLACES_IN_PROMPT = {
    "llava", "llava/siglip", "llava/dinov2", "llava/sam", "paligemma", "gemma3", "llava_next", "llava_next/mistral",
    "llava_onevision", "internvl", "idefics3", "smolvlm", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "cogvlm", "cogvlm2",
}  # fmt: skip
PLACES_CROSSED = {"mllama"}
NO_PLACES = {"idefics", "idefics2"}
CROSSED = {"mllama", "idefics"}
LOOKS = {"idefics": [0, 1], "mllama": [1]}


@pytest.fixture(params=list(BUILDERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_family_is_in_the_table() -> None:
    assert set(BUILDERS) == PLACES_IN_PROMPT | PLACES_CROSSED | NO_PLACES


def test_the_page_says_the_same() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "analyses.md").read_text()
    rows = {cells[0].strip("`"): cells[1:] for cells in (line.strip("| ").split(" | ") for line in page.splitlines())}
    for name in BUILDERS:
        looks, places, lens, words = rows[name]
        assert (looks == "cross-attention") == (name in CROSSED) == (words == "no")
        assert places == ("no: latents" if name in NO_PLACES else "yes") and lens == "yes"


def test_every_family_exposes_what_the_table_says(name: str) -> None:
    model = small(name)
    inputs = model.encode(unequal(), ASKED)
    tokens = model.image_tokens(inputs)
    looked, lens = attention(model, inputs), logit_lens(model, inputs)
    layers = LOOKS.get(name, [0, 1])
    assert [layer for layer, _ in model.decoder.looks] == layers
    assert [weights.shape for weights in looked] == [(len(layers), int(keys.sum())) for keys in tokens.keys]
    for weights in looked:
        assert torch.isfinite(weights).all() and (weights >= 0).all()
        assert (weights.sum(1) <= 1 + 1e-5).all() and (weights.sum(1) > 0).all()
        if name in CROSSED:  # there is nothing else to look at
            torch.testing.assert_close(weights.sum(1), torch.ones(len(layers)), atol=1e-5, rtol=0)
    assert len(tokens.grids) == len(model.pixels(inputs).pixels)
    assert any(grid is not None for grid in tokens.grids) == (name not in NO_PLACES)
    assert model.decoder.crossed == (name in CROSSED)
    assert lens.logits.shape[:2] == (len(model.decoder.layers), 3)
    if name in CROSSED:
        with pytest.raises(InputError, match="by cross-attention"):
            picture_words(model, inputs, 0)
    else:
        assert [len(words) for words in picture_words(model, inputs, 0)] == tokens.keys.sum(1).tolist()


def test_relative_attention_is_a_ratio_by_token(name: str) -> None:
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


def test_a_batch_is_looked_at_as_one_at_a_time(name: str) -> None:
    model = small(name)
    together = attention(model, model.encode(unequal(), ASKED))
    for n, weights in enumerate(together):
        alone = attention(model, model.encode(unequal()[n : n + 1], ASKED[n : n + 1]))[0]
        if name == "mllama":  # tiles of padding, in a batch, are marked and not looked at
            assert alone.sum() == pytest.approx(float(weights.sum()))
        torch.testing.assert_close(alone, weights, atol=1e-4, rtol=0)


def content_of_tokens(model: HuggingFaceModel, inputs: Inputs) -> list[torch.Tensor]:
    """What the text is given of each sample's image tokens, (T, width)."""
    found: list[torch.Tensor] = []

    def keep(module: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> None:
        if not model.decoder.crossed:
            found.append(arguments[0] if arguments else given["hidden_states"])
        else:
            states = given.get("cross_attention_states")
            found.append(given["key_value_states"] if states is None else states)

    decoder = model.decoder
    module = decoder.looks[0][1] if decoder.crossed else decoder.layers[0]
    handle = module.register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        model.answer_logits(inputs)
    handle.remove()
    keys = model.image_tokens(inputs).keys
    return [states[row] for states, row in zip(found[0].view(*keys.shape, -1), keys, strict=True)]


def test_a_token_is_where_its_grid_says(name: str) -> None:
    """Change a part of a picture: of all its sample's tokens, that with this place changes most."""
    model = family_class(small(name).network.config.model_type)(
        name, deepcopy(small(name).network), small(name).processor
    )
    with torch.no_grad():
        for block in model.vision_blocks:  # what parts say to one another, to a whisper
            for parameter in block.parameters():
                parameter.mul_(0.05)
    inputs = model.encode(unequal(), ASKED)
    pixels, owner, _ = model.pixels(inputs)
    before = content_of_tokens(model, inputs)
    right = []
    for n, grid in enumerate(model.image_tokens(inputs).grids):
        if grid is None:
            continue
        height, width = (edge // parts for edge, parts in zip(pixels.shape[2:], grid.shape, strict=True))
        for row, column in ((grid >= 0).nonzero().tolist())[::3]:
            changed = pixels.clone()
            changed[n, :, row * height : (row + 1) * height, column * width : (column + 1) * width] *= -1
            after = content_of_tokens(model, model.with_pixels(inputs, changed))
            moved = (after[owner[n]] - before[owner[n]]).norm(dim=1)
            right.append(int(moved.argmax()) == int(grid[row, column]))
    assert name in NO_PLACES or len(right) > 3
    assert np.mean(right or [1]) > 0.9, (sum(right), len(right))


def test_every_token_of_a_picture_has_one_place(name: str) -> None:
    model = small(name)
    inputs = model.encode(unequal(), ASKED)
    tokens, owner = model.image_tokens(inputs), model.pixels(inputs).owner
    for sample, count in enumerate(tokens.keys.sum(1).tolist()):
        grids = [grid for n, grid in enumerate(tokens.grids) if owner[n] == sample and grid is not None]
        placed = torch.cat([grid[grid >= 0] for grid in grids]).tolist() if grids else []
        assert len(set(placed)) == len(placed) and set(placed) <= set(range(count))
        assert name in NO_PLACES or len(placed) > 0.6 * count


def test_a_black_picture_has_its_places_too(name: str) -> None:
    model = small(name)
    inputs = model.encode([np.zeros((64, 40, 3), np.uint8), unequal()[1]], ASKED[:2])
    tokens, owner = model.image_tokens(inputs), model.pixels(inputs).owner.tolist()
    for sample, weights in enumerate(attention(model, inputs)):
        grids = [grid for grid, of in zip(tokens.grids, owner, strict=True) if of == sample and grid is not None]
        assert all(grid.max() < weights.shape[1] for grid in grids)
        assert len(grids) > 0 or name in NO_PLACES


def test_image_tokens_of_several_pictures(name: str) -> None:
    model = small(name)
    first, second, third = unequal()
    inputs = model.encode([[first, second], [third]], ASKED[:2])
    tokens = model.image_tokens(inputs)
    assert len(tokens.grids) == len(model.pixels(inputs).pixels)
    assert [weights.shape[1] for weights in attention(model, inputs)] == tokens.keys.sum(1).tolist()
    bare = model.encode([[]], ASKED[:1])
    with pytest.raises(InputError, match="no picture to look at"):
        attention(model, bare)


def test_attention_by_hand() -> None:
    model = tiny_llava()
    inputs = model.encode(pictures(1), QUESTIONS[:1])
    text = model.network.model.language_model
    layer, caught = text.layers[1].self_attn, {}

    def keep(module: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> None:
        caught.update(given)

    handle = layer.register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        model.answer_logits(inputs)
        handle.remove()
        x = caught["hidden_states"]
        q, k = (
            linear(x).view(1, x.shape[1], -1, layer.head_dim).transpose(1, 2) for linear in (layer.q_proj, layer.k_proj)
        )
        q, k = apply_rotary_pos_emb(q, k, *caught["position_embeddings"])
    expected = torch.zeros(x.shape[1])
    for head in range(q.shape[1]):
        scores = [float(q[0, head, -1] @ k[0, head, n]) / math.sqrt(layer.head_dim) for n in range(x.shape[1])]
        total = sum(math.exp(score) for score in scores)
        expected += torch.tensor([math.exp(score) / total for score in scores]) / q.shape[1]
    places = [n for n, token in enumerate(inputs.tensors["input_ids"][0].tolist()) if token == 4]
    assert model.word(4) == "<image>" and len(places) == model.image_tokens(inputs).keys.sum()
    torch.testing.assert_close(attention(model, inputs)[0][1], expected[places], atol=1e-5, rtol=1e-4)
    assert expected.sum() == pytest.approx(1, abs=1e-5)


def test_lens_by_hand() -> None:
    model = tiny_llava()
    inputs = model.encode(pictures(2), QUESTIONS[:2])
    lens = logit_lens(model, inputs)
    with torch.no_grad():
        states = model.network(**inputs.tensors, output_hidden_states=True).hidden_states
        by_hand = model.network.lm_head(model.network.model.language_model.norm(states[1][:, -1]))
    torch.testing.assert_close(lens.logits[0], by_hand, atol=1e-4, rtol=1e-4)
    tokens, shares = lens.top(3)
    assert tokens.shape == shares.shape == (len(lens.logits), 2, 3)
    assert torch.equal(lens.probability(tokens[-1, :, 0])[-1], shares[-1, :, 0])


def test_where_an_answer_appears() -> None:
    logits = torch.tensor([[[9.0, 0, 0]], [[0, 9.0, 0]], [[9.0, 0, 0]], [[9.0, 0, 0]]])
    lens = Lens(logits=logits)
    assert lens.appears(torch.tensor([0])).tolist() == [3]
    assert lens.appears(torch.tensor([1])).tolist() == [0]


def test_logits_that_are_squeezed_after_the_head() -> None:
    torch.manual_seed(3)
    _, processor = flat.paligemma()
    config = PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model", **flat.VISION, "vision_use_head": False},
        text_config={
            "model_type": "gemma2",
            **text_config(processor.tokenizer, head_dim=16, query_pre_attn_scalar=16),
            "final_logit_softcapping": 0.5,
        },
        image_token_id=processor.tokenizer.image_token_id,
        projection_dim=32,
    )
    network = PaliGemmaForConditionalGeneration(config)
    network.get_output_embeddings().weight.data.mul_(20)
    network.generation_config = generation_config(processor.tokenizer)
    model = PaliGemma("squeezed", network, processor)
    inputs = model.encode(unequal(), ASKED)
    lens = logit_lens(model, inputs)
    assert 0.3 < lens.logits.abs().max() <= 0.5
    assert torch.equal(lens.logits[-1], model.answer_logits(inputs)[:, 0])


def test_what_is_not_exposed_is_said_in_a_line() -> None:
    model = FakeModel()
    inputs = model.encode(pictures(1), QUESTIONS[:1])
    with pytest.raises(InputError, match="fake does not expose its language model"):
        logit_lens(model, inputs)
    with pytest.raises(InputError, match="fake does not expose"):
        attention(model, inputs)
    llava = small("llava")
    inputs = llava.encode(unequal(), ASKED)
    with pytest.raises(InputError, match="layer 3 of llava does not look at pictures; these do: 1, 2"):
        relative_attention(llava, inputs, inputs, [2])
    with pytest.raises(InputError, match="has layers 1 to 2, not 3"):
        picture_words(llava, inputs, 2)
    llava.network.model.language_model, kept = torch.nn.Identity(), llava.network.model.language_model
    try:
        with pytest.raises(InputError, match="LlavaForConditionalGeneration does not expose its language model"):
            logit_lens(llava, inputs)
    finally:
        llava.network.model.language_model = kept


@pytest.mark.parametrize("method", ["vq-ttt", "vq-ttt-bank", "vq-ttt-static", "vq-ttt-episodic", "lora-only", "none"])
def test_what_is_seen_gives_the_methods_answer(method: str) -> None:
    """Tuned along a few pictures, a method's own answer to the last comes from what it says the network sees."""
    model = tiny_llava()
    made = METHODS[method](model, max_new_tokens=3)
    plain = model.answer_logits(model.encode(pictures(1), QUESTIONS[:1]))
    for image, question in zip(pictures(4), QUESTIONS, strict=True):
        inputs = model.encode([image], [question])
        base = model.generate(inputs, 3)
        answer = made.answer(inputs, base)[0]
        with made.seen(inputs, base) as seen:
            again = model.generate(seen, 3)
        assert again.texts[0] == answer.answer
    assert torch.equal(model.answer_logits(model.encode(pictures(1), QUESTIONS[:1])), plain), "adapters outlived it"


def test_what_the_gate_or_the_guard_leaves_is_seen_as_it_was() -> None:
    model = tiny_llava()
    inputs = model.encode(pictures(1), QUESTIONS[:1])
    base = model.generate(inputs, 3)
    for config in (VQTTTConfig(gate=1e9), VQTTTConfig(guard_ratio=0.0)):
        method = VQTTT(model, config, max_new_tokens=3)
        method.answer(inputs, base)
        with method.seen(inputs, base) as seen:
            assert seen is inputs
            assert torch.equal(model.generate(seen, 3).logits, base.logits)
    with pytest.raises(InputError, match="Vote does not answer by one look"):
        METHODS["tta"](model).seen(inputs, base)


def test_lora_changes_where_the_tuned_network_looks() -> None:
    model = tiny_llava()
    method = VQTTT(model, VQTTTConfig(gate=0.0, guard=False, lora_rate=0.3, kernel_rate=0.3), max_new_tokens=3)
    inputs = model.encode(pictures(1), QUESTIONS[:1])
    base = model.generate(inputs, 3)
    method.answer(inputs, base)
    plain = attention(model, inputs)[0]
    with method.seen(inputs, base) as seen:
        tuned = attention(model, seen)[0]
        generic = with_question(model, seen, pictures(1), QUESTIONS[1])
    assert (tuned - plain).abs().max() > 1e-3
    assert torch.equal(model.pixels(generic).pixels, model.pixels(seen).pixels)
    assert torch.equal(attention(model, inputs)[0], plain)


@pytest.mark.parametrize("name", ["llava", "llava_next", "internvl", "idefics2", "qwen2_5_vl", "mllama", "cogvlm"])
def test_figures_of_all_kinds_of_pictures(name: str, tmp_path: Path) -> None:
    model = small(name)
    dark = np.ascontiguousarray(unequal()[1] // 2)
    method = METHODS["vq-ttt-static"](model, max_new_tokens=2)
    rows = compare(model, ASKED[1], unequal()[1], ("dark", dark), ("tuned", dark, method), generic=ASKED[2])
    assert [row.name for row in rows] == ["clean", "dark", "tuned"]
    for suffix in ("svg", "pdf") if name == "llava" else ("png",):
        first, again = tmp_path / f"first.{suffix}", tmp_path / f"again.{suffix}"
        draw(rows, first, "costs $5 and $6?")
        draw(rows, again, "costs $5 and $6?")
        assert first.read_bytes() == again.read_bytes()
    for row in rows:
        assert (row.relative is None) == (name in NO_PLACES)
        assert len(row.probability) == len(row.entropy) == len(row.words) == len(model.decoder.layers)
        assert len(row.looking) == len(row.looking_layers)
        numbers = row.numbers()
        assert "picture" not in numbers and all(map(math.isfinite, row.entropy))
    assert rows[0].probability == rows[0].clean_probability


def test_maps_and_mosaics() -> None:
    values = torch.tensor([1.0, 2.0, 3.0])
    laid = on_grid(values, torch.tensor([[2, 0], [-1, 1]]))
    assert np.array_equal(laid, [[3, 1], [np.nan, 2]], equal_nan=True)
    assert mosaic([np.ones((2, 3))]).shape == (2, 3)
    five = mosaic([np.full((2, 3), n) for n in range(5)], fill=9)
    assert five.shape == (4, 9) and five[-1].tolist() == [3, 3, 3, 4, 4, 4, 9, 9, 9]


def test_examining_one_picture() -> None:
    model = tiny_llava()
    look = partial(examine, model, "clean", pictures(1)[0], QUESTIONS[0], generic=QUESTIONS[1])
    row, token = look()
    assert row.words[-1][0] == (model.word(token), pytest.approx(row.probability[-1]))
    one, _ = look(layers=[0])
    assert row.relative is not None and one.relative is not None
    assert row.relative.size == model.image_tokens(model.encode(pictures(1), QUESTIONS[:1])).keys.sum()
    assert not np.allclose(one.relative, row.relative)
