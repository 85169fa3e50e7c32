"""Checkpoints of types without a file of their own: loaded, verified once, and refused with the reason."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.command import vqttt
from tests.support.small_families import small
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.errors import InputError, ModelError
from vqttt.models import load_model
from vqttt.models.discovered import verdict, verify
from vqttt.models.discovered.answering import AnsweringModel
from vqttt.models.discovered.family import Discovered
from vqttt.models.loading import LoadOptions
from vqttt.models.tunable import tunable


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where verdicts are kept: nothing is left of what other tests found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vqttt" / "models"


QUICK = "fuyu"
"""A type that is examined in less time than others: for what does not depend on what is found."""


def saved(name: str, folder: Path) -> Path:
    model = small(name)
    model.network.save_pretrained(folder)
    model.processor.save_pretrained(folder)
    return folder


def test_a_verdict_is_found_once_and_remembered(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved("kimi_k25", tmp_path / "model")
    first = load_model(str(folder))
    assert isinstance(first, Discovered)
    (file,) = cache.iterdir()
    kept = json.loads(file.read_text())
    assert [check["failed"] for check in kept["checks"]] == [""] * len(verify.CHECKS)
    monkeypatch.setattr(verdict, "verified", lambda *_: pytest.fail("verified again"))
    monkeypatch.setattr("vqttt.models.discovered.family.find_ways", lambda *_: pytest.fail("tried again"))
    again = load_model(str(folder))
    images = sample_images(2)
    assert isinstance(again, Discovered)
    inputs = first.encode(images, QUESTIONS[:2])
    assert torch.equal(again.answer_logits(again.encode(images, QUESTIONS[:2])), first.answer_logits(inputs))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkpoint, and the name of the file that has its verdict."""
    root = tmp_path_factory.mktemp("judged")
    folder = saved(QUICK, root / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root))
        load_model(str(folder))
    (file,) = (root / "vqttt" / "models").iterdir()
    return folder, file.name


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ways": {}, "checks": []}', '{"ways": {"chats": 1}}'])
def test_a_damaged_verdict_is_found_again(judged: tuple[Path, str], cache: Path, content: str) -> None:
    folder, name = judged
    cache.mkdir(parents=True)
    (cache / name).write_text(content)
    assert isinstance(load_model(str(folder)), Discovered)
    (file,) = cache.iterdir()
    assert file.name == name and json.loads(file.read_text())["checks"]


def test_no_place_for_verdicts_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    assert isinstance(load_model(str(saved(QUICK, tmp_path / "model"))), Discovered)


def test_a_model_that_answers_but_cannot_be_tuned(tmp_path: Path) -> None:
    """Its image becomes discrete tokens, through which no gradient passes."""
    model = load_model(str(saved("chameleon", tmp_path / "model")))
    assert isinstance(model, AnsweringModel)
    plain = small("chameleon")
    images = sample_images(2)
    ours = model.answer(images, QUESTIONS[:2], 3)
    assert ours.texts == plain.answer(images, QUESTIONS[:2], 3).texts
    with pytest.raises(InputError, match="no gradient reaches the pixels"):
        tunable(model, "`vqttt analyse`")


def test_what_the_machine_lacks_is_not_remembered(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(QUICK, tmp_path / "model")
    with monkeypatch.context() as patch:
        patch.setattr(verify, "_check_batches", lambda *_: torch.empty(1 << 60))
        checks = [(n, name, verify._check_batches if name == "batches" else c) for n, name, c in verify.CHECKS]
        patch.setattr(verify, "CHECKS", tuple(checks))
        with pytest.raises(ModelError, match="cannot be used: batches: RuntimeError"):
            load_model(str(folder))
    assert not cache.exists() or not list(cache.iterdir())
    assert isinstance(load_model(str(folder)), Discovered)


def test_code_of_a_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers would ask on the terminal, and run it if the answer is yes."""
    folder = saved("kimi_k25", tmp_path / "model")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    for name in ("processor_config.json", "config.json"):
        file = folder / name
        kept = json.loads(file.read_text())
        kept["auto_map"] = {"AutoProcessor": "evil.Evil", "AutoModelForImageTextToText": "evil.Evil"}
        file.write_text(json.dumps(kept | ({"processor_class": "Evil"} if name.startswith("proc") else {})))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with contextlib.suppress(ModelError):
        load_model(str(folder))
    assert not (tmp_path / "ran").exists()


def test_a_model_that_does_not_answer_as_it_should_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def padding_matters(*_: Any) -> str:
        raise verify.CheckError("padding has an effect")

    checks = [(needed, name, padding_matters if name == "batches" else check) for needed, name, check in verify.CHECKS]
    monkeypatch.setattr(verify, "CHECKS", tuple(checks))
    folder = saved(QUICK, tmp_path / "model")
    for _ in range(2):  # found, and remembered
        with pytest.raises(ModelError, match=r"cannot be used: batches: padding has an effect$"):
            load_model(str(folder))
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize(("model_type", "reason"), [("pi0", "robot"), ("evolla", "proteins"), ("udop", "words")])
def test_types_that_answer_no_question_say_why(tmp_path: Path, model_type: str, reason: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(ModelError, match=f"cannot be used: .*{reason}"):
        load_model(str(tmp_path))


def test_pixtral_in_llava_keeps_the_sizes_of_images(tmp_path: Path) -> None:
    """LLaVA's own file expects images of one size, so this one is discovered."""
    model = load_model(str(saved("llava/pixtral", tmp_path / "model")))
    assert isinstance(model, Discovered)
    wide, square = sample_images(2)
    mask = model.pixels(model.encode([wide[:32].copy(), square], QUESTIONS[:2])).mask
    assert mask is not None and not mask[0].all() and mask[1].all()


def test_too_many_images_for_one_batch_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small("kimi_k25")
    monkeypatch.setattr(model, "context", 0)  # its own is too short for so many
    images = sample_images(1, 32) * 256
    inputs = model.encode([images], QUESTIONS[:1])
    with pytest.raises(InputError, match="at most 255 images"):
        model.pixels(inputs)


def test_check_shows_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved("minicpmv4_6", tmp_path / "model")
    assert vqttt(monkeypatch, "models", "check", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["pixels", "pixel_values:", "patches", "side", "by", "side", "of", "4", "pixels"]
    assert sum(" holds: " in line for line in lines) == len(verify.CHECKS)
    assert lines[-1] == "It answers and can be tuned."


def test_check_says_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved("chameleon", tmp_path / "model")
    assert vqttt(monkeypatch, "models", "check", folder) == 0
    shown = capsys.readouterr().out
    assert "for tuning   FAILED: no gradient reaches the pixels" in shown
    assert shown.splitlines()[-1].startswith("It answers, but cannot be tuned: no gradient")
    shutil.rmtree(folder)
    assert vqttt(monkeypatch, "models", "check", folder) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_thinking_needs_a_switch(tmp_path: Path) -> None:
    folder = saved("kimi_k25", tmp_path / "model")
    with pytest.raises(InputError, match="no switch for thinking"):
        load_model(str(folder), LoadOptions(thinking=True))


@pytest.mark.parametrize("name", ["gemma4", "granite_docling", "deepseek_ocr2"])
def test_images_are_told_from_padding_in_batches_of_any_kind(name: str) -> None:
    """As many images as samples, samples without images, and images that are not cut into tiles."""
    model = small(name)
    first, second, third = sample_images(3)
    small_one = first[:24, :24].copy()
    batches: list[list[list[Any]]] = [[[first, second[:40]], []], [[], [first, second[:40]], [third]], [[small_one]]]
    for images in batches:
        inputs = model.encode(images, QUESTIONS[: len(images)])
        assert set(model.pixels(inputs).owner.tolist()) >= {n for n, own in enumerate(images) if own}
        logits = model.answer_logits(inputs)
        again = model.with_pixels(inputs, model.pixels(inputs).pixels)
        assert torch.equal(model.answer_logits(again), logits)
        for rows in ([0], [len(images) - 1, 0]):
            selected = model.answer_logits(model.select(inputs, rows))
            torch.testing.assert_close(selected, logits[rows], atol=1e-4, rtol=0)
