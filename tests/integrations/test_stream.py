"""What an evaluation harness hands over, without any harness: arguments, limits, and a stream of questions."""

import numpy as np
import pytest

from vqttt.errors import InputError, UnknownNameError, UnsupportedError, VQTTTError
from vqttt.images.degradations import degrade, image_seed
from vqttt.integrations.settings import DEFAULT_TOKENS, Limits, Settings
from vqttt.integrations.stream import Question, Stream
from vqttt.models import LoadOptions
from vqttt.models.fake import FakeTunableModel
from vqttt.types import Condition


def test_settings_from_what_a_harness_read() -> None:
    given = {"pretrained": "fake", "degradation": "fog+webp", "severity": "2", "seed": 7.0, "bits": 4, "dtype": "auto"}
    settings = Settings.parse(given)
    assert (settings.severity, settings.seed, settings.batch_size) == (2, 7, 20)
    assert settings.load == LoadOptions(bits=4)
    assert settings.condition == Condition(degradation="fog+webp", severity=2)
    assert Settings.parse({"degradation": "sketch"}).condition.severity == 3
    assert Settings.parse({"severity": 4}).condition == Condition()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sevrity", 3, "did you mean severity"),
        ("load", "auto", "unknown argument 'load'"),
        ("severity", 6, "severity 6 is out of range; 1 to 5"),
        ("severity", 2.5, "severity must be a whole number, not 2.5"),
        ("severity", True, "not True"),
        ("severity", float("inf"), "not inf"),
        ("batch_size", "auto", "batch_size must be a whole number"),
        ("batch_size", 0, "batch_size must be at least 1"),
        ("max_new_tokens", -1, "at least 0"),
        ("revision", 1234567, "revision must be text"),
        ("method", "vqttt", "did you mean vq-ttt"),
        ("degradation", "fgo", "did you mean fog"),
        ("degradation", "fog+", "is not a chain"),
        ("restorer", "medain", "did you mean median"),
        ("restorer", "spandrel:nowhere.pth", "nowhere.pth"),
        ("scale", "large", "known: relative, absolute"),
        ("dtype", "int3", "dtype 'int3' is not known"),
        ("tuned", "nowhere", "learns nothing that could be saved"),
    ],
)
def test_a_wrong_argument_is_one_clear_error(name: str, value: object, message: str) -> None:
    with pytest.raises(VQTTTError, match=message.replace("+", r"\+")):
        Settings.parse({name: value})


def test_tuned_adapters_have_to_be_there() -> None:
    with pytest.raises(InputError, match="there is no file nowhere"):
        Settings.parse({"method": "vq-select", "tuned": "nowhere"})
    with pytest.raises(UnknownNameError):
        Settings.parse({"tuned": "nowhere", "method": "?"})


def test_of_two_lengths_the_smaller_counts() -> None:
    free, bound = Settings(), Settings(max_new_tokens=32)
    assert Limits.parse({}, free).max_new_tokens == DEFAULT_TOKENS
    assert Limits.parse({}, bound).max_new_tokens == 32
    assert Limits.parse({"max_new_tokens": 8}, bound).max_new_tokens == 8
    assert Limits.parse({"max_gen_toks": 64}, bound).max_new_tokens == 32
    assert Limits.parse({"max_new_tokens": 512}, free).max_new_tokens == 512


def test_an_answer_ends_where_a_request_says() -> None:
    limits = Limits.parse({"until": ["\n\n", "Question:", ""]}, Settings())
    assert limits.cut("yes Question: no\n\nred") == "yes"
    assert limits.cut("a\nb") == "a\nb"
    assert Limits.parse({"until": "b"}, Settings()).cut("abc") == "a"
    assert Limits.parse({"until": None}, Settings()).cut("abc") == "abc"


def test_a_request_to_sample_is_noticed() -> None:
    greedy = {"temperature": 0.0, "do_sample": False, "num_beams": 1, "top_p": None}
    assert Limits.parse(greedy, Settings()).drawn == ""
    assert Limits.parse({"temperature": None, "num_beams": None}, Settings()).drawn == ""
    assert Limits.parse({"temperature": 0.2, "num_beams": 4}, Settings()).drawn == "temperature=0.2, num_beams=4"


def coloured(channel: int, name: str = "t:0") -> Question:
    image = np.full((24, 32, 3), 40, np.uint8)
    image[..., channel] = 220
    return Question(id=name, load=lambda: ([image], "what color?"))


def broken() -> Question:
    def load():
        raise ValueError("no such\nrow")

    return Question(id="t:9", load=load)


def test_a_question_that_fails_is_answered_by_nothing_and_counted() -> None:
    stream = Stream(FakeTunableModel(), Settings(pretrained="fake"))
    assert stream.answer([coloured(0), broken(), coloured(2)], 4) == ["red", "", "blue"]
    assert "2 answered, 0 tuned" in stream.account
    assert stream.account.endswith("1 failed, the first: t:9: ValueError: no such row")


def test_a_image_that_the_model_chokes_on_does_not_take_the_others_along() -> None:
    class Choking(FakeTunableModel):
        def encode(self, images, questions):
            if any(image.shape[0] > 100 for image in images):
                raise KeyError("too tall")
            return super().encode(images, questions)

    tall = Question(id="t:1", load=lambda: ([np.zeros((101, 8, 3), np.uint8)], "what color?"))
    stream = Stream(Choking(), Settings(pretrained="fake"))
    assert stream.answer([coloured(1), tall, coloured(0)], 4) == ["green", "", "red"]
    assert "too tall" in stream.account


def test_a_method_that_fails_forgets_and_the_run_goes_on() -> None:
    stream = Stream(FakeTunableModel(), Settings(pretrained="fake", method="vq-ttt"))
    working, forgot = stream.method.answer, []
    stream.method.reset = lambda: forgot.append(True)
    stream.method.answer = lambda inputs, base: 1 / 0
    assert stream.answer([coloured(0), coloured(1)], 4) == ["", ""]
    stream.method.answer = working
    assert stream.answer([coloured(0)], 4) == ["red"]
    assert forgot
    assert "1 answered" in stream.account
    assert "2 failed, the first: answering failed: ZeroDivisionError" in stream.account


def test_what_cannot_be_asked_at_all_stops_the_run() -> None:
    def load():
        raise UnsupportedError("a film")

    with pytest.raises(UnsupportedError, match="a film"):
        Stream(FakeTunableModel(), Settings(pretrained="fake")).answer([Question(id="t:0", load=load)], 4)


def test_images_are_degraded_by_task_document_and_place() -> None:
    seen = []

    class Watching(FakeTunableModel):
        def encode(self, images, questions):
            seen.extend(images)
            return super().encode(images, questions)

    settings = Settings(pretrained="fake", degradation="gaussian_noise", severity=4, seed=3)
    questions = [coloured(0, "t:0"), coloured(0, "t:1")]
    Stream(Watching(), settings).answer(questions, 4)
    Stream(Watching(), settings).answer(questions[1:], 4)  # in another batch
    assert not np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[1], seen[2])
    assert np.array_equal(seen[1], degrade(questions[1].load()[0][0], "gaussian_noise", 4, image_seed(3, "t:1:0")))


def test_only_a_method_that_goes_on_learning_needs_the_whole_stream(tmp_path) -> None:
    model = FakeTunableModel()
    assert not Stream(model, Settings(pretrained="fake")).learns
    online = Stream(model, Settings(pretrained="fake", method="vq-ttt"))
    assert online.learns
    online.method.save(tmp_path / "tuned.safetensors")
    frozen = Settings(pretrained="fake", method="vq-ttt", tuned=str(tmp_path / "tuned.safetensors"))
    assert not Stream(model, frozen).learns
