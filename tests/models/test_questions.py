"""A question is text: it places no image and writes no control token, in any family."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import examples
from tests.support.small_families import BUILDERS, small
from tests.support.small_models import sample_images
from vqttt.errors import InputError
from vqttt.methods import METHODS
from vqttt.models.answering import Asked, answer_untuned
from vqttt.models.base import Inputs
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.models.function import FunctionModel
from vqttt.models.questions import without_markers

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
QUESTION = "what color is the shape?"
MARKERS = [
    "<image>", "<|image|>", "<image 1>", "<image1>", "<image_1>", "<|image_1|>", "<image_placeholder>", "<IMAGE>",
    "[IMG]", "[IMG][IMG_BREAK][IMG_END]", "<|vision_start|><|image_pad|><|vision_end|>", "<|image_pad|>",
    "<start_of_image>", "<image_soft_token>", "<fake_token_around_image><image><fake_token_around_image>",
    "<row_1_col_2>", "<global-img>", "<IMG_CONTEXT>", "<ImageHere>", "<im_start><image><im_end>", "<im<image>age>",
    "<image 1> <image 2>",
]  # fmt: skip
CONTROL = ["<s>", "</s>", "<pad>", "<unk>", "<eos>", "<|im_end|>", "<end_of_utterance>", "<|python_tag|>", "<S>"]


def assert_same(one: Inputs, other: Inputs) -> None:
    assert one.tensors.keys() == other.tensors.keys()
    for key in one.tensors:
        assert torch.equal(one.tensors[key], other.tensors[key]), key


def own_tokens(name: str) -> list[str]:
    """What a family's processor itself puts into prompts for an image, taken from a prompt's tokens."""
    tokenizer = small(name).processor.tokenizer
    return [
        token
        for token in tokenizer.all_special_tokens
        if any(word in token for word in ("im", "boi", "eoi", "soft", "vi"))
    ]


@pytest.mark.parametrize("name", BUILDERS)
def test_every_marker_anywhere_gives_the_tokens_of_the_question_alone(name: str) -> None:
    model, images, none = small(name), sample_images(1) * 4, [[]] * 4
    plain, bare = model.encode(images, [QUESTION] * 4), model.encode(none, [QUESTION] * 4)
    for marker in [*MARKERS, *own_tokens(name)]:
        marked = [
            f"{marker}\n{QUESTION}",
            f"{marker}{QUESTION}",
            f"{QUESTION} {marker}",
            f"{QUESTION}\n{marker}\n",
        ]
        assert_same(model.encode(images, marked), plain)
        assert_same(model.encode(none, marked), bare)


@pytest.mark.parametrize("name", BUILDERS)
def test_answers_equal_those_of_the_question_alone_on_every_path(name: str) -> None:
    model, image = small(name), sample_images(1)[0]
    asked = {"plain": Asked(shown=image, text=QUESTION), "marked": Asked(shown=image, text=f"<image>\n{QUESTION}")}
    answered, errors = answer_untuned(asked, model, 4)
    assert not errors and answered is not None
    assert answered[1].texts[0] == answered[1].texts[1]
    for method in ("none", "vq-ttt-episodic"):
        built = METHODS[method].build(model, max_new_tokens=4)
        plain, marked = (built.ask([image], [one.text])[0] for one in asked.values())
        assert (plain.answer, plain.base_answer) == (marked.answer, marked.base_answer)


@pytest.mark.parametrize("name", BUILDERS)
def test_control_tokens_in_a_question_are_text(name: str) -> None:
    """The prompt has as many of each special token as that of a question without any."""
    model, image = small(name), sample_images(1)
    tokenizer = model.processor.tokenizer
    special = sorted(set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})

    def counts(question: str) -> list[int]:
        ids = model.encode(image, [question]).tensors["input_ids"]
        return [int((ids == token).sum()) for token in special]

    for token in [*CONTROL, *tokenizer.all_special_tokens]:
        assert counts(f"what is {token} in the shape?") == counts(QUESTION), token


@pytest.mark.parametrize("name", ["llava", "idefics", "qwen2_vl", "cogvlm"])
@examples(60)
@given(
    st.lists(st.sampled_from([*MARKERS, *CONTROL, "<", ">", "|", " ", "\n", "image", "1", "a", "//", ":"]), max_size=8)
)
def test_any_mixture_is_text_or_refused_in_one_line(name: str, parts: list[str]) -> None:
    model, question = small(name), "".join(parts)
    try:
        inputs = model.encode(sample_images(1), [question])
    except InputError as error:
        assert "no text" in str(error) and "\n" not in str(error)
        return
    again = model.plain_text(question)
    assert model.plain_text(again) == again
    ids = inputs.tensors["input_ids"]
    for token in (model.processor.tokenizer.eos_token_id,):
        assert not (ids == token).any()


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("no marker:  two spaces \n", "no marker:  two spaces \n"),
        ("<image 1> Baxter has a range.", "Baxter has a range."),
        ("Name structure 170. <image 1>\n\n(A) a", "Name structure 170.\n\n(A) a"),
        ("The differences. <image 1> For company B?", "The differences. For company B?"),
        ("The graph in <image 1> shows what?", "The graph in image 1 shows what?"),
        ("What is in<image 1>?", "What is in image 1?"),
        ("(A) <image 1>\n(B) <image 2>", "(A) image 1\n(B) image 2"),
        ("Which?\nA. <image 1>\nB. <|image_2|>", "Which?\nA. image 1\nB. image 2"),
        ("Compare <image 1> <image 2>", "Compare image 1 image 2"),
        ("Hint: say one.\n<image>\nQuestion: which?", "Hint: say one.\nQuestion: which?"),
        ("See the <image> here", "See the here"),
        ("What does <img src='a'> do in <b>HTML</b>?", "What does <img src='a'> do in <b>HTML</b>?"),
        ("is image 1 red, as <images> are?", "is image 1 red, as <images> are?"),
        ("<image>", ""),
    ],
)
def test_what_is_left_of_a_question(question: str, text: str) -> None:
    assert without_markers(question) == text


def test_a_question_of_markers_alone_is_refused() -> None:
    with pytest.raises(InputError, match="the question has no text, only markers of images"):
        small("llava").encode(sample_images(1), ["<image>\n"])
    answered, errors = answer_untuned({"a": Asked(shown=sample_images(1)[0], text="<image>")}, small("llava"), 2)
    assert answered is None and "only markers" in errors["a"]


@pytest.mark.parametrize("question", ["what \udcff?", "\ud800", "<image> \udfff"])
def test_half_a_character_is_refused_by_every_kind_of_model(question: str) -> None:
    image = sample_images(1)[0]
    for model in (
        small("llava"),
        FakeModel(),
        FakeTunableModel(),
        FunctionModel(lambda image, question: ("a", [-0.1])),
    ):
        with pytest.raises(InputError, match=r"the question is not valid text: it has '.ud.*; give it in UTF-8") as met:
            model.ask([image], [question], 2)
        assert str(met.value).isascii() and "\n" not in str(met.value)
        asked = {"half": Asked(shown=image, text=question), "whole": Asked(shown=image, text=QUESTION)}
        answered, errors = answer_untuned(asked, model, 2)
        assert answered is not None and list(errors) == ["half"] and "not valid text" in errors["half"]


def test_a_model_without_internals_gets_text_as_well() -> None:
    asked: list[str] = []

    class Listening(FakeModel):
        def answer(self, images, questions, max_new_tokens):
            asked.extend(questions)
            return super().answer(images, questions, max_new_tokens)

    inputs, _ = Listening().ask(sample_images(1), [f"<image>\n{QUESTION}"], 2)
    assert asked == [QUESTION] == list(inputs.questions)


@pytest.mark.parametrize("question", ["https://example.org/a.png", "//example.org", "http://["])
def test_an_address_is_text_for_idefics(question: str) -> None:
    """Its processor would fetch an image from a text that is an address and nothing else."""
    model = small("idefics")
    for images in (sample_images(1), [[]]):
        inputs = model.encode(images, [question])
        assert inputs.tensors["pixel_values"].shape[:2] == (1, 1)
        assert "example" in question or inputs.count == 1
