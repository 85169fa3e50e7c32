"""Models answer as plain transformers does, bit for bit, and broken checkpoints are refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from training.blueprint import save
from vqttt.errors import ModelError, UnknownNameError
from vqttt.models import EMBEDDED, load_model
from vqttt.models.fake import FakeTunableModel
from vqttt.models.llava import Llava
from vqttt.models.tunable import TunableModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = tiny_llava()
    path = tmp_path_factory.mktemp("model") / "tiny"
    save(tiny.network, tiny.processor, path)
    return path


def plain_inputs(processor, images, questions):
    chats = [[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": q}]}] for q in questions]
    prompts = [processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
    return processor(images=images, text=prompts, return_tensors="pt", padding=True)


@pytest.mark.parametrize("which", ["tiny", "embedded"])
def test_equals_plain_transformers(which: str, folder: Path) -> None:
    source = folder if which == "tiny" else EMBEDDED
    model = load_model(str(source))
    assert isinstance(model, Llava)
    processor = AutoProcessor.from_pretrained(source)
    plain = AutoModelForImageTextToText.from_pretrained(source).eval()
    images = sample_images(4, side=224)
    theirs = plain_inputs(processor, images, QUESTIONS)
    ours = model.encode(images, QUESTIONS)
    assert all(torch.equal(ours.tensors[key], theirs[key]) for key in theirs)
    with torch.no_grad():
        # One position, as in ours, because products of other shapes round differently on some processors.
        logits = plain(**theirs, use_cache=False, logits_to_keep=1).logits
        assert torch.equal(model.answer_logits(ours), logits)
        tokens = plain.generate(**theirs, max_new_tokens=6)[:, theirs["input_ids"].shape[1] :]
    texts = [text.strip() for text in processor.batch_decode(tokens, skip_special_tokens=True)]
    assert model.generate(ours, 6).texts == texts


@pytest.mark.parametrize("model", [FakeTunableModel(), tiny_llava()], ids=lambda model: model.name)
class TestTunableModel:
    def test_pixels_round_trip(self, model: TunableModel) -> None:
        inputs = model.encode(sample_images(3), QUESTIONS[:3])
        pixels, owner, mask = model.pixels(inputs)
        assert pixels.shape[:2] == (3, 3)
        assert owner.tolist() == [0, 1, 2]
        assert mask is None or mask.shape == (3, 1, *pixels.shape[2:])
        again = model.with_pixels(inputs, pixels)
        assert torch.equal(model.answer_logits(again), model.answer_logits(inputs))

    def test_gradients_reach_the_pixels_and_nothing_else(self, model: TunableModel) -> None:
        inputs = model.encode(sample_images(2), QUESTIONS[:2])
        pixels = model.pixels(inputs).pixels.clone().requires_grad_()
        model.answer_logits(model.with_pixels(inputs, pixels)).logsumexp(-1).sum().backward()
        assert pixels.grad is not None
        assert pixels.grad.abs().sum() > 0
        assert all(parameter.grad is None for parameter in model.network.parameters())

    def test_selecting_samples_selects_answers(self, model: TunableModel) -> None:
        inputs = model.encode(sample_images(4), QUESTIONS)
        some = model.select(inputs, [2, 0])
        assert some.count == 2
        torch.testing.assert_close(model.answer_logits(some), model.answer_logits(inputs)[[2, 0]], atol=1e-5, rtol=0)

    def test_teacher_forcing_agrees_with_generation(self, model: TunableModel) -> None:
        inputs = model.encode(sample_images(4), QUESTIONS)
        generation = model.generate(inputs, 3)
        forced = model.answer_logits(inputs, generation.tokens)
        assert forced.shape == generation.logits.shape
        counted = generation.mask
        torch.testing.assert_close(forced[counted], generation.logits[counted], atol=1e-4, rtol=0)

    def test_images_come_back(self, model: TunableModel) -> None:
        image = np.full((32, 32, 3), (200, 100, 50), np.uint8)
        inputs = model.encode([image], QUESTIONS[:1])
        shown = model.to_image(model.pixels(inputs).pixels[0])
        assert shown.dtype == np.uint8
        assert np.abs(shown.astype(int) - (200, 100, 50)).max() <= 1
        assert np.array_equal(model.to_image(model.to_pixels(shown)), shown)

    def test_a_tiny_image_keeps_its_colour(self, model: TunableModel) -> None:
        image = np.full((1, 1, 3), (250, 0, 10), np.uint8)
        shown = model.to_image(model.pixels(model.encode([image], QUESTIONS[:1])).pixels[0])
        assert np.abs(shown.astype(int) - (250, 0, 10)).max() <= 1

    def test_blocks_and_targets(self, model: TunableModel) -> None:
        assert len(model.vision_blocks) == 3
        for block in model.vision_blocks:
            assert {"q", "v"} <= set(model.lora_targets(block))


def test_folders_that_are_not_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a model: the folder is empty"):
        load_model(str(tmp_path))
    (tmp_path / "notes.txt").write_text("a model")
    with pytest.raises(ModelError, match=r"is not a model: the folder has no config\.json"):
        load_model(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="'bert' model, which takes no images; supported families: llava"):
        load_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot load"):
        load_model(str(tmp_path))
    with pytest.raises(UnknownNameError, match="did you mean embedded"):
        load_model("embeded")


def test_broken_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(folder, cut)
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"bytes where its header says .*; download it again"):
        load_model(str(cut))
    kept = load_file(folder / "model.safetensors")
    kept.pop(sorted(kept)[0])
    save_file(kept, weights, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks weights"):
        load_model(str(cut))


def test_the_fake_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    FakeTunableModel()
    assert torch.equal(torch.get_rng_state(), before)


def test_embedded_files_are_small_and_safe() -> None:
    files = list(EMBEDDED.iterdir())
    weights = [file for file in files if file.suffix == ".safetensors"]
    assert weights
    assert all(file.stat().st_size <= 12 * 2**20 for file in weights)
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".pkl", ".py"}]
