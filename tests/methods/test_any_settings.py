"""For any settings in their ranges, a method answers every sample, and after a reset it is as a new one."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.methods.test_alone import KINDS, VALUES
from tests.support.fuzzing import examples
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.methods import MethodSpec
from vqttt.methods.base import Method
from vqttt.methods.memo import Memo
from vqttt.models.fake import FakeTunableModel
from vqttt.models.tunable import TunableModel
from vqttt.types import Answer

TUNABLE = {kind: spec for kind, spec in KINDS.items() if spec.config is not None}
# A view takes the time of many settings; these few come in two batches, as the usual ones come in several.
TUNABLE[Memo] = replace(TUNABLE[Memo], config=replace(TUNABLE[Memo].config, views=3, at_once=2))


def changed(config: Any, draw: Any) -> Any:
    """A configuration with any subset of its fields drawn anew."""
    values = {}
    for field in fields(config):
        if not draw(some.booleans()):
            continue
        old = getattr(config, field.name)
        values[field.name] = changed(old, draw) if is_dataclass(old) else draw(some.sampled_from(VALUES[field.name]))
    if "lora_targets" in values:
        values["lora_targets"] = ("q", "v")  # the fake has no k
    return replace(config, **values)


def untimed(answers: list[Answer]) -> list[Answer]:
    return [replace(answer, seconds=0.0) for answer in answers]


def answered(method: Method, model: TunableModel, counts: list[int]) -> list[list[Answer]]:
    """The answers to batches of these sizes, one after the other, without their times."""
    images, found = sample_images(4), []
    for count in counts:
        answers = method.answer(*model.ask(images[:count], QUESTIONS[:count], 2))
        assert len(answers) == count
        for answer in answers:
            assert answer.answer and not answer.error
            assert np.isfinite([answer.entropy_before, answer.entropy_after, answer.confidence]).all()
            assert 0 <= answer.confidence <= 1.0001 and answer.entropy_after >= 0
        found.append(untimed(answers))
    return found


@pytest.mark.parametrize("spec", TUNABLE.values(), ids=[kind.__name__ for kind in TUNABLE])
@examples(6)
@given(draw=some.data(), counts=some.lists(some.integers(1, 4), min_size=1, max_size=3), seed=some.integers(0, 2**31))
def test_any_settings(spec: MethodSpec, draw: Any, counts: list[int], seed: int) -> None:
    spec = replace(spec, config=changed(spec.config, draw.draw))
    model = FakeTunableModel()
    before = model.fingerprint()
    method = spec.build(model, seed=seed)
    first = answered(method, model, counts)
    method.reset()
    assert answered(method, model, counts) == first
    assert answered(spec.build(model, seed=seed), model, counts) == first
    method.reset()
    assert model.fingerprint() == before
