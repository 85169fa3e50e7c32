"""What methods cost: a method that fails is measured all the same; passes and memory are counted."""

import sys

import pytest
import torch

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.methods import METHODS
from vqttt.methods.cost import counted, measure, peak_memory, reset_peak, timed
from vqttt.models.fake import FakeTunableModel
from vqttt.tuning.objectives import OBJECTIVES, Objective


def test_a_method_that_cannot_learn_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Objective(loss=lambda evidence: evidence.logits.sum((1, 2)) * float("nan"))
    monkeypatch.setitem(OBJECTIVES._entries, "broken", broken)
    spec = METHODS["vq-ttt"].changed({"objective": "broken", "gate": 0.0})
    (found,) = measure(FakeTunableModel(), {"broken": spec}, [2], repeats=1)
    assert (found.method, found.batch, found.tuned) == ("broken", 2, 1.0)


def test_looks_and_backward_passes_are_counted() -> None:
    model, backward = tiny_llava(), torch.autograd.backward
    inputs = model.batch_of(sample_images(3), QUESTIONS[:3])
    with counted(model) as passes:
        model.generate(inputs, 4)
    assert (passes.looks, passes.backward) == (3, 0), "an image for each row, whatever the length of the answers"
    assert passes.tokens == inputs.tensors["input_ids"].shape[1]
    spec = METHODS["vq-ttt-episodic"].changed({"gate": 0.0, "steps": 2})
    with counted(model) as passes:
        spec.build(model, max_new_tokens=2).ask(sample_images(3), QUESTIONS[:3])
    assert (passes.looks, passes.backward) == (9, 2)
    model.generate(inputs, 1)
    assert passes.looks == 9 and torch.autograd.backward is backward


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not report the peak")
def test_the_peak_is_what_was_in_use_since_the_last_reset() -> None:
    before = reset_peak("cpu")
    if before is None:
        pytest.skip("the peak cannot be reset here")
    assert timed(lambda: torch.ones(80 * 2**18).sum(), "cpu") > 0  # 80 MiB, freed at once
    assert 60 < (peak_memory("cpu") or 0) - before < 300
    again = reset_peak("cpu")
    assert again is not None and (peak_memory("cpu") or 0) - again < 20
