"""Photographed screens, scans, occlusions, codecs and whole pipelines do what their names say."""

import numpy as np
import pytest

from tests.support.images import natural, psnr, scene
from vqttt.errors import ImageError, InputError
from vqttt.images.degradations import chains
from vqttt.images.degradations.chains import chain, messenger_forward, old_scan
from vqttt.images.degradations.codec import banding, bit_depth, low_resolution, video_blocks, webp
from vqttt.images.degradations.display import moire, occlusion, scan


def apply(kind, image, severity, seed=0, unit=1.0):
    return kind(image, severity, np.random.default_rng(seed), unit).astype(float)


def flat(value, height=224, width=224):
    return np.full((height, width, 3), value, np.uint8)


def test_moire_has_coloured_bands_of_the_stated_distance_where_the_image_is_flat():
    def strength(severity):
        return np.mean([apply(moire, flat(180), severity, seed).std(axis=(0, 1)).mean() for seed in range(4)])

    found = [strength(severity) for severity in range(1, 6)]
    assert found == sorted(found) and 4 < found[0] < 15 < found[2] < 35 < found[4]

    banded = apply(moire, flat(180), 3, 1)
    red, green, blue = (banded[..., i] - banded[..., i].mean() for i in range(3))
    assert np.corrcoef(red.ravel(), green.ravel())[0, 1] < 0.6 and np.corrcoef(red.ravel(), blue.ravel())[0, 1] < 0.6
    power = np.abs(np.fft.fft2(red)) ** 2
    frequency = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(224)]))
    assert power[(frequency > 1 / 110) & (frequency < 1 / 6)].sum() > 0.9 * power.sum()


def test_moire_leaves_the_image_where_it_is():
    image = scene(224, 224)
    shown = np.mean([apply(moire, image, 3, seed) for seed in range(24)], axis=0)
    shifted = max(psnr(np.roll(shown, step, axis), image) for step in (-2, 2) for axis in (0, 1))
    assert psnr(shown, image) > max(shifted + 2, 22)


def test_scan_shows_paper_in_the_corners_and_keeps_no_black():
    for seed in range(6):
        scanned = apply(scan, flat(0), 5, seed)
        corners = [scanned[y, x].mean() for y in (0, -1) for x in (0, -1)]
        assert sum(corner > 120 for corner in corners) >= 2
        assert 25 < np.median(scanned[40:-40, 40:-40]) < 70


def test_scan_has_columns_dust_and_print_from_the_back():
    page = apply(scan, flat(255), 5)[20:-20, 20:-20].mean(axis=2)
    along, across = page.mean(axis=0), page.mean(axis=1)
    assert np.diff(along).std() > 3 * page.std() / np.sqrt(len(page))  # more than independent pixels would have
    spectrum = np.abs(np.fft.rfft(across - across.mean(), 240))
    assert spectrum[18:23].max() > 4 * np.median(spectrum)  # lines 12 pixels apart
    assert (page < page.mean() - 80).mean() > 0.002


def test_scan_bleeds_dark_into_light():
    half = flat(255)
    half[:, 110:114] = 0
    darker = []
    for severity in (1, 5):
        middle = np.mean([apply(scan, half, severity, seed)[108:116] for seed in range(8)], axis=0)  # hardly skewed
        darker.append(middle[:, 80:100].mean() - middle[:, 106:109].mean())
    assert darker[0] < 4 and darker[1] > 7


@pytest.mark.parametrize(("severity", "share"), [(1, 0.05), (2, 0.1), (3, 0.2), (4, 0.3), (5, 0.45)])
@pytest.mark.parametrize("shape", [(224, 224), (64, 64), (300, 500), (16, 200)])
def test_occlusion_hides_the_stated_share(severity, share, shape):
    for seed in range(5):
        black, white = (apply(occlusion, flat(value, *shape), severity, seed) for value in (0, 255))
        hidden = 1 - (white - black) / 255
        assert hidden.mean() == pytest.approx(share, abs=0.02)
        assert (hidden > 0.99).mean() > 0.4 * share and (hidden < 0.01).mean() > 0.8 - share


def test_low_resolution_keeps_the_mean_and_loses_detail():
    stripes = np.kron(np.tile([0, 1], (64, 32)), np.ones((1, 1))).astype(np.uint8)[..., None].repeat(3, axis=2) * 255
    for severity in range(1, 6):
        shown = apply(low_resolution, stripes, severity)
        assert shown.mean() == pytest.approx(127.5, abs=3)
        assert shown[:, 8:-8].std() < 60
    assert psnr(apply(low_resolution, scene(448, 448), 3, unit=2.0), scene(448, 448)) == pytest.approx(
        psnr(apply(low_resolution, scene(224, 224), 3), scene(224, 224)), abs=1
    )


@pytest.mark.parametrize(
    ("severity", "levels"), [(1, (16, 16, 16)), (2, (8, 8, 8)), (3, (8, 8, 4)), (4, (4, 4, 4)), (5, (2, 4, 2))]
)
def test_bit_depth_counts_its_levels(severity, levels):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    kept = bit_depth(ramp, severity, np.random.default_rng(0), 1.0)
    assert tuple(len(np.unique(kept[..., i])) for i in range(3)) == levels
    assert kept.min() == 0 and kept.max() == 255 and (np.diff(kept.reshape(-1, 3).astype(int), axis=0) >= 0).all()


def test_banding_steps_a_gradient_and_spares_an_edge():
    image = np.linspace(60, 180, 224)[None, :, None].repeat(224, 0).repeat(3, 2).astype(np.uint8)
    levels = [len(np.unique(apply(banding, image, severity)[100, :, 0])) for severity in range(1, 6)]
    assert levels == sorted(levels, reverse=True) and levels[0] <= 12 and levels[4] <= 4
    edge = flat(30)
    edge[:, 112:] = 220
    sharp = apply(banding, edge, 5)
    assert np.abs(np.diff(sharp[100, :, 0])).max() > 150
    assert apply(bit_depth, image, 2).std() != pytest.approx(apply(banding, image, 2).std(), abs=0.1)


@pytest.mark.parametrize(("severity", "share"), [(1, 0.04), (3, 0.17), (5, 0.42)])
def test_video_blocks_loses_whole_macroblocks(severity, share):
    image = natural(224, 224)
    for seed in range(4):
        error = np.abs(apply(video_blocks, image, severity, seed) - image).mean(axis=2)
        error = error.reshape(14, 16, 14, 16).mean(axis=(1, 3))
        # Displaced blocks differ more than coarse quantisation alone, which affects all other blocks alike.
        assert (error > 1.2 * np.quantile(error, 0.3)).mean() == pytest.approx(share, abs=0.01 + 0.15 * share)


def test_webp_is_smooth_at_its_worst_and_refuses_images_that_are_too_long():
    image = np.clip(natural(128, 128) + np.random.default_rng(0).normal(0, 12, (128, 128, 3)), 0, 255).astype(np.uint8)
    detail = [np.abs(np.diff(apply(webp, image, severity), axis=0)).mean() for severity in range(1, 6)]
    assert (
        detail == sorted(detail, reverse=True) and detail[4] < 0.5 * np.abs(np.diff(image.astype(float), axis=0)).mean()
    )
    with pytest.raises(ImageError, match="too long for WebP; scale it to 16,383 pixels"):
        apply(webp, np.zeros((16, 16_384, 3), np.uint8), 1)


def recorder(name, calls, doc=""):
    def step(image, severity, rng, unit):
        calls.append((name, severity, rng.random(), unit))
        return image + np.uint8(severity)

    step.__name__, step.__doc__ = name, doc
    return step


def test_chain_runs_its_steps_in_order_with_one_generator():
    calls = []
    steps = (recorder("lens", calls), (0, 1, 1, 2, 3)), (recorder("sensor", calls), (5, 4, 3, 2, 1))
    both = chain("Take an image.", *steps, name="camera")
    assert both(flat(10, 4, 4), 4, np.random.default_rng(7), 0.5).max() == 14
    drawn = np.random.default_rng(7).random(2)
    assert calls == [("lens", 2, drawn[0], 0.5), ("sensor", 2, drawn[1], 0.5)]
    calls.clear()
    assert both(flat(10, 4, 4), 1, np.random.default_rng(7), 0.5).max() == 15
    assert calls == [("sensor", 5, drawn[0], 0.5)]


def test_chain_describes_itself():
    random, fixed = recorder("rain", [], "Rain."), recorder("codec", [], "Nothing is drawn from `rng`.")
    both = chain("Film in rain.", (random, (0, 1, 2, 3, 4)), (fixed, (1, 1, 1, 1, 1)), name="film")
    assert both.__name__ == "film" and both.__doc__.startswith("Film in rain.\n")
    assert (
        "- rain: 0, 1, 2, 3, 4\n- codec: 1, 1, 1, 1, 1\n" in both.__doc__ and "Source: our own choice." in both.__doc__
    )
    assert "Nothing is drawn" not in both.__doc__
    assert "Nothing is drawn from `rng`" in chain("Store.", (fixed, (1, 2, 3, 4, 5))).__doc__


@pytest.mark.parametrize("severities", [(1, 2, 3, 4), (1, 2, 3, 4, 6), (-1, 2, 3, 4, 5), (0, 1, 1, 1, 1)])
def test_chain_refuses_invalid_severities(severities):
    with pytest.raises(InputError, match=r"five, each from 0 to 5|at least one above 0"):
        chain("Blur.", (recorder("blur", []), severities))


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("phone_at_night", ["motion_blur", "low_light", "noise_reduction", "jpeg_compression"]),
        ("security_camera", ["gaussian_noise", "low_resolution", "video_blocks", "jpeg_compression"]),
        ("dashcam_in_rain", ["rain", "motion_blur", "raindrops", "jpeg_compression"]),
        ("photographed_screen", ["gaussian_blur", "moire", "vignette", "color_cast", "jpeg_compression"]),
        ("messenger_forward", ["low_resolution", "jpeg_compression", "webp", "jpeg_compression"]),
        ("old_scan", ["fading", "scan", "jpeg_compression"]),
    ],
)
def test_pipelines_name_their_steps(name, steps):
    pipeline = getattr(chains, name)
    assert pipeline.__name__ == name
    assert [line[2:].split(":")[0] for line in pipeline.__doc__.splitlines() if line.startswith("- ")] == steps


def test_messenger_forward_is_deterministic_and_an_old_print_is_yellow():
    image = scene(64, 64)
    assert "Nothing is drawn from `rng`" in messenger_forward.__doc__
    np.testing.assert_array_equal(apply(messenger_forward, image, 3, 0), apply(messenger_forward, image, 3, 1))
    red, _, blue = apply(old_scan, flat(255), 4)[60:160, 60:160].mean(axis=(0, 1))
    assert red > blue + 15


def test_noise_reduction_smooths_grain_and_keeps_an_edge():
    edge = flat(60, 64, 64)
    edge[:, 32:] = 180
    grainy = np.clip(edge + np.random.default_rng(0).normal(0, 8, edge.shape), 0, 255).astype(np.uint8)
    smoothed = apply(chains.noise_reduction, grainy, 3)
    assert smoothed[:, :24].std() < 0.4 * grainy[:, :24].std()
    assert smoothed[:, 33:].mean() - smoothed[:, :31].mean() > 115
