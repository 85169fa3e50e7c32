"""Greedy means greedy: whatever a checkpoint's generation configuration says, each token is the likeliest."""

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from tests.support.small_families import BUILDERS, small
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.errors import ModelError
from vqttt.models import EMBEDDED, load_model
from vqttt.models.base import Inputs
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.llava import Llava
from vqttt.models.tunable import TunableModel

# A warning of PaliGemma's processor about its own code.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
LENGTH = 6
LIKELY = (30, 40, 50)
"""Tokens of the small vocabularies, to suppress, force or favour."""
PREFERENCES: dict[str, Any] = {
    "repetition_penalty": 5.0,
    "encoder_repetition_penalty": 0.2,
    "no_repeat_ngram_size": 1,
    "encoder_no_repeat_ngram_size": 1,
    "bad_words_ids": [[token] for token in LIKELY],
    "sequence_bias": [[[LIKELY[0]], 50.0]],
    "suppress_tokens": list(range(4, 60)),
    "begin_suppress_tokens": list(range(4, 90)),
    "forced_bos_token_id": LIKELY[0],
    "forced_eos_token_id": 2,
    "min_length": 40,
    "min_new_tokens": 5,
    "max_length": 3,
    "max_new_tokens": 1,
    "max_time": 1e-9,
    "stop_strings": ["e", "a", "##"],
    "num_beams": 3,
    "do_sample": True,
    "temperature": 4.0,
    "top_k": 3,
    "top_p": 0.3,
    "typical_p": 0.1,
    "epsilon_cutoff": 0.1,
    "penalty_alpha": 0.6,
    "length_penalty": 3.0,
    "exponential_decay_length_penalty": [1, 5.0],
    "guidance_scale": 3.0,
    "renormalize_logits": True,
    "remove_invalid_values": True,
    "cache_implementation": "static",
    "use_cache": False,
    "prompt_lookup_num_tokens": 3,
    "output_scores": True,
}


def with_preferences(name: str, preferences: dict[str, Any]) -> tuple[HuggingFaceModel, Any]:
    """A small model as it is loaded when its generation configuration has these fields, and the network before that."""
    model = small(name)
    networks = [deepcopy(model.network) for _ in range(2)]
    for network in networks:
        network.generation_config = GenerationConfig(**model.network.generation_config.to_diff_dict() | preferences)
    return type(model)(name, networks[0], model.processor), networks[1]


def argmax_by_argmax(model: TunableModel, inputs: Inputs) -> torch.Tensor:
    """The likeliest token, given the likeliest tokens before it, (N, LENGTH); no `generate` is involved."""
    tokens = torch.zeros(inputs.count, 0, dtype=torch.long)
    for _ in range(LENGTH):
        padded = torch.cat([tokens, torch.full((inputs.count, 1), LIKELY[0])], 1)
        with torch.no_grad():
            tokens = torch.cat([tokens, model.answer_logits(inputs, padded)[:, -1:].argmax(-1)], 1)
    return tokens


def check_greedy(model: HuggingFaceModel) -> None:
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    found, expected = model.generate(inputs, LENGTH), argmax_by_argmax(model, inputs)
    length = found.tokens.shape[1]
    end = torch.tensor(model.network.generation_config.eos_token_id)
    assert length == LENGTH or torch.isin(found.tokens, end).any(1).all(), "the answer was cut short"
    assert torch.equal(found.tokens[found.mask], expected[:, :length][found.mask])
    assert found.logits.shape[:2] == (2, length)


@pytest.mark.parametrize("field", list(PREFERENCES))
def test_no_preference_stays_in_force(field: str) -> None:
    model, _ = with_preferences("llava", {field: PREFERENCES[field]})
    check_greedy(model)


@pytest.mark.parametrize("name", list(BUILDERS))
def test_every_family_is_greedy(name: str) -> None:
    fields = ("repetition_penalty", "no_repeat_ngram_size", "suppress_tokens", "cache_implementation", "min_length")
    check_greedy(with_preferences(name, {field: PREFERENCES[field] for field in fields})[0])


@pytest.mark.parametrize("field", ["repetition_penalty", "suppress_tokens", "sequence_bias", "forced_eos_token_id"])
def test_these_preferences_would_have_changed_the_answers(field: str) -> None:
    """Otherwise the tests above test nothing."""
    model, plain = with_preferences("llava", {field: PREFERENCES[field]})
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    theirs = plain.generate(**inputs.tensors, max_new_tokens=LENGTH)[:, inputs.tensors["input_ids"].shape[1] :]
    assert not torch.equal(theirs, model.generate(inputs, LENGTH).tokens)


def test_a_loaded_folder_is_greedy(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED, folder)
    kept = json.loads((folder / "generation_config.json").read_text())
    odd = {"repetition_penalty": 1.3, "num_beams": 4, "suppress_tokens": [50], "cache_implementation": "static"}
    (folder / "generation_config.json").write_text(json.dumps(kept | odd))
    check_greedy(load_model(str(folder)))


@pytest.mark.parametrize("end", [2, [2, 7], [7]])
def test_the_end_tokens_are_the_checkpoints(end: int | list[int]) -> None:
    model, _ = with_preferences("llava", {"eos_token_id": end, "pad_token_id": None})
    assert np.array_equal(np.ravel(model.network.generation_config.eos_token_id), np.ravel(end))
    assert model.network.generation_config.pad_token_id == model.processor.tokenizer.pad_token_id


def stripped(**more: Any) -> tuple[Any, Any]:
    """A network without generation configuration, and a processor whose tokenizer has no end and no padding."""
    model = small("llava")
    network, processor = deepcopy(model.network), deepcopy(model.processor)
    processor.tokenizer.eos_token = processor.tokenizer.pad_token = None
    network.generation_config = GenerationConfig(**more)
    for config in (network.config, network.config.text_config):
        config.eos_token_id = config.pad_token_id = None
    return network, processor


def test_end_and_padding_are_found_elsewhere() -> None:
    network, processor = stripped(eos_token_id=2)
    model = Llava("found", network, processor)
    assert (processor.tokenizer.eos_token, processor.tokenizer.pad_token) == ("</s>", "</s>")
    asked = sample_images(2), ["what color is the shape?", "red?"]
    assert model.encode(*asked).tensors["attention_mask"].min() == 0, "nothing is padded"
    assert model.answer(*asked, LENGTH).texts == small("llava").answer(*asked, LENGTH).texts
    network, processor = stripped(eos_token_id=2)
    network.config.text_config.pad_token_id = 0
    Llava("found", network, processor)
    assert processor.tokenizer.pad_token == "<pad>"


def test_answers_have_neither_end_nor_padding_where_these_are_ordinary_tokens() -> None:
    """Those of a tokenizer that does not know them as special would stay in the text."""
    model, _ = with_preferences("llava", {})
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    first = int(model.generate(inputs, 1).tokens[0, 0])
    model.network.generation_config.eos_token_id = model.network.generation_config.pad_token_id = first
    assert model.generate(inputs, LENGTH).texts[0] == ""


def test_no_end_token_anywhere_is_one_clear_error() -> None:
    network, processor = stripped()
    with pytest.raises(ModelError, match=r"no token that ends an answer; it belongs in generation_config\.json"):
        Llava("endless", network, processor)
    network, processor = stripped()
    network.generation_config.eos_token_id = "</s>"
    with pytest.raises(ModelError, match=r"eos_token_id must be the number of a token.*, not '</s>'"):
        Llava("endless", network, processor)
