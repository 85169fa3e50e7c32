"""A batch that is undone leaves no trace: the stream goes on as if it had never come."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.methods import METHODS, Method
from vqttt.methods.attempts import Attempt, Outcome, surest
from vqttt.models.base import Inputs
from vqttt.models.tunable import LogitGeneration, TunableModel
from vqttt.types import Answer

LEARNING = [name for name, spec in METHODS.items() if spec.learns]
EAGER = {"gate": 0.0, "guard": False, "objective": "information-maximisation", "margin": 2.0}
"""Settings that let every sample through, and use the history."""


def built(name: str, model: TunableModel) -> Method:
    spec = METHODS[name]
    own = {key: value for key, value in EAGER.items() if hasattr(spec.config, key)}
    if spec.settings().get("clean_features") is not None and "feature" in spec.settings()["objective"]:
        del own["objective"]
    return spec.changed(own).build(model, max_new_tokens=2)


@cache
def batch(model: TunableModel, number: int) -> tuple[Inputs, LogitGeneration]:
    images = sample_images(12)[4 * number : 4 * number + 4]
    inputs, base = model.ask(images, QUESTIONS, 2)
    return replace(inputs, groups=("color", "presence", "counting", "color")), base


@contextmanager
def not_finite_from(model: Any, first: int) -> Iterator[list[int]]:
    """Within the block, the logits are NaN from forward pass number `first` on; yields the numbers of the passes."""
    passes: list[int] = []

    def spoil(module: Any, given: Any, output: Any) -> Any:
        passes.append(len(passes))
        return output * float("nan") if passes[-1] >= first else output

    handle = model.network.get_output_embeddings().register_forward_hook(spoil)
    try:
        yield passes
    finally:
        handle.remove()


def everything(method: Any) -> Any:
    """All that can differ between two streams: the snapshot, and what a method may have forgotten to put there."""
    found = {key: value for key, value in vars(method).items() if key not in ("model", "config", "objective_curve")}
    return flat([method.snapshot(), method.learned(), *found.values()])


def flat(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return [value.detach().clone()]
    if isinstance(value, dict):
        return [key for key in value if isinstance(key, str)] + flat(list(value.values()))
    if isinstance(value, list | tuple) or type(value).__name__ == "deque":
        return [leaf for item in value for leaf in flat(item)]
    if isinstance(value, torch.optim.Optimizer):
        return flat(value.state_dict())
    if type(value).__name__ in ("Tuner", "Predictor", "TunerState", "Adapters", "Blurs"):
        return flat([item for key, item in vars(value).items() if key not in ("model", "config")])
    return [value] if isinstance(value, int | float | str | bool) or value is None else []


def equal(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        for one, other in zip(a, b, strict=True)
    )


def timeless(answers: list[Answer]) -> list[Answer]:
    return [replace(answer, seconds=0.0) for answer in answers]


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("name", LEARNING)
def test_what_is_not_finite_leaves_no_trace(name: str, first: int, one_thread: None) -> None:
    model = tiny_llava()
    spared, met = built(name, model), built(name, model)
    for method in (spared, met):
        method.answer(*batch(model, 0))
    before = everything(met)
    assert equal(before, everything(spared)), "the comparison itself must be exact"
    inputs, base = batch(model, 1)
    with not_finite_from(model, first) as passes:
        answers = met.answer(inputs, base)
    if len(passes) <= first:
        pytest.skip("the method needs no more passes")
    if not all(answer.rolled_back for answer in answers):
        assert name == "vq-select", "only one of its attempts can fail alone"
        return
    assert [answer.answer for answer in answers] == base.texts
    assert equal(everything(met), before)
    assert timeless(met.answer(*batch(model, 2))) == timeless(spared.answer(*batch(model, 2)))
    assert equal(everything(met), everything(spared))


@pytest.mark.parametrize("name", LEARNING)
def test_a_batch_that_fails_leaves_no_trace(name: str) -> None:
    model = tiny_llava()
    method = built(name, model)
    method.answer(*batch(model, 0))
    before = everything(method)
    inputs, base = batch(model, 1)
    passes: list[int] = []

    def fail(module: Any, given: Any, output: Any) -> None:
        passes.append(0)
        if len(passes) > 1:
            raise RuntimeError("out of memory")

    handle = model.network.get_output_embeddings().register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        method.answer(inputs, base)
    handle.remove()
    assert equal(everything(method), before)


@pytest.mark.parametrize("name", ["tent", "sar"])
def test_a_gradient_that_is_not_finite_is_undone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llava()
    method: Any = built(name, model)
    method.answer(*batch(model, 0))
    before = everything(method)
    real = method.optimiser.step

    def step() -> None:
        for tensor in method.adapters.parameters:
            tensor.grad.fill_(float("inf"))
        real()

    monkeypatch.setattr(method.optimiser, "step", step)
    assert all(answer.rolled_back for answer in method.answer(*batch(model, 1)))
    assert equal(everything(method), before)


def test_the_history_never_takes_what_is_not_finite() -> None:
    """An objective that ignores the logits stays finite where these are not."""
    model = tiny_llava()
    method: Any = METHODS["vq-ttt"].changed({"objective": "naturalness", "gate": 0.0}).build(model, max_new_tokens=2)
    inputs, base = batch(model, 0)
    with not_finite_from(model, 0):
        method.tuner.step(inputs, base)
    assert all(torch.isfinite(of_group).all() for of_group in method.tuner.history.values())


def test_an_attempt_that_is_not_finite_is_never_the_surest() -> None:
    attempts = [
        Attempt(how=["x"], inputs=None, outcome=Outcome(texts=["a"], confidences=[0.5], entropies=[entropy]))
        for entropy in (float("nan"), 0.7, float("nan"))
    ]
    assert surest(attempts) == [1]


def test_the_curve_is_of_this_batch() -> None:
    model = tiny_llava()
    for name in ("vq-ttt", "vq-ttt-episodic"):
        method = METHODS[name].changed({"gate": 3.0}).build(model, max_new_tokens=2)
        inputs, base = batch(model, 0)
        method.answer(inputs, base)
        assert method.objective_curve, "a random model is uncertain"
        method.gate = 1e9
        method.answer(inputs, base)
        assert method.objective_curve == []
