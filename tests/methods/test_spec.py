"""Methods by name: settings of one's own, old names, and what a model must offer."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.errors import InputError, UnknownNameError
from vqttt.methods import METHODS, VQTTT, Method, MethodSpec, NoTuning, Saved, find_method
from vqttt.methods.attempts import Attempt, Outcome
from vqttt.methods.stream import StreamMethod
from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.models.tunable import TunableModel, tunable


def test_the_published_recipe_and_ours_are_called_what_they_are() -> None:
    recipe = METHODS["vq-ttt"].settings()
    assert (recipe["adapters"]["kernel"], recipe["adapters"]["lora_blocks"]) == ("blurs", 2)
    assert (recipe["objective"], recipe["steps"]) == ("information-maximisation", 1)
    assert METHODS["vq-select"].settings()["tries"] == 2 and METHODS["vq-select"].needs is Model


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("vq-ttt-static", "vq-ttt"),
        ("vq-ttt-bank", "vq-select"),
        ("vq-select-restore", "vq-select"),
        ("vq-select-features", "vq-ttt-features"),
        ("vq-ttt-vote", "tta"),
    ],
)
def test_an_old_name_says_the_new_one(old: str, new: str) -> None:
    with pytest.raises(InputError, match=f"the method '{old}' is now called '{new}'"):
        METHODS[old]
    assert new in METHODS and old not in METHODS


def test_settings_of_ones_own() -> None:
    own = {
        "mine": {"base": "vq-ttt", "steps": 3, "lora_rate": 1, "adapters": {"lora_rank": 8, "lora_targets": ["q"]}},
        "vq-select": {"tries": 3},
    }
    config = find_method("mine", own).config
    assert (config.steps, config.lora_rate, config.adapters.lora_rank) == (3, 1.0, 8)
    assert config.adapters.lora_targets == ("q",) and config.kernel_rate == 0.15
    assert find_method("vq-select", own).config.tries == 3
    assert find_method("none", own) == METHODS["none"]
    assert find_method("mine", {"mine": {"base": "tta", "gate": 1}}).config.gate == 1.0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"base": "vq-tt"}, "did you mean vq-ttt"),
        ({"base": 3}, "base is the name of a method, not 3"),
        ({"base": "none", "steps": 1}, "none has no setting 'steps'; it has none"),
        ({"base": "vq-ttt", "restore": True}, "vq-ttt has no setting 'restore'; it has"),
        ({"base": "vq-ttt-episodic", "window": 3}, "vq-ttt-episodic has no setting 'window'"),
        ({"base": "vq-ttt", "steps": -1}, "steps must be a finite number and not negative: -1"),
        ({"base": "vq-ttt", "steps": 1.5}, "steps must be a whole number, not 1.5"),
        ({"base": "vq-ttt", "steps": True}, "steps must be a whole number, not True"),
        ({"base": "vq-ttt", "guard": 1}, "guard must be true or false, not 1"),
        ({"base": "vq-ttt", "objective": "entropi"}, "did you mean entropy"),
        ({"base": "vq-ttt", "adapters": 3}, "adapters is a table of settings, not 3"),
        ({"base": "vq-ttt", "adapters": {"rank": 3}}, "adapters has no setting 'rank'; it has kernel"),
        ({"base": "vq-ttt", "adapters": {"lora_targets": "q"}}, "lora_targets must be a list of text, not 'q'"),
        ({"base": "vq-ttt", "adapters": {"kernel": "round"}}, "unknown kernel 'round'"),
        ({"base": "vq-select", "tries": 0}, "tries is from 1 to the number of corrections, 11, not 0"),
        ({"base": "vq-select", "corrections": ["smooth", "smoth"]}, "did you mean smooth"),
        ({"base": "vq-select", "corrections": ["smooth", "smooth"]}, "corrections names 'smooth' twice"),
        ({"base": "vq-select", "corrections": ["smooth", "matched"]}, "and 'matched' needs to know the degradation"),
        ({"base": "vq-ttt", "lora_rate": float("nan")}, "lora_rate must be a finite number, not nan"),
        ({"base": "vq-ttt", "guard_ratio": 0}, "guard_ratio must be above 0: 0"),
        ({"base": "sar", "momentum": 1}, "momentum must be at least 0 and below 1: 1"),
        ({"base": "memo", "views": 0}, "views must be at least 1 and finite: 0"),
        ({"base": "vq-ttt", "objective": "entropy(certain=1)"}, "the objective entropy has no parameter 'certain'"),
        ({"base": "vq-ttt", "window": 0}, "window must be at least 1: 0"),
        ({"base": "vq-ttt", "adapters": {"lora_rank": -1}}, "lora_rank must not be negative: -1"),
        ({"base": "tta", "gate": "low"}, "gate must be a number, not 'low'"),
        ({"base": "vq-ttt", "tuned": 5}, "tuned must be text, not 5"),
        ({"base": "vq-ttt-episodic", "tuned": "x"}, "the method vq-ttt-episodic learns nothing that could be saved"),
    ],
)
def test_what_cannot_be_set_says_why(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        find_method("mine", {"mine": settings})


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean vq-select"):
        find_method("vq-selekt")


def test_a_saved_method_learns_nothing(tmp_path: Path) -> None:
    model, file = tiny_llava(), tmp_path / "tuned.safetensors"
    inputs, base = model.ask(sample_images(4), QUESTIONS, 4)
    tuned = find_method("mine", {"mine": {"base": "vq-ttt", "gate": 0.0}}).build(model, max_new_tokens=4)
    assert isinstance(tuned, StreamMethod)
    tuned.answer(inputs, base)
    tuned.save(file)
    spec = find_method("mine", {"mine": {"base": "vq-ttt", "gate": 0.0, "tuned": str(file)}})
    assert not spec.learns and len(spec.settings()["tuned"]) == 64
    saved = spec.build(model, max_new_tokens=4)
    assert isinstance(saved, Saved) and saved.gate == 0.0
    assert MethodSpec(VQTTT).saved(file).settings() == {"tuned": spec.settings()["tuned"]}
    first, second = ([answer.answer for answer in saved.answer(inputs, base)] for _ in range(2))
    assert first == second
    with pytest.raises(InputError, match=r"was tuned by vq-ttt, not by vq-select; choose that method"):
        METHODS["vq-select"].saved(file).build(model)
    with pytest.raises(InputError, match=r"was tuned with other settings of vq-ttt: gate is 0\.0, not 0\.02$"):
        METHODS["vq-ttt"].saved(file).build(model)
    with pytest.raises(InputError, match=r"there is no file .*nothing; `vqttt tune` writes one"):
        METHODS["vq-ttt"].saved(tmp_path / "nothing")
    planned = METHODS["vq-ttt"].changed({"tuned": str(tmp_path / "nothing")})
    with pytest.raises(InputError, match="there is no file"):
        planned.settings()
    (tmp_path / "text").write_text("no adapters")
    with pytest.raises(InputError, match="cannot read adapters"):
        METHODS["vq-ttt"].saved(tmp_path / "text").build(model)


@pytest.mark.parametrize("name", list(METHODS))
def test_a_method_says_what_it_needs_of_a_model(name: str) -> None:
    spec, plain = METHODS[name], FakeModel()
    if spec.needs is TunableModel:
        with pytest.raises(InputError, match="needs access to the model's internals, which fake-plain does not give"):
            spec.build(plain)
    else:
        assert issubclass(spec.needs, Model)
        (answer,) = spec.build(plain).ask(sample_images(1), ["what color?"])
        assert answer.answer == answer.base_answer


def test_both_fakes_name_the_strongest_colour() -> None:
    images = [image.copy() for image in sample_images(3)]
    for n, image in enumerate(images):
        image[:] = 20
        image[..., n] = 220
    questions = ["what color?"] * 3
    for model in (FakeModel(), FakeTunableModel()):
        found = model.answer(images, questions, 4)
        assert found.texts == ["red", "green", "blue"]
        assert all(0 < value <= 1 for value in found.confidences)
        assert all(value >= 0 for value in found.entropies)
        assert all(len(tokens) == 1 and tokens[0] <= 0 for tokens in found.token_logprobs)
    assert FakeModel().answer([[]], ["what color?"], 4).texts == ["no"]
    assert isinstance(NoTuning(FakeModel()).model, Model)
    with pytest.raises(InputError, match="an analysis needs access to the model's internals"):
        tunable(FakeModel(), "an analysis")


@pytest.mark.parametrize("name", ["tent", "sar"])
def test_a_network_without_norms_is_left_alone(name: str) -> None:
    model = FakeTunableModel()
    inputs, base = model.ask(sample_images(4), QUESTIONS, 4)
    answers = METHODS[name].build(model).answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts


class Brighter(Method):
    """Asks again about brighter images, and keeps the surer answer: all that it needs is `Model`."""

    needs = Model
    guard_ratio = 1.0

    def attempts(self, inputs: Inputs, base: Generation, *, learn: bool = True) -> list[Attempt]:
        images = [np.minimum(image.astype(int) * 2, 255).astype(np.uint8) for image in inputs.images]
        outcome = Outcome.of(self.model.answer(images, inputs.questions, self.max_new_tokens))
        return [Attempt(how=["brighter"] * inputs.count, outcome=outcome, inputs=None)]


def test_a_method_of_forward_passes_runs_on_a_model_that_gives_no_access() -> None:
    images = sample_images(4)
    for model in (FakeModel(), FakeTunableModel(), tiny_llava()):
        inputs, base = model.ask(images, QUESTIONS, 4)
        chosen = model.select(inputs, [2, 0])
        assert chosen.questions == (QUESTIONS[2], QUESTIONS[0]) and chosen.images[1] is images[0]
        answers = MethodSpec(Brighter).build(model, max_new_tokens=4).answer(inputs, base)
        assert all(answer.entropy_after <= answer.entropy_before for answer in answers)
        assert any(answer.entropy_after < answer.entropy_before for answer in answers)


def test_a_class_without_settings_has_its_own() -> None:
    spec = METHODS._take(type("Mine", (VQTTT,), {})) if METHODS._take else None
    assert spec is not None and spec.settings() == METHODS["vq-ttt"].settings()
