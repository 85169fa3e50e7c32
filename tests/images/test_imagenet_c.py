"""With absolute lengths, the degradations of ImageNet-C agree with a published implementation."""

import warnings
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from tests.support.images import natural, psnr, scene
from vqttt.images.degradations import SEVERITIES, degrade
from vqttt.images.degradations.blur import shuffled

EXACT = (
    "defocus_blur",
    "zoom_blur",
    "gaussian_blur",
    "brightness",
    "contrast",
    "saturate",
    "pixelate",
    "jpeg_compression",
)
RANDOM = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "glass_blur",
    "motion_blur",
    "snow",
    "fog",
    "spatter",
    "elastic_transform",
)
TAKES_SEED = ("glass_blur", "impulse_noise")


@pytest.fixture(scope="module")
def package() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("imagecorruptions", reason="imagecorruptions-imaug is not installed")


@pytest.fixture
def corrupt(package) -> Callable[[np.ndarray, str, int, int], np.ndarray]:
    """Their degradation of an image; some kinds take a seed, the others draw from numpy's global generator."""

    def corrupted(image: np.ndarray, kind: str, severity: int, seed: int) -> np.ndarray:
        if kind not in TAKES_SEED:
            np.random.seed(seed)  # noqa: NPY002
            return package.corrupt(image, corruption_name=kind, severity=severity)
        function = getattr(package.corruptions, kind)
        return np.uint8(function(image, severity=severity, seed=seed))

    before = np.random.get_state()  # noqa: NPY002
    yield corrupted
    np.random.set_state(before)  # noqa: NPY002


def test_none_of_theirs_is_missing(package):
    assert {*EXACT, *RANDOM, "frost"} == set(package.get_corruption_names("all"))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("kind", EXACT)
def test_parity_without_randomness(corrupt, kind, severity):
    for image in (scene(224, 224), scene(96, 130), natural(100, 90)):
        theirs = corrupt(image, kind, severity, 0)
        difference = degrade(image, kind, severity, 0, "absolute").astype(int) - theirs
        # They truncate decimals where we round; OpenCV's zoom places pixels to 1/32.
        assert difference.min() >= (-1 if kind == "zoom_blur" else 0)
        assert difference.max() <= (0 if kind in ("jpeg_compression", "pixelate") else 1)
        assert abs(difference.mean()) < 0.75


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("kind", RANDOM)
def test_parity_in_distribution(corrupt, kind, severity):
    image, runs = scene(128, 128), 30
    theirs = [corrupt(image, kind, severity, seed) for seed in range(runs)]
    ours = [degrade(image, kind, severity, seed, "absolute") for seed in range(runs)]
    for name, measure, tolerance in (
        # They truncate decimals where we round, which makes them up to half a level darker; glass blur does so twice.
        ("mean", np.mean, 1.1 if kind == "glass_blur" else 0.6),
        # Our glass blur uses OpenCV's integer Gaussian, whose weights are multiples of 1/256.
        ("std", np.std, 0.5 if kind == "glass_blur" else 0.3),
        ("psnr", lambda degraded: psnr(degraded, image), 0.06),
    ):
        a, b = (np.array([float(measure(degraded)) for degraded in group]) for group in (ours, theirs))
        error = np.hypot(a.std(), b.std()) / np.sqrt(runs)
        assert abs(a.mean() - b.mean()) < tolerance + 3 * error, (name, a.mean(), b.mean(), error)
        assert a.std() < 2 * b.std() + tolerance and b.std() < 2 * a.std() + tolerance, (name, a.std(), b.std())


@pytest.mark.parametrize(("reach", "rounds"), [(1, 1), (2, 1), (4, 1), (2, 3)])
def test_glass_displaces_as_far_as_theirs(package, reach, rounds):
    """Colours drift, because pixels take from others that already have; how far, along both axes, must agree."""
    side, places = 96, np.indices((96, 96)).transpose(1, 2, 0)

    def spread(source: np.ndarray) -> np.ndarray:
        moved = (source - places)[16:-16, 16:-16].reshape(-1, 2)
        return np.concatenate([moved.mean(axis=0), moved.std(axis=0), [(moved == 0).all(axis=1).mean()]])

    ours, theirs = [], []
    for seed in range(12):
        rng, index = np.random.default_rng(seed), np.arange(side * side).reshape(side, side)
        for _ in range(rounds):
            index = index.ravel()[shuffled((side, side), reach, rng)]
        ours.append(spread(places.reshape(-1, 2)[index]))
        swap = package.corruptions._shuffle_pixels_njit_glass_blur
        theirs.append(spread(swap(side, side, places.copy(), (1.0, reach, rounds), seed)))
    a, b = np.array(ours), np.array(theirs)
    error = np.hypot(a.std(axis=0), b.std(axis=0)) / np.sqrt(len(a))
    np.testing.assert_array_less(np.abs(a.mean(axis=0) - b.mean(axis=0)), 4 * error + 1e-3)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_frost_is_about_as_bright_as_theirs(corrupt, severity):
    image, runs = natural(160, 160), 24
    theirs = [corrupt(image, "frost", severity, seed) for seed in range(runs)]
    ours = [degrade(image, "frost", severity, seed, "absolute") for seed in range(runs)]
    a, b = (np.mean([group_image.mean() for group_image in group]) for group in (ours, theirs))
    assert abs(a - b) < 25, (a, b)
    a, b = (np.mean([psnr(group_image, image) for group_image in group]) for group in (ours, theirs))
    assert abs(a - b) < 2.5, (a, b)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_frost_weights_scene_and_ice_as_theirs_does(package, severity):
    """Over black there is only ice; over gray the weighted scene is added to it, where nothing clips."""
    scene_share, ice_share = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    black, gray = (np.full((160, 160, 3), tone, np.uint8) for tone in (0, 60))
    ice = degrade(black, "frost", severity, 3, "absolute").astype(float)
    both = degrade(gray, "frost", severity, 3, "absolute").astype(float)
    unclipped = (both < 250).all(axis=2)
    assert unclipped.mean() > 0.3
    assert (both - ice)[unclipped].mean() == pytest.approx(60 * scene_share, abs=0.6)
    panes = [degrade(black, "frost", severity, seed, "absolute") for seed in range(64)]
    assert np.mean([pane.mean() for pane in panes]) / ice_share == pytest.approx(148, abs=12)
    # Feathers, not an even gray.
    assert np.mean([pane.std() for pane in panes]) / ice_share > 30
