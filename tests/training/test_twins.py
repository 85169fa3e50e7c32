import numpy as np
import pytest
from safetensors.torch import load_file

from training import twin_data, twins
from training.qualities import QUALITIES, mixed
from training.twins import TwinConfig, TwinTrainer, train
from vqttt import load_model
from vqttt.models import EMBEDDED


@pytest.mark.parametrize("quality", [*QUALITIES.values(), mixed])
def test_a_quality_depends_on_its_generator_alone_and_keeps_the_size(quality):
    image = np.random.default_rng(0).integers(0, 256, (40, 52, 3), np.uint8)
    first, again = (quality(image, np.random.default_rng(7)) for _ in range(2))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)


def test_soft_images_have_less_detail_than_those_of_the_web():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    detail = {
        name: np.mean([np.diff(QUALITIES[name](image, np.random.default_rng(n)).astype(int)).std() for n in range(8)])
        for name in ("plain", "soft", "web", "noisy")
    }
    assert detail["soft"] < detail["web"] < detail["plain"]
    assert detail["soft"] < 0.2 * detail["plain"]


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setattr(twin_data, "SHARD", 4)
    monkeypatch.setattr(twin_data, "SHARE", {"vq-mini": 1.0})
    monkeypatch.setattr(twins, "EVERY", 2)
    config = TwinConfig(quality="soft", batch=2, turns=2, steps=4, warmup=1)
    for quality in ("soft", "plain"):
        for start in range(0, config.batch * config.steps, 4):
            (tmp_path / "data").mkdir(exist_ok=True)
            twin_data._build_shard((tmp_path / "data", quality, 0, start))
    return config, tmp_path


def test_twins_of_a_seed_are_asked_the_same(small):
    config, folder = small
    count = config.batch * config.steps
    (soft, asked), (plain, same) = (twin_data.load(folder / "data", name, 0, count) for name in ("soft", "plain"))
    assert asked == same
    assert len(asked) == len(soft) == count
    assert not np.array_equal(soft, plain)
    assert np.abs(soft.astype(int) - plain).mean() < 40  # the same scenes


def test_training_that_was_stopped_ends_with_the_same_weights(small, monkeypatch):
    config, folder = small
    (folder / "out").mkdir()
    monkeypatch.setattr(twins, "measure_features", lambda *_: None)
    whole = train(config, folder, folder / "out")
    (folder / "out" / config.name).rename(folder / "whole")

    step = TwinTrainer._step

    def killed(self, number):
        if number == 3:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(TwinTrainer, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, folder / "out")
    assert not whole.exists()
    monkeypatch.setattr(TwinTrainer, "_step", step)
    steps = []
    monkeypatch.setattr(TwinTrainer, "_step", lambda self, number: steps.append(number) or step(self, number))
    train(config, folder, folder / "out")
    assert steps == [2, 3]
    again, first = (load_file(place / "model.safetensors") for place in (whole, folder / "whole"))
    assert all(np.array_equal(again[name], first[name]) for name in first)
    start = load_file(EMBEDDED / "model.safetensors")
    assert any(not np.array_equal(again[name], start[name]) for name in first)
    assert load_model(str(whole)).name == str(whole)
