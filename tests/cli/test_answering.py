"""`vqttt answer` and `analyse` where the model has no answer, and what they say of the model and of the tuning."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.cli.test_cli import vqttt
from vqttt.cli.questions import _what_happened
from vqttt.images.files import save_image
from vqttt.models import MODELS
from vqttt.models.fake import FakeTunableModel
from vqttt.types import Answer

ERRORS = [
    ValueError("too many tokens"), RuntimeError("CUDA out of memory\nTried to allocate"), IndexError("index 7"),
    KeyError("pixel_values"), TypeError("NoneType"), AssertionError(), StopIteration(), AttributeError("patch_size"),
    MemoryError(),
]  # fmt: skip


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    save_image(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8), path)
    return path


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeTunableModel], None]:
    return lambda model: monkeypatch.setitem(MODELS._entries, "fake", lambda: model)


class Failing(FakeTunableModel):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def encode(self, *arguments: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["none", "vq-ttt"])
def test_whatever_a_network_raises_is_one_line(
    error: Exception,
    method: str,
    image: Path,
    use: Callable[[FakeTunableModel], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(Failing(error))
    asked = ("answer", image, "what color?", "--model", "fake", "--method", method)
    assert vqttt(monkeypatch, *asked) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1
    assert printed.err.startswith(f"vqttt: the model cannot answer this: {type(error).__name__}")
    assert vqttt(monkeypatch, *asked, "--json") == 1
    printed = capsys.readouterr()
    found = json.loads(printed.out, parse_constant=pytest.fail)
    assert found["error"].startswith("the model cannot answer this") and found["confidence"] is None
    assert len(printed.err.splitlines()) == 1


def test_numbers_that_are_not_finite_are_no_answer(
    image: Path,
    use: Callable[[FakeTunableModel], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = FakeTunableModel()
    with torch.no_grad():
        model.network.head.weight.fill_(float("nan"))
    use(model)
    for method in ("none", "vq-select", "tent"):
        assert vqttt(monkeypatch, "answer", image, "what?", "--model", "fake", "--method", method, "--json") == 1
        printed = capsys.readouterr()
        assert json.loads(printed.out, parse_constant=pytest.fail)["error"]
        assert len(printed.err.splitlines()) == 1 and printed.err.startswith("vqttt: ")


def test_an_analysis_that_fails_is_one_line(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise TypeError("no patch size")

    monkeypatch.setattr("vqttt.interpret.compare", fail)
    assert vqttt(monkeypatch, "analyse", image, "what?", "--json") == 1
    assert capsys.readouterr().err.endswith("vqttt: the model cannot answer this: TypeError: no patch size\n")


def test_a_model_says_once_what_it_is_limited_to(
    image: Path,
    use: Callable[[FakeTunableModel], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = FakeTunableModel()
    asked = ("answer", image, "what color?", "--model", "fake")
    use(model)
    assert vqttt(monkeypatch, *asked) == 0
    assert "fake:" not in capsys.readouterr().err
    model.scope = "knows colours only"
    assert vqttt(monkeypatch, *asked, "--json") == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == ["fake: knows colours only"]
    assert json.loads(printed.out)["answer"]


@pytest.mark.parametrize(
    ("steps", "rolled_back", "frozen", "said"),
    [
        (3, True, False, "new answer discarded, untuned answer kept"),
        (0, True, True, "the saved tuning's answer was less certain, untuned answer kept"),
        (0, True, False, "the method's answer was less certain, untuned answer kept"),
        (0, False, True, "same answer as untuned"),
    ],
)
def test_what_happened_in_words(steps: int, rolled_back: bool, frozen: bool, said: str) -> None:
    result = Answer(
        answer="red", base_answer="red", confidence=0.9, base_confidence=0.8, entropy_before=0.5, entropy_after=0.4,
        steps=steps, rolled_back=rolled_back, seconds=0.1,
    )  # fmt: skip
    assert _what_happened(result, frozen=frozen) == said
