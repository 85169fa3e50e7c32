"""For any settings in their ranges, a method answers every sample, and after a reset it is as a new one."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from tests.methods.test_alone import KINDS, VALUES
from tests.support.fuzzing import examples
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.methods import MethodSpec
from vqttt.methods.memo import Memo
from vqttt.models.fake import FakeTunableModel
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


@some.composite
def specs(draw: Any) -> MethodSpec:
    kind = draw(some.sampled_from(list(TUNABLE)))
    return replace(TUNABLE[kind], config=changed(TUNABLE[kind].config, draw))


def untimed(answers: list[Answer]) -> list[Answer]:
    return [replace(answer, seconds=0.0) for answer in answers]


@examples(60)
@given(spec=specs(), counts=some.lists(some.integers(1, 4), min_size=1, max_size=3), seed=some.integers(0, 2**31))
def test_any_settings(spec: MethodSpec, counts: list[int], seed: int) -> None:
    model = FakeTunableModel()
    before = model.fingerprint()
    method, images = spec.build(model, seed=seed), sample_images(4)
    runs = []
    for fresh in (method, spec.build(model, seed=seed)):
        fresh.reset()
        answers = [fresh.answer(*model.ask(images[:count], QUESTIONS[:count], 2)) for count in counts]
        for count, of_batch in zip(counts, answers, strict=True):
            assert len(of_batch) == count
            for answer in of_batch:
                assert answer.answer and not answer.error
                assert np.isfinite([answer.entropy_before, answer.entropy_after, answer.confidence]).all()
                assert 0 <= answer.confidence <= 1.0001 and answer.entropy_after >= 0
        runs.append([untimed(of_batch) for of_batch in answers])
        method.reset()
        runs.append([untimed(method.answer(*model.ask(images[:c], QUESTIONS[:c], 2))) for c in counts])
        method.reset()
    assert runs[0] == runs[1] == runs[2] == runs[3]
    assert model.fingerprint() == before
