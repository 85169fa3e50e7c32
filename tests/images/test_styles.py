"""Each style is what its name says."""

import numpy as np
import pytest

from tests.support.images import scene
from vqttt.images.degradations import SEVERITIES, degrade
from vqttt.images.degradations.styles_paint import flatten


def test_grayscale_ends_without_colour():
    colour = [np.ptp(degrade(scene(64, 64), "grayscale", severity, 0), axis=2).mean() for severity in SEVERITIES]
    assert colour == sorted(colour, reverse=True) and colour[-1] == 0


def test_inverted_ends_as_the_negative():
    image = scene(64, 64)
    np.testing.assert_array_equal(degrade(image, "inverted", 5, 0), 255 - image)
    dark = np.full((16, 16, 3), 60, np.uint8)
    np.testing.assert_array_equal(degrade(dark, "inverted", 4, 0), dark)


@pytest.mark.parametrize(("severity", "tones"), [(1, 12), (2, 8), (3, 5), (4, 4), (5, 3)])
def test_posterise_counts_its_tones(severity, tones):
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None], 3, axis=2)
    found = np.unique(degrade(ramp, "posterise", severity, 0))
    assert len(found) == tones and found[0] == 0 and found[-1] == 255


@pytest.mark.parametrize("tone", [40, 128, 200])
def test_halftone_keeps_the_tone(tone):
    printed = degrade(np.full((224, 224, 3), tone, np.uint8), "halftone", 5, 0)
    assert printed.mean() == pytest.approx(tone, abs=8)
    assert len(np.unique(printed.reshape(-1, 3), axis=0)) > 50 and printed.std() > 60


def test_pixel_art_has_large_squares_and_few_colours():
    image = degrade(scene(224, 224), "pixel_art", 5, 0)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) <= 8
    blocks = image.reshape(28, 8, 28, 8, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()


def test_stained_glass_is_flat_within_its_lead():
    glass = degrade(scene(224, 224), "stained_glass", 5, 0).astype(int)
    same = np.abs(np.diff(glass, axis=1)).sum(axis=2) == 0
    assert 0.4 < same.mean() < 0.95
    assert (glass.max(axis=2) < 40).mean() > 0.1


@pytest.mark.parametrize("kind", ["sketch", "line_art"])
def test_paper_is_white_where_nothing_changes(kind):
    assert degrade(np.full((64, 64, 3), 90, np.uint8), kind, 5, 0).min() > 250
    half = np.full((224, 224, 3), 60, np.uint8)
    half[:, 112:] = 200
    drawn = degrade(half, kind, 5, 0)
    assert drawn[:, 90:134].min() < 140 and drawn[:, :60].min() > 250 and drawn[:, -60:].min() > 250


@pytest.mark.parametrize("kind", ["oil_paint", "cartoon"])
def test_paint_takes_detail_away_and_keeps_large_shapes(kind):
    image = np.full((224, 224, 3), 120, np.uint8)
    image[40:180, 40:180] = (200, 60, 60)
    textured = np.clip(image + np.random.default_rng(0).normal(0, 12, image.shape), 0, 255).astype(np.uint8)
    painted = degrade(textured, kind, 4, 0)
    assert painted[60:160, 60:160].std(axis=(0, 1)).mean() < 0.9 * textured[60:160, 60:160].std(axis=(0, 1)).mean()
    assert (painted[100:120, 100:120, 0] > painted[100:120, 100:120, 1] + 60).mean() > 0.95


def test_flatten_keeps_a_sharp_edge():
    image = np.zeros((32, 32, 3), np.float32)
    image[:, 16:] = 200
    np.testing.assert_allclose(flatten(image, 3), image, atol=1e-3)
