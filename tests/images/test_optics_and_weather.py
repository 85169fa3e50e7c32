"""Light, lenses and weather change an image as they do in the real world."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from tests.support.images import natural, scene
from vqttt.images.degradations import SEVERITIES
from vqttt.images.degradations.atmosphere import haze, rain
from vqttt.images.degradations.exposure import color_cast, low_light, overexposure, vignette
from vqttt.images.degradations.lens import chromatic_aberration, lens_dirt, raindrops
from vqttt.images.ops import to_linear, to_srgb


def flat(value, side=224):
    return np.full((side, side, 3), value, np.uint8)


def run(kind, image, severity, seed=0, unit=None):
    unit = min(image.shape[:2]) / 224 if unit is None else unit
    return kind(image, severity, np.random.default_rng(seed), unit).astype(float)


def test_linear_light_is_undone_without_loss():
    tones = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    np.testing.assert_array_equal(to_srgb(to_linear(tones)), tones)
    assert to_linear(flat(188)).mean() == pytest.approx(0.5, abs=0.01)


def test_low_light_is_as_dark_as_its_exposure_and_gain_say():
    for severity, light in zip(SEVERITIES, (0.42, 0.234, 0.144, 0.099, 0.072), strict=True):
        degraded = to_linear(run(low_light, flat(255), severity).astype(np.uint8))
        assert degraded.mean() == pytest.approx(light, rel=0.03)


def test_low_light_grain_grows_with_light_and_is_there_in_black_too():
    black, gray, white = (to_linear(run(low_light, flat(tone), 3).astype(np.uint8)) for tone in (0, 128, 255))
    assert black.std() > 0.001
    # Without the read noise, the variance is proportional to the light: gray has 0.216 of that of white.
    reading = (2 * 2.4 / 800) ** 2
    shares = (gray.var() - reading) / (white.var() - reading)
    assert shares == pytest.approx(0.216, rel=0.1)
    for milder, harsher in pairwise(SEVERITIES):
        grain = [
            light.std() / light.mean()
            for light in (to_linear(run(low_light, flat(200), s).astype(np.uint8)) for s in (milder, harsher))
        ]
        assert grain[0] < grain[1]


def test_overexposure_doubles_light_by_the_stop_and_clips():
    for severity, stops in zip(SEVERITIES, (0.8, 1.3, 1.9, 2.6, 3.4), strict=True):
        dark = to_linear(run(overexposure, flat(60), severity).astype(np.uint8))
        assert dark.mean() == pytest.approx(min(to_linear(flat(60)).mean() * 2**stops, 1), rel=0.02)
        assert (run(overexposure, flat(240), severity) == 255).all()
    assert (run(overexposure, flat(0), 5) == 0).all()


def test_overexposed_lights_glow():
    image = flat(0)
    image[100:124, 100:124] = 255
    glow = run(overexposure, image, 3)[112, :, 0]
    assert glow[112] == 255 and glow[130] > glow[140] > glow[170] > 0
    assert glow[5] == 0


def test_color_cast_is_orange_or_blue_and_keeps_the_light():
    warmth = []
    for seed in range(20):
        tint = to_linear(run(color_cast, flat(100), 3, seed).astype(np.uint8)).mean(axis=(0, 1))
        assert tint @ (0.2126, 0.7152, 0.0722) == pytest.approx(to_linear(flat(100)).mean(), rel=0.02)
        red, green, blue = np.log2(tint)
        assert abs(red - blue) > 1
        assert (red - green) * (green - blue) > 0 or abs(red + blue - 2 * green) < 1.5
        warmth.append(red > blue)
    assert 3 < sum(warmth) < 17


def test_color_cast_grows():
    apart = [np.ptp(run(color_cast, flat(100), severity)[0, 0]) for severity in SEVERITIES]
    assert apart == sorted(apart) and apart[0] > 8


def test_vignette_leaves_the_middle_and_darkens_the_corners():
    corners = []
    for severity in SEVERITIES:
        degraded = run(vignette, flat(200), severity)[..., 0]
        assert degraded[112, 112] >= 199
        assert (np.diff(degraded[112, 112:]) <= 0).all() and (np.diff(np.diagonal(degraded)[112:]) <= 0).all()
        np.testing.assert_array_equal(degraded, degraded[::-1, ::-1])
        corners.append(degraded[0, 0])
    assert corners[0] > 100 and corners[4] == 0 and corners == sorted(corners, reverse=True)


def test_natural_vignetting_follows_the_cosine_to_the_fourth():
    light = to_linear(run(vignette, flat(255), 1).astype(np.uint8))[..., 0]
    # Half way to a corner, before the barrel begins: the tangent of the angle is 0.4.
    assert light[56, 56] == pytest.approx((1 / (1 + 0.4**2)) ** 2, abs=0.02)


def test_chromatic_aberration_leaves_flat_areas_and_green():
    np.testing.assert_array_equal(run(chromatic_aberration, flat(130), 5), flat(130))
    image = scene(96, 128)
    np.testing.assert_array_equal(run(chromatic_aberration, image, 5)[..., 1], image[..., 1])


@pytest.mark.parametrize(("severity", "corner"), [(2, 2.5), (4, 6.0), (5, 9.0)])
def test_red_moves_outward_and_blue_inward(severity, corner):
    image = flat(0)
    image[:, 190:] = 255
    row = run(chromatic_aberration, image, severity)[112] / 255
    red, green, blue = (224 - row[:, channel].sum() for channel in range(3))
    off = corner * (190 - 112) / np.hypot(112, 112)
    assert green == 190
    assert red - green == pytest.approx(off, abs=0.6) and green - blue == pytest.approx(off, abs=0.6)


def test_between_raindrops_nothing_changes():
    image = natural(224, 224)
    dry = [(run(raindrops, image, severity) == image).all(axis=2).mean() for severity in SEVERITIES]
    assert dry == sorted(dry, reverse=True)
    assert 0.93 < dry[0] < 0.99 and 0.5 < dry[4] < 0.8


def test_a_raindrop_shows_the_scene_upside_down():
    image = np.broadcast_to(np.linspace(220, 30, 224)[:, None, None], (224, 224, 3)).astype(np.uint8)
    degraded = run(raindrops, image, 3)[..., 0]
    count, drops = cv2.connectedComponents((degraded != image[..., 0]).astype(np.uint8))
    rising = []
    for drop in range(1, count):
        down, across = np.nonzero(drops == drop)
        if len(down) > 60:
            rising.append(np.polyfit(down, degraded[down, across], 1)[0])
    # The scene gets darker downward by less than a tone per pixel; in a drop it gets brighter, and far more steeply.
    assert len(rising) > 15 and np.mean(np.array(rising) > 0) > 0.9 and np.median(rising) > 2


def test_raindrops_have_dark_rims_and_bright_sparks():
    degraded = run(raindrops, flat(120), 4)
    assert degraded.min() < 60 and degraded.max() > 220
    assert run(raindrops, flat(0), 4).max() > 100  # lit by the sky even in front of a black scene


def test_dirt_darkens_in_blots_and_blurs_under_grease():
    degraded = run(lens_dirt, flat(200), 4)[..., 0]
    assert np.percentile(degraded, 1) < 150 and 185 < np.median(degraded) < 225
    stripes = flat(40)
    stripes[:, ::4] = stripes[:, 1::4] = 220
    contrast = run(lens_dirt, stripes, 3)[..., 0]
    left = contrast.reshape(28, 8, 28, 8).std(axis=(1, 3)) / stripes[:8, :8, 0].std()
    assert np.percentile(left, 95) > 0.9 and np.percentile(left, 5) < 0.6


def test_grease_turns_black_milky_near_lights():
    image = flat(0)
    image[:, 112:] = 255
    near, far = (
        np.mean([run(lens_dirt, image, 5, seed)[:, part].mean() for seed in range(4)])
        for part in (slice(96, 106), slice(0, 10))
    )
    assert near > far + 15 > 15


def test_haze_hides_the_top_more_than_the_bottom():
    image = natural(224, 224)
    for severity in SEVERITIES:
        degraded = run(haze, image, severity)
        contrast = [degraded[part].std() / image[part].std() for part in (slice(0, 56), slice(168, 224))]
        assert contrast[0] < contrast[1] - 0.1
    assert contrast[0] < 0.25 and contrast[1] > 0.3


def test_haze_tends_to_a_bluish_gray():
    for tone in (0, 128, 255):
        air = run(haze, flat(tone), 5)[:20].mean(axis=(0, 1))
        assert air[0] < air[1] < air[2] < air[0] + 40
        assert 130 < air.mean() < 255
    assert np.ptp([run(haze, flat(0), severity)[:20].mean() for severity in SEVERITIES]) > 50


def test_rain_streaks_run_along_the_fall():
    fallen = []
    for seed in range(6):
        degraded = run(rain, flat(60), 3, seed)[..., 1]
        across, along = np.abs(np.diff(degraded, axis=1)).mean(), np.abs(np.diff(degraded, axis=0)).mean()
        assert across > 1.8 * along
        assert degraded.min() >= 60 and degraded.max() > 120  # drops shine with the sky's light
        fallen.append(degraded.mean())
    assert max(fallen) - min(fallen) < 10


def test_more_rain_comes_with_a_thicker_veil():
    black = [run(rain, flat(0), severity) for severity in SEVERITIES]
    for measure in (lambda degraded: np.percentile(degraded, 2), np.mean):
        levels = [measure(degraded) for degraded in black]
        assert all(milder < harsher for milder, harsher in pairwise(levels)), levels


@pytest.mark.parametrize("kind", [raindrops, lens_dirt, haze, rain, overexposure, chromatic_aberration])
def test_a_thumbnail_is_degraded_as_strongly_as_the_image(kind):
    small, large = (
        np.mean([np.abs(run(kind, scene(side, side), 3, seed) - scene(side, side)).mean() for seed in range(6)])
        for side in (112, 448)
    )
    assert small == pytest.approx(large, rel=0.2)
