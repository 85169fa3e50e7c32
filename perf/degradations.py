"""Parity and time of ImageNet-C's degradations against imagecorruptions-imaug: `python -m perf.degradations`.

Writes docs/imagenet-c.md. Photographs are those that scikit-image carries.
"""

import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from vqttt.images.degradations import SEVERITIES, degrade
from vqttt.images.quality import measure

PAGE = Path(__file__).parent.parent / "docs" / "imagenet-c.md"
EXACT = ("defocus_blur", "zoom_blur", "gaussian_blur", "brightness", "contrast", "saturate", "pixelate")
EXACT += ("jpeg_compression",)
TAKES_SEED = ("glass_blur", "impulse_noise")
RUNS = 5


def main() -> None:
    """Measure, print and write."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import imagecorruptions
        from skimage import data

    def corrupt(image: np.ndarray, kind: str, severity: int, seed: int) -> np.ndarray:
        if kind in TAKES_SEED:
            function = getattr(imagecorruptions.corruptions, kind)
            return np.asarray(np.uint8(function(image, severity=severity, seed=seed)))
        np.random.seed(seed)  # noqa: NPY002
        return np.asarray(imagecorruptions.corrupt(image, corruption_name=kind, severity=severity))

    photo = data.astronaut()
    sizes = {side: cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA) for side in (224, 512)}
    lines = []
    for kind in imagecorruptions.get_corruption_names("all"):
        row = [kind, parity(sizes[224], kind, corrupt)]
        for image in sizes.values():
            ours, theirs = times(image, kind, corrupt)
            row += [f"{ours:.1f}", f"{theirs:.1f}", f"{theirs / ours:.1f}×"]
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    PAGE.write_text(TEXT.format(table="\n".join(lines), other=version("imagecorruptions-imaug")))


def parity(image: np.ndarray, kind: str, corrupt: Callable[..., np.ndarray]) -> str:
    """Say how far the two are apart: pixel by pixel where nothing is random, otherwise in mean and PSNR."""
    if kind in EXACT:
        pairs = [(degrade(image, kind, s, 0, "absolute"), corrupt(image, kind, s, 0)) for s in SEVERITIES]
        return f"at most {max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs)} of 255"
    groups = []
    for function in (lambda *args: degrade(*args, "absolute"), corrupt):
        images = [function(image, kind, severity, seed) for severity in SEVERITIES for seed in range(20)]
        groups.append([(float(p.mean()), measure(p, image).psnr) for p in images])
    mean, psnr = np.mean(groups[0], axis=0) - np.mean(groups[1], axis=0)
    return f"mean {mean:+.1f}, PSNR {psnr:+.2f} dB"


def times(image: np.ndarray, kind: str, corrupt: Callable[..., np.ndarray]) -> tuple[float, float]:
    """Return the medians of both in milliseconds, over all severities, taken in turns after one run to warm up."""
    ours, theirs = [], []
    for run in range(-1, RUNS):
        for severity in SEVERITIES:
            moments = [time.perf_counter()]
            degrade(image, kind, severity, run + 1, "absolute")
            moments.append(time.perf_counter())
            corrupt(image, kind, severity, run + 1)
            moments.append(time.perf_counter())
            if run >= 0:
                ours.append(moments[1] - moments[0])
                theirs.append(moments[2] - moments[1])
    return 1000 * float(np.median(ours)), 1000 * float(np.median(theirs))


TEXT = """# ImageNet-C: parity and time

All 19 degradations of ImageNet-C under `scale="absolute"`, against imagecorruptions-imaug {other}, on a photograph at
224 and 512 pixels (astronaut, of scikit-image). Where nothing is random the images are compared pixel by pixel: they
cut decimals off where we round. Otherwise the table has the difference in mean brightness (of 255) and in PSNR, over
five severities of 20 draws each. Fog's clouds are a few large waves, so that their mean differs from one set of draws
to another. Frost is drawn here, where theirs is cut from six photographs. Times are medians in milliseconds, the two
taken in turns on 2 cores.

| degradation | difference | ours, 224 | theirs | faster | ours, 512 | theirs | faster |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
{table}

Made by `python -m perf.degradations`; the comparison is also a test, `tests/images/test_imagenet_c.py`.
"""


if __name__ == "__main__":
    main()
