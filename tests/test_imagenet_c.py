"""Under absolute lengths, the degradations of ImageNet-C agree with a published implementation of it."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from tests.pictures import psnr, scene
from vqttt.degradations import SEVERITIES, degrade

DETERMINISTIC = ("gaussian_blur", "jpeg_compression")


@pytest.fixture(scope="module")
def corrupt() -> Callable[..., np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("imagecorruptions", reason="imagecorruptions-imaug is not installed")
    return package.corrupt


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("kind", DETERMINISTIC)
def test_parity_of_what_is_not_random(corrupt, kind, severity):
    for shape in ((224, 224), (96, 130)):
        image = scene(*shape)
        theirs = corrupt(image, corruption_name=kind, severity=severity)
        difference = degrade(image, kind, severity, 0, "absolute").astype(int) - theirs
        # They cut decimals off where we round.
        assert difference.min() >= 0
        assert difference.max() <= (0 if kind == "jpeg_compression" else 1)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("kind", ["gaussian_noise", "motion_blur", "snow", "fog"])
def test_parity_in_distribution(corrupt, kind, severity):
    image = scene(128, 128)
    runs = 30
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    theirs = [corrupt(image, corruption_name=kind, severity=severity) for _ in range(runs)]
    np.random.set_state(before)  # noqa: NPY002
    ours = [degrade(image, kind, severity, seed, "absolute") for seed in range(runs)]
    for name, measure, tolerance in (
        # They cut decimals off where we round, which makes them darker by up to half a level.
        ("mean", np.mean, 0.6),
        ("std", np.std, 0.3),
        ("psnr", lambda degraded: psnr(degraded, image), 0.06),
    ):
        a, b = (np.array([float(measure(degraded)) for degraded in group]) for group in (ours, theirs))
        error = np.hypot(a.std(), b.std()) / np.sqrt(runs)
        assert abs(a.mean() - b.mean()) < tolerance + 3 * error, (name, a.mean(), b.mean(), error)
        assert a.std() < 2 * b.std() + tolerance and b.std() < 2 * a.std() + tolerance, (name, a.std(), b.std())
