"""Corrections, the predictor that chooses among them, and saving what it has learned."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.errors import InputError
from vqttt.methods import METHODS, MethodSpec, Vote, VoteConfig, VQSelect, VQSelectConfig
from vqttt.methods.attempts import Outcome
from vqttt.models.fake import FakeTunableModel
from vqttt.tuning.adapters import AdapterConfig
from vqttt.tuning.corrections import CORRECTIONS, correct, median, names
from vqttt.tuning.predictor import Predictor
from vqttt.tuning.search import Search
from vqttt.tuning.spectrum import DESCRIPTORS, describe
from vqttt.tuning.tuner import Tuner

SEARCH = VQSelectConfig(steps=0, gate=0.0, guard=False, adapters=AdapterConfig(kernel="none", lora_rank=0))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", names())
def test_corrections_keep_shape_and_images_apart(name: str) -> None:
    pixels = noise(3, 3, 40, 56)
    out = CORRECTIONS[name](pixels)
    assert out.shape == pixels.shape
    assert torch.isfinite(out).all()
    assert torch.isfinite(CORRECTIONS[name](torch.zeros(1, 3, 32, 32))).all()
    torch.testing.assert_close(CORRECTIONS[name](pixels[1:2]), out[1:2], atol=1e-5, rtol=0)
    assert (name == "identity") == torch.equal(out, pixels)


def test_each_image_goes_through_the_correction_chosen_for_it() -> None:
    pixels = noise(3, 3, 32, 32)
    out = correct(pixels, torch.tensor([0, 1, 0]))
    assert torch.equal(out[::2], pixels[::2])
    torch.testing.assert_close(out[1:2], CORRECTIONS[names()[1]](pixels[1:2]))


def test_corrections_serve_their_purpose() -> None:
    clean = torch.zeros(1, 3, 64, 64)
    clean[:, :, 16:48, 16:48] = 1.0
    noisy = clean + 0.3 * noise(1, 3, 64, 64)
    specked = clean.clone()
    specked[:, :, ::9, ::9] = 2.0
    hazy = 0.2 * clean + 0.8

    def error(pixels: torch.Tensor) -> float:
        return (pixels - clean).square().mean().item()

    assert error(CORRECTIONS["cored-strong"](noisy)) < 0.6 * error(noisy)
    assert error(CORRECTIONS["median"](noisy)) < 0.5 * error(noisy)
    assert error(CORRECTIONS["opened"](specked)) < 0.1 * error(specked)
    assert CORRECTIONS["stretched"](hazy).std() > 4 * hazy.std()
    assert CORRECTIONS["cored-local"](hazy).std() > 2 * hazy.std()


def test_the_median_is_of_nine_pixels() -> None:
    pixels = noise(2, 3, 9, 11)
    padded = torch.nn.functional.pad(pixels, (1, 1, 1, 1), mode="replicate")
    nine = [padded[:, :, i : i + 9, j : j + 11] for i in range(3) for j in range(3)]
    assert torch.equal(median(pixels, passes=1), torch.stack(nine).median(0).values)


def test_descriptions_tell_noise_from_blur_whatever_the_rest_of_the_batch() -> None:
    sharp = torch.cat([noise(2, 3, 64, 64), torch.ones(1, 3, 64, 64)])
    soft = CORRECTIONS["soft"](sharp)
    assert describe(sharp).shape == (3, DESCRIPTORS)
    assert torch.isfinite(describe(sharp)).all()
    assert (describe(sharp)[:2, 8] > describe(soft)[:2, 8] + 0.5).all()
    torch.testing.assert_close(describe(sharp)[:1], describe(sharp[:1]))


def test_the_predictor_learns_which_correction_suits_which_image() -> None:
    described = noise(400, DESCRIPTORS)
    changes = 0.02 * noise(400, len(names()), seed=1)
    changes[:, 0] = 0
    changes[:, 3] += 0.5 * described[:, 2]  # correction 3 helps where the third feature is low
    changes[:, 5] -= 0.1  # correction 5 helps all images a little
    predictor = Predictor(caution=0.5)
    assert (predictor.choose(described) == 0).all(), "without evidence it changes nothing"
    predictor.observe(described[:300], changes[:300])
    chosen = predictor.choose(described[300:])
    low = described[300:, 2] < -0.5
    assert (chosen[low] == 3).float().mean() > 0.9
    assert (chosen[~low & (described[300:, 2] > 0)] == 5).float().mean() > 0.9


def test_the_predictor_changes_nothing_where_nothing_helps() -> None:
    described, changes = noise(100, DESCRIPTORS), 0.3 * noise(100, len(names()), seed=1).abs()
    changes[:, 0] = 0
    predictor = Predictor(caution=0.5)
    predictor.observe(described, changes)
    assert (predictor.choose(noise(100, DESCRIPTORS, seed=2)) == 0).float().mean() > 0.9


def test_the_predictor_ignores_the_order_and_values_that_are_not_finite() -> None:
    described, changes = noise(60, DESCRIPTORS), noise(60, len(names()), seed=1)
    one, other = Predictor(caution=0.5), Predictor(caution=0.5)
    one.observe(described, changes)
    spoilt = torch.cat([changes.flip(0), torch.full((1, len(names())), float("nan"))])
    for start in range(0, 61, 20):
        rows = slice(start, start + 20)
        other.observe(torch.cat([described.flip(0), described[:1]])[rows], spoilt[rows])
    assert other.observed == 60
    for a, b in zip(one.expect(described), other.expect(described), strict=True):
        torch.testing.assert_close(a, b)


def test_the_search_measures_the_objective_of_each_sample_alone() -> None:
    model = tiny_llava()
    inputs = model.encode(sample_images(4), QUESTIONS)
    base = model.generate(inputs, 4)
    tuner = Tuner(model, SEARCH, sets=None, seed=0)
    search = Search(model, first=4, share=0.0, caution=0.5)
    search.corrected(inputs, base, tuner)
    assert search.predictor.observed == 4 and not search.exploring
    with torch.no_grad():
        corrected = search.apply(inputs, torch.full((4,), 4))
        logits = model.answer_logits(corrected)
        entropy = -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)[:, 0]
    torch.testing.assert_close(tuner.losses(corrected, base), entropy)
    search.corrected(inputs, base, tuner)
    assert search.predictor.observed == 4, "only the first four are explored"


def test_what_one_stream_taught_can_be_applied_frozen_to_another(tmp_path: Path) -> None:
    model = tiny_llava()
    inputs = model.encode(sample_images(4), QUESTIONS)
    base = model.generate(inputs, 4)
    config = replace(SEARCH, steps=1, lora_rate=0.01, adapters=AdapterConfig(kernel="none"))
    tuned = VQSelect(model, config, max_new_tokens=4)
    for _ in range(3):
        tuned.answer(inputs, base)
    file = tmp_path / "tuned.safetensors"
    tuned.save(file)
    assert file.stat().st_size < 64_000
    frozen = MethodSpec(VQSelect, config).saved(file).build(model, max_new_tokens=4).method
    frozen.attempts(inputs, base, learn=False)
    for a, b in zip(frozen.tuner.adapters.snapshot(), tuned.tuner.adapters.snapshot(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(frozen.search.predictor.products, tuned.search.predictor.products)
    going_on = VQSelect(model, replace(config, start=str(file)), max_new_tokens=4)
    going_on.answer(inputs, base)
    assert going_on.search.predictor.observed > tuned.search.predictor.observed
    going_on.reset()
    assert going_on.search.predictor.observed == tuned.search.predictor.observed
    with pytest.raises(InputError, match="other adapters"):
        VQSelect(model, replace(SEARCH, start=str(file)))
    with pytest.raises(InputError, match="cannot read adapters"):
        VQSelect(model, replace(config, start=str(tmp_path / "nothing")))


def test_missing_statistics_of_clean_images_are_an_error() -> None:
    with pytest.raises(InputError, match="clean-features"):
        METHODS["vq-select-features"].build(FakeTunableModel())


def test_the_more_certain_views_win_the_vote() -> None:
    count = len(names())
    texts = ["red"] * 3 + ["blue"] * (count - 3)
    entropies = [0.1] * 3 + [2.0] * (count - 3)
    voters = [
        Outcome(texts=[text], confidences=[0.5], entropies=[entropy])
        for text, entropy in zip(texts, entropies, strict=True)
    ]
    model = tiny_llava()
    assert Vote(model, VoteConfig(temperature=0.25)).count(voters).texts == ["red"]
    assert Vote(model, VoteConfig()).count(voters).texts == ["blue"]
