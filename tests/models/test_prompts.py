"""Prompts have the tokens of transformers' own chat path, with every kind of tokenizer and of chat template."""

from copy import copy
from typing import Any

import pytest
import torch
from PIL import Image as PILImage
from tokenizers.processors import TemplateProcessing

from tests.support.small_families import BUILDERS, small
from tests.support.small_families.tokens import chat as chat_template
from tests.support.small_models import QUESTIONS, sample_images
from tests.support.transformers_chat import transformers_inputs
from vqttt.errors import ModelError
from vqttt.models.huggingface import HuggingFaceModel

# A warning of PaliGemma's processor about its own code.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
BOS = "{{ '<s>' }}"
CHAT = chat_template("<image>")
STRING = BOS + "{% for message in messages %}user: {{ message['content'] }}{% endfor %} assistant: "
PARTS = (
    BOS + "{% for message in messages %}user: {% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %} assistant: "
)


def altered(name: str, template_writes: bool, tokenizer_adds: bool) -> HuggingFaceModel:
    """A small model whose chat template, tokenizer, both or neither write BOS."""
    network, processor = BUILDERS[name]()
    tokenizer = processor.tokenizer
    if tokenizer_adds:
        # As in the published tokenizers of Gemma 3 and Llama 3.
        tokenizer._tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", tokenizer.bos_token_id)]
        )
    if name == "paligemma":  # its processor tells the tokenizer so when it is made
        tokenizer.add_bos_token = False
    if not template_writes and getattr(processor, "chat_template", None):
        processor.chat_template = processor.chat_template.replace(BOS, "")
    return type(small(name))(name, network, processor)


@pytest.mark.parametrize("tokenizer_adds", [False, True], ids=["tokenizer leaves BOS", "tokenizer adds BOS"])
@pytest.mark.parametrize("template_writes", [False, True], ids=["template leaves BOS", "template writes BOS"])
@pytest.mark.parametrize("name", list(BUILDERS))
def test_tokens_equal_those_of_transformers(name: str, template_writes: bool, tokenizer_adds: bool) -> None:
    model = altered(name, template_writes, tokenizer_adds)
    images = [sample_images(1)[0], sample_images(2)[1][:40].copy()]
    shown = [[PILImage.fromarray(image)] for image in images]
    theirs = transformers_inputs(model.processor, shown, QUESTIONS[:2])
    ours = model.encode(images, QUESTIONS[:2]).tensors
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    begins = ours["input_ids"].eq(model.processor.tokenizer.bos_token_id).sum(1).tolist()
    assert begins == [1, 1] if template_writes else len(set(begins)) == 1


@pytest.mark.parametrize("tokenizer_adds", [False, True])
@pytest.mark.parametrize("name", list(BUILDERS))
def test_prompts_without_an_image_have_one_bos(name: str, tokenizer_adds: bool) -> None:
    model = altered(name, True, tokenizer_adds)
    ids = model.encode([[], []], QUESTIONS[:2]).tensors["input_ids"]
    assert ids.eq(model.processor.tokenizer.bos_token_id).sum(1).tolist() == [1, 1]


def test_an_answers_tokens_have_no_bos() -> None:
    """Likelihoods are of these tokens."""
    model = altered("gemma3", True, True)
    assert model.answer_tokens("red") == small("gemma3").answer_tokens("red")


def with_template(name: str, template: Any) -> HuggingFaceModel:
    model = small(name)
    processor = copy(model.processor)
    processor.chat_template = template
    return type(model)(name, model.network, processor)


@pytest.mark.parametrize(
    "name",
    ["llava", "gemma3", "llava_next", "llava_onevision", "idefics3", "qwen2_vl", "qwen2_5_vl", "internvl", "mllama"],
)
@pytest.mark.parametrize("joined", ["{{ message['content'] }}", "{{ '' + message['content'] }}"], ids=["print", "add"])
def test_templates_that_want_a_string(name: str, joined: str) -> None:
    """They give the same tokens, where line breaks are no tokens: the small tokenizers ignore them."""
    model = with_template(name, STRING.replace("{{ message['content'] }}", joined))
    images = sample_images(2)
    for given in (images, [[], []]):
        theirs, ours = (one.encode(given, QUESTIONS[:2]).tensors["input_ids"] for one in (small(name), model))
        assert torch.equal(theirs, ours)


def test_a_template_for_text_that_ignores_images_is_given_their_markers() -> None:
    """Such a template takes parts and drops images, so a string serves if it takes that as well."""
    either = PARTS.replace(
        "{% for part", "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part"
    ).replace("{% endfor %}{% endfor %}", "{% endfor %}{% endif %}{% endfor %}")
    model = with_template("llava", either)
    theirs, ours = (one.encode(sample_images(1), QUESTIONS[:1]).tensors["input_ids"] for one in (small("llava"), model))
    assert torch.equal(theirs, ours)


@pytest.mark.parametrize("template", ["hello", "{{ raise_exception('no') }}", "{% for", PARTS])
def test_templates_that_lose_the_image_or_the_question_are_refused(template: str) -> None:
    with pytest.raises(ModelError, match="an image, neither by a list of parts nor by a string: ") as e:
        with_template("llava", template).encode(sample_images(1), QUESTIONS[:1])
    assert "\n" not in str(e.value)


def test_a_missing_template_is_an_error_that_says_where_it_belongs() -> None:
    with pytest.raises(ModelError, match=r"no chat template; it belongs in chat_template\.jinja"):
        with_template("llava", None).encode(sample_images(1), QUESTIONS[:1])


def test_a_template_that_wants_a_message_of_the_system_gets_an_empty_one() -> None:
    wants = "{% if messages[0]['role'] != 'system' %}{{ raise_exception('a system message first') }}{% endif %}" + CHAT
    model = with_template("llava", wants.replace("for message in messages", "for message in messages[1:]"))
    theirs, ours = (one.encode(sample_images(1), QUESTIONS[:1]).tensors["input_ids"] for one in (small("llava"), model))
    assert torch.equal(theirs, ours)


@pytest.mark.parametrize("switch", ["enable_thinking", "thinking"])
def test_models_reason_before_they_answer_only_if_they_are_told_to(switch: str) -> None:
    """Where the template has a switch it is off by default, whatever the template's own default is."""
    template = (
        CHAT + "{% if " + switch + " is not defined or " + switch + " %}{{ 'yes' }}{% else %}{{ 'no' }}{% endif %}"
    )
    processor = copy(small("llava").processor)
    processor.chat_template = template
    for thinking, last in ((False, "no"), (True, "yes")):
        model = type(small("llava"))("small", small("llava").network, processor, thinking=thinking)
        assert model.prompt("what color?").endswith(last)
        tokens = model.encode(sample_images(1), QUESTIONS[:1]).tensors["input_ids"][0]
        image = [{"type": "image", "image": PILImage.fromarray(sample_images(1)[0])}]
        chat = [{"role": "user", "content": [*image, {"type": "text", "text": QUESTIONS[0]}]}]
        theirs = processor.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", **{switch: thinking}
        )
        assert torch.equal(tokens, theirs["input_ids"][0])
