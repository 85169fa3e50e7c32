"""The conformance tests of every registered degradation and style."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.images import natural, psnr, scene
from vqttt.errors import InputError, UnknownNameError
from vqttt.images.degradations import DEGRADATIONS, SEVERITIES, STYLES, chains, check_kind, degrade, image_seed
from vqttt.images.files import sha256
from vqttt.images.gallery import contact_sheet
from vqttt.runs.records import CLEAN

GOLDENS = Path(__file__).parent.parent / "goldens" / "degradations.json"
KINDS = {**DEGRADATIONS, **STYLES}
DETERMINISTIC = [kind for kind, entry in KINDS.items() if "Nothing is drawn from `rng`" in (entry.__doc__ or "")]

NOT_WORSE = {
    "glass_blur": (2, 4),  # a wider reach, but fewer rounds
    "zoom_blur": (3,),  # zooms further, but in larger steps
    "frost": (4,),  # as much ice in front of less of the scene
    "saturate": (3, 4, 5),  # 1 and 2 weaken colours, 3 to 5 exaggerate them
}
"""Severities whose PSNR, with ImageNet-C's own parameters, is no lower than that of the one before."""

every_kind = pytest.mark.parametrize("kind", KINDS)


def mean_psnr(kind: str, severity: int, image: np.ndarray, scale: str, seeds: int) -> float:
    return float(np.mean([psnr(degrade(image, kind, severity, seed, scale), image) for seed in range(seeds)]))


SHAPES = ((1, 1), (1, 40), (15, 16), (16, 16), (17, 17), (64, 64), (224, 224), (480, 640))
# At (224, 224) the scales are the same to the bit: see `test_scales_agree_at_the_reference_size`.
SIZES = [(scale, shape) for scale in ("relative", "absolute") for shape in SHAPES]
SIZES.remove(("absolute", (224, 224)))


@every_kind
@pytest.mark.parametrize(("scale", "shape"), SIZES)
def test_any_size_keeps_shape_and_leaves_the_input_alone(kind, scale, shape):
    image = scene(*shape)
    image.flags.writeable = False
    before = image.copy()
    for severity in (1, 5):
        degraded = degrade(image, kind, severity, 3, scale)
        assert degraded.dtype == np.uint8
        assert degraded.shape == image.shape
        assert degraded.flags.c_contiguous and degraded.flags.writeable
        assert not np.shares_memory(degraded, image)
    np.testing.assert_array_equal(image, before)


@every_kind
def test_flat_and_extreme_images(kind):
    for value in (0, 255):
        degraded = degrade(np.full((32, 48, 3), value, np.uint8), kind, 5, 0)
        assert degraded.shape == (32, 48, 3)
        if kind in ("motion_blur", "gaussian_blur", "jpeg_compression"):
            assert np.abs(degraded.astype(int) - value).max() <= 1


STRIPS = ((16, 9_000), (9_000, 3))
# A chain needs what its steps need one after the other. These come in both directions, the chain itself in one.
CHAINED = [kind for kind, entry in KINDS.items() if entry.__module__ == chains.__name__]


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(kind, shape) for kind in KINDS for shape in (STRIPS[:1] if kind in CHAINED else STRIPS)],
)
def test_long_strips_fit_into_memory(kind, shape):
    assert degrade(scene(*shape), kind, 3, 0).shape == (*shape, 3)


@pytest.fixture(scope="module")
def image_of_4k():
    image = cv2.resize(scene(216, 384), (3840, 2160), interpolation=cv2.INTER_CUBIC)
    image.flags.writeable = False
    return image


@pytest.mark.slow
@every_kind
def test_4k(kind, image_of_4k):
    degraded = degrade(image_of_4k, kind, 4, 0)
    assert degraded.shape == (2160, 3840, 3)
    assert psnr(degraded, image_of_4k) < 50


@every_kind
def test_views_are_degraded_like_copies(kind):
    view = scene(64, 80)[::-1, ::2]
    assert not view.flags.c_contiguous
    np.testing.assert_array_equal(degrade(view, kind, 3, 5), degrade(np.ascontiguousarray(view), kind, 3, 5))


@every_kind
def test_the_seed_decides_the_draws(kind):
    image = scene(64, 64)
    for severity in SEVERITIES:
        first = degrade(image, kind, severity, 11)
        np.testing.assert_array_equal(first, degrade(image, kind, severity, 11))
        assert np.array_equal(first, degrade(image, kind, severity, 12)) == (kind in DETERMINISTIC)


def test_kinds_draw_differently_from_one_seed(monkeypatch):
    drawn = []
    for registry in (DEGRADATIONS, STYLES):
        draw = dict.fromkeys(registry, lambda image, severity, rng, unit: (drawn.append(rng.random()), image)[1])
        monkeypatch.setattr(registry, "_entries", draw)
    for kind in KINDS:
        for severity in SEVERITIES:
            degrade(scene(16, 16), kind, severity, 0)
    assert len(set(drawn)) == len(KINDS) * len(SEVERITIES)


@every_kind
def test_threads_agree(kind):
    image = scene(64, 64)
    expected = [sha256(degrade(image, kind, 3, seed)) for seed in range(12)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda seed: sha256(degrade(image, kind, 3, seed)), range(12))) == expected


def test_the_global_generator_is_neither_used_nor_moved():
    before = np.random.get_state()  # noqa: NPY002
    outcomes = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        outcomes.append([sha256(degrade(scene(32, 32), kind, 3, 0)) for kind in KINDS])
        assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    np.random.set_state(before)  # noqa: NPY002
    assert outcomes[0] == outcomes[1]


class Fidelity:
    """The PSNR of one kind's images at each severity, drawn no more often than it takes to tell two apart."""

    FEW, ALL = 8, 24

    def __init__(self, kind: str, image: np.ndarray, scale: str) -> None:
        self.kind, self.image, self.scale = kind, image, scale
        self.drawn: dict[int, list[float]] = {severity: [] for severity in SEVERITIES}

    def of(self, severity: int, draws: int) -> np.ndarray:
        drawn = self.drawn[severity]
        for seed in range(len(drawn), draws):
            drawn.append(psnr(degrade(self.image, self.kind, severity, seed, self.scale), self.image))
        return np.array(drawn[:draws])

    def falls(self, milder: int, harsher: int, chance: float) -> bool:
        """Tell whether PSNR falls from one severity to another.

        A few draws tell if their mean difference is five standard errors above 0. Where severities do not differ, that
        happens to about one pair in 1300 (Student's t of 7 degrees of freedom); that the means of all draws lie within
        `chance` dB, which is what counts otherwise, happens to every second.
        """
        if self.kind in DETERMINISTIC:
            return bool(self.of(milder, 1) > self.of(harsher, 1))
        few = self.of(milder, self.FEW) - self.of(harsher, self.FEW)
        if few.mean() > 5 * few.std(ddof=1) / np.sqrt(self.FEW):
            return True
        return bool(self.of(milder, self.ALL).mean() > self.of(harsher, self.ALL).mean() - chance)


@every_kind
@pytest.mark.parametrize(("side", "scale"), [(64, "relative"), (160, "relative"), (64, "absolute")])
def test_higher_severity_leaves_less_of_the_image(kind, side, scale):
    fidelity = Fidelity(kind, natural(side, side), scale)
    for milder, harsher in pairwise(SEVERITIES):
        if harsher not in NOT_WORSE.get(kind, ()):
            # dB; the uncertainty of 24 draws
            assert fidelity.falls(milder, harsher, chance=0.1), (harsher, fidelity.drawn)
    assert fidelity.falls(1, 5, chance=0.0), fidelity.drawn


@every_kind
def test_scales_agree_at_the_reference_size(kind):
    # Which side decides does not depend on the severity: every shape and every severity comes once or twice.
    for shape, severity in zip(cycle(((224, 224), (224, 300), (240, 224))), SEVERITIES, strict=False):
        image = scene(*shape)
        relative, absolute = (degrade(image, kind, severity, 1, scale) for scale in ("relative", "absolute"))
        np.testing.assert_array_equal(relative, absolute)


@pytest.mark.parametrize("kind", ["motion_blur", "snow", "fog", "gaussian_blur"])
def test_relative_scale_degrades_a_thumbnail_as_strongly_as_the_image(kind):
    small, large = (mean_psnr(kind, 4, scene(side, side), "relative", 8) for side in (112, 448))
    assert abs(small - large) < 1.5
    if kind in ("motion_blur", "gaussian_blur"):
        assert mean_psnr(kind, 4, scene(112, 112), "absolute", 8) < small - 1


def test_clean_returns_the_image_itself():
    image = scene(20, 20)
    assert degrade(image, CLEAN, 0, 7) is image
    assert CLEAN not in DEGRADATIONS


def test_names_and_summaries():
    assert list(DEGRADATIONS)[:6] == [
        "gaussian_noise",
        "motion_blur",
        "snow",
        "fog",
        "gaussian_blur",
        "jpeg_compression",
    ]
    for kind, entry in KINDS.items():
        summary = (DEGRADATIONS if kind in DEGRADATIONS else STYLES).summary(kind)
        assert summary and "\n" not in summary
        assert "Source:" in (entry.__doc__ or "")


@pytest.mark.parametrize(
    ("kind", "severity", "seed", "scale", "error", "message"),
    [
        ("gausian_noise", 3, 0, "relative", UnknownNameError, "did you mean gaussian_noise"),
        ("cleen", 0, 0, "relative", UnknownNameError, "did you mean clean"),
        ("fog+clean", 3, 0, "relative", InputError, "'fog.clean' is not a chain"),
        ("fog+", 3, 0, "relative", InputError, "is not a chain; join degradations or styles with"),
        ("fog", 3, 0, "relatve", UnknownNameError, "unknown scale 'relatve'; did you mean relative"),
        ("fog", 0, 0, "relative", InputError, "severity 0 of fog .* 1 to 5"),
        ("fog", 6, 0, "relative", InputError, "severity 6"),
        ("fog", 2.5, 0, "relative", InputError, "severity 2.5"),
        ("clean", 1, 0, "relative", InputError, "severity 1 of clean"),
        ("fog", 3, -1, "relative", InputError, "seed -1 is negative"),
    ],
)
def test_wrong_arguments(kind, severity, seed, scale, error, message):
    with pytest.raises(error, match=message):
        degrade(scene(16, 16), kind, severity, seed, scale)


@pytest.mark.parametrize("kind", [CLEAN, *KINDS])
@pytest.mark.parametrize("shape", [(20, 20), (20, 20, 4), (20, 20, 1), (0, 20, 3)])
def test_gray_and_alpha_arrays_are_refused(kind, shape):
    with pytest.raises(InputError, match=r"uint8 array of shape \(H, W, 3\)"):
        degrade(np.zeros(shape, np.uint8), kind, 0 if kind == CLEAN else 1, 0)


def test_image_seeds_are_stable_and_differ():
    assert image_seed(0, "easy-vqa/17") == 7562848387625773620
    seeds = {image_seed(seed, f"sample {number}") for seed in range(10) for number in range(100)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_goldens(regenerate_goldens):
    image = scene(48, 64)
    current = {}
    for kind in KINDS:
        for severity in SEVERITIES:
            degraded = degrade(image, kind, severity, 0)
            current[f"{kind} {severity}"] = {
                "sha256": sha256(degraded),
                "mean": round(float(degraded.mean()), 3),
                "std": round(float(degraded.std()), 3),
                "blocks": degraded.reshape(4, 12, 4, 16, 3).mean(axis=(1, 3)).round(1).ravel().tolist(),
            }
    if regenerate_goldens:
        lines = [f" {json.dumps(name)}: {json.dumps(values)}" for name, values in current.items()]
        GOLDENS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    golden = json.loads(GOLDENS.read_text())
    assert current.keys() == golden.keys(), "run pytest with --regenerate-goldens"

    wrong = []
    for name, now in current.items():
        then = golden[name]
        line = f"{name}: mean {then['mean']} -> {now['mean']}, std {then['std']} -> {now['std']}"
        # Another build of OpenCV or libjpeg may round a few pixels differently; larger differences come from our code.
        moved = np.abs(np.subtract(now["blocks"], then["blocks"])).max()
        if max(abs(now["mean"] - then["mean"]), abs(now["std"] - then["std"])) > 0.05 or moved > 0.5:
            wrong.append(line)
        elif now["sha256"] != then["sha256"]:
            print(f"pixels differ, statistics agree: {line}")  # noqa: T201
    assert not wrong, "\n".join(["run pytest with --regenerate-goldens if this is intended:", *wrong])


def test_contact_sheet():
    image = scene(30, 40)
    sheet = contact_sheet(image, tile=80)
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] > 7 * 60 and sheet.shape[1] > 5 * 80
    assert contact_sheet(image, kinds=["fog"], severities=[2, 4], tile=80).shape[0] < sheet.shape[0] / 2
    with pytest.raises(UnknownNameError):
        contact_sheet(image, kinds=["frog"])
    with pytest.raises(InputError):
        contact_sheet(image[..., 0])


@pytest.mark.parametrize("name", ["none", "None", "no", "original"])
def test_a_word_for_no_degradation_suggests_clean(name):
    with pytest.raises(UnknownNameError, match=r"; did you mean clean\? known: clean, "):
        check_kind(name)
    with pytest.raises(UnknownNameError) as met:  # clean is no part of a chain
        check_kind(f"fog+{name}")
    assert "clean," not in str(met.value) and "did you mean" not in str(met.value)
