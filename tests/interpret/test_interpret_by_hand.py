"""Attention and lens against slow computation by hand, and on a tuned model."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from tests.models.test_conformance import ASKED, unequal
from tests.support.small_families import flat, small
from tests.support.small_families.tokens import generation_config, text_config
from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.errors import InputError
from vqttt.interpret import (
    Lens,
    attention,
    compare,
    examine,
    image_words,
    logit_lens,
    mosaic,
    on_grid,
    relative_attention,
)
from vqttt.interpret.attention import with_question
from vqttt.interpret.drawing import draw
from vqttt.methods import METHODS, VQTTT, VQTTTConfig
from vqttt.models.fake import FakeTunableModel
from vqttt.models.paligemma import PaliGemma

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_attention_by_hand() -> None:
    model = tiny_llava()
    inputs = model.encode(sample_images(1), QUESTIONS[:1])
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
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
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


def test_the_lens_applies_the_softcap() -> None:
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
    model = PaliGemma("softcapped", network, processor)
    inputs = model.encode(unequal(), ASKED)
    lens = logit_lens(model, inputs)
    assert 0.3 < lens.logits.abs().max() <= 0.5
    assert torch.equal(lens.logits[-1], model.answer_logits(inputs)[:, 0])


def test_parts_that_are_not_exposed_are_an_error() -> None:
    model = FakeTunableModel()
    inputs = model.encode(sample_images(1), QUESTIONS[:1])
    with pytest.raises(InputError, match="fake does not expose its language model"):
        logit_lens(model, inputs)
    with pytest.raises(InputError, match="fake does not expose"):
        attention(model, inputs)
    llava = small("llava")
    inputs = llava.encode(unequal(), ASKED)
    with pytest.raises(InputError, match="layer 3 of llava does not attend to images; these do: 1, 2"):
        relative_attention(llava, inputs, inputs, [2])
    with pytest.raises(InputError, match="has layers 1 to 2, not 3"):
        image_words(llava, inputs, 2)
    llava.network.model.language_model, kept = torch.nn.Identity(), llava.network.model.language_model
    try:
        with pytest.raises(InputError, match="LlavaForConditionalGeneration does not expose its language model"):
            logit_lens(llava, inputs)
    finally:
        llava.network.model.language_model = kept


METHODS_OF_ONE_PASS = ["vq-ttt", "vq-ttt-episodic", "lora-only", "none"]


@pytest.mark.parametrize("method", METHODS_OF_ONE_PASS)
def test_an_explanation_gives_the_methods_answer(method: str) -> None:
    """Under the attempt that explains a tuned method's last answer, the model gives this answer."""
    model = tiny_llava()
    built = METHODS[method].build(model, max_new_tokens=3)
    plain = model.answer_logits(model.encode(sample_images(1), QUESTIONS[:1]))
    for image, question in zip(sample_images(4), QUESTIONS, strict=True):
        inputs = model.encode([image], [question])
        base = model.generate(inputs, 3)
        answer = built.answer(inputs, base)[0]
        with built.explain(inputs, base).adapted() as adapted:
            again = model.generate(adapted, 3)
        assert again.texts[0] == answer.answer
    assert torch.equal(model.answer_logits(model.encode(sample_images(1), QUESTIONS[:1])), plain), (
        "adapters outlived the block"
    )


def test_a_frozen_method_of_corrections_is_explained_by_the_image_that_it_answers_from(tmp_path: Path) -> None:
    model, file = tiny_llava(), tmp_path / "tuned.safetensors"
    spec = METHODS["vq-select"].changed({"gate": 0.0, "guard": False, "tries": 1})
    learner = spec.build(model, max_new_tokens=3)
    learner.ask(sample_images(4), QUESTIONS)
    learner.save(file)  # type: ignore[attr-defined]
    frozen = spec.saved(file).build(model, max_new_tokens=3)
    for image, question in zip(sample_images(4), QUESTIONS, strict=True):
        inputs = model.batch_of([image], [question])
        base = model.generate(inputs, 3)
        answer, attempt = frozen.answer(inputs, base)[0], frozen.explain(inputs, base)
        with attempt.adapted() as adapted:
            assert model.generate(adapted, 3).texts[0] == answer.answer == attempt.outcome.texts[0]
            assert not torch.equal(model.pixels(adapted).pixels, model.pixels(inputs).pixels)


def test_an_answer_that_gate_or_guard_keep_is_explained_by_the_untuned_model() -> None:
    model = tiny_llava()
    inputs = model.batch_of(sample_images(1), QUESTIONS[:1])
    base = model.generate(inputs, 3)
    for config in (VQTTTConfig(gate=1e9), VQTTTConfig(guard_ratio=1e-9)):
        method = VQTTT(model, config, max_new_tokens=3)
        method.answer(inputs, base)
        with method.explain(inputs, base).adapted() as adapted:
            assert adapted is inputs
            assert torch.equal(model.generate(adapted, 3).logits, base.logits)
    vote = METHODS["tta"].build(model).explain(inputs, base)
    with pytest.raises(InputError, match="come from several forward passes"), vote.adapted():
        pass


def test_lora_changes_what_the_tuned_model_attends_to() -> None:
    model = tiny_llava()
    method = VQTTT(
        model, VQTTTConfig(gate=0.0, guard=False, objective="entropy", lora_rate=0.3, kernel_rate=0.3), max_new_tokens=3
    )
    inputs = model.encode(sample_images(1), QUESTIONS[:1])
    base = model.generate(inputs, 3)
    method.answer(inputs, base)
    plain = attention(model, inputs)[0]
    with method.explain(inputs, base).adapted() as adapted:
        tuned = attention(model, adapted)[0]
        generic = with_question(model, adapted, sample_images(1), QUESTIONS[1])
    assert (tuned - plain).abs().max() > 1e-3
    assert torch.equal(model.pixels(generic).pixels, model.pixels(adapted).pixels)
    assert torch.equal(attention(model, inputs)[0], plain)


@pytest.mark.parametrize("name", ["llava", "llava_next", "internvl", "idefics2", "qwen2_5_vl", "mllama", "cogvlm"])
def test_figures_of_all_image_layouts(name: str, tmp_path: Path) -> None:
    model = small(name)
    dark = np.ascontiguousarray(unequal()[1] // 2)
    method = METHODS["vq-ttt"].build(model, max_new_tokens=2)
    rows = compare(model, ASKED[1], unequal()[1], ("dark", dark), ("tuned", dark, method), generic=ASKED[2])
    assert [row.name for row in rows] == ["clean", "dark", "tuned"]
    # Every row shows the layout's map, or says that there is none, as for idefics2. With a map and without one all rows
    # are drawn, and the same bytes are shown by one of them; the other layouts draw one row.
    formats = {"llava": ("svg", "pdf", "png"), "idefics2": ("png",)}.get(name, ())
    draw(rows if formats else rows[-1:], tmp_path / "figure.png", "costs $5 and $6?")
    for suffix in formats:
        first, again = tmp_path / f"first.{suffix}", tmp_path / f"again.{suffix}"
        draw(rows[1:2], first, "costs $5 and $6?")
        draw(rows[1:2], again, "costs $5 and $6?")
        assert first.read_bytes() == again.read_bytes()
    if name == "llava":
        assert rows[1].probability != rows[1].clean_probability, "the row lacks a line"
    for row in rows:
        assert (row.relative is None) == (name == "idefics2")
        assert len(row.probability) == len(row.entropy) == len(row.words) == len(model.decoder.layers)
        assert len(row.looking) == len(row.looking_layers)
        numbers = row.numbers()
        assert "image" not in numbers and all(map(math.isfinite, row.entropy))
    assert rows[0].probability == rows[0].clean_probability


def test_maps_and_mosaics() -> None:
    values = torch.tensor([1.0, 2.0, 3.0])
    laid = on_grid(values, torch.tensor([[2, 0], [-1, 1]]))
    assert np.array_equal(laid, [[3, 1], [np.nan, 2]], equal_nan=True)
    assert mosaic([np.ones((2, 3))]).shape == (2, 3)
    five = mosaic([np.full((2, 3), n) for n in range(5)], fill=9)
    assert five.shape == (4, 9) and five[-1].tolist() == [3, 3, 3, 4, 4, 4, 9, 9, 9]


def test_examining_one_image() -> None:
    model = tiny_llava()
    analyse = partial(examine, model, "clean", sample_images(1)[0], QUESTIONS[0], generic=QUESTIONS[1])
    row, token = analyse()
    assert row.words[-1][0] == (model.word(token), pytest.approx(row.probability[-1]))
    one, _ = analyse(layers=[0])
    assert row.relative is not None and one.relative is not None
    assert row.relative.size == model.image_tokens(model.encode(sample_images(1), QUESTIONS[:1])).keys.sum()
    assert not np.allclose(one.relative, row.relative)
