"""What methods cost: the measurement starts when a method no longer explores, and starts in any case."""

import pytest

from vqttt.methods import METHODS
from vqttt.methods.cost import measure
from vqttt.models.fake import FakeTunableModel
from vqttt.tuning.objectives import OBJECTIVES, Objective


def test_a_method_that_cannot_learn_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Objective(loss=lambda evidence: evidence.logits.sum((1, 2)) * float("nan"))
    monkeypatch.setitem(OBJECTIVES._entries, "broken", broken)
    spec = METHODS["vq-select"].changed({"objective": "broken", "gate": 0.0})
    (found,) = measure(FakeTunableModel(), {"broken": spec}, [2], repeats=1)
    assert (found.method, found.batch, found.tuned) == ("broken", 2, 1.0)
