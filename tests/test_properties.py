"""What holds for any image, kind, severity and seed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from tests.support.fuzzing import examples
from vqttt.images.degradations import DEGRADATIONS, SEVERITIES, STYLES, degrade
from vqttt.images.quality import MAX_PSNR, measure

small_images = some.tuples(some.integers(1, 40), some.integers(1, 40)).flatmap(
    lambda sides: arrays(np.uint8, (*sides, 3))
)


@examples(400)
@given(
    image=small_images,
    names=some.lists(some.sampled_from([*DEGRADATIONS, *STYLES]), min_size=1, max_size=2),
    severity=some.sampled_from(SEVERITIES),
    seed=some.integers(0, 2**63 - 1),
    scale=some.sampled_from(["relative", "absolute"]),
)
def test_degrading(image, names, severity, seed, scale):
    before = image.copy()
    degraded = degrade(image, "+".join(names), severity, seed, scale)
    assert degraded.shape == image.shape and degraded.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(degraded, degrade(image, "+".join(names), severity, seed, scale))


@examples(400)
@given(image=small_images, other=some.integers(0, 255))
def test_measuring(image, other):
    same, flat = measure(image, image), measure(image, np.full_like(image, other))
    assert same.psnr == MAX_PSNR and same.ssim > 0.999 and same.gradient_similarity > 0.999
    for quality in (same, flat):
        assert 0 <= quality.psnr <= MAX_PSNR
        assert -1 <= quality.ssim <= 1.000001 and 0 <= quality.ms_ssim <= 1.000001
        assert 0 <= quality.gradient_similarity <= 1.000001
        assert np.isfinite([quality.sharpness, quality.noise_level]).all() and quality.noise_level >= 0
