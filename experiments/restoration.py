"""How much does each restorer restore? PSNR before and after, on photographs: `python -m experiments.restoration`.

Writes docs/restoration.md, which also states on which images the restorers were tuned. Needs the weights of MAXIM.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from experiments.gallery import small
from vqttt.errors import MissingExtraError
from vqttt.images.degradations import DEGRADATIONS, SEVERITIES, degrade
from vqttt.images.files import save_image
from vqttt.images.gallery import grid
from vqttt.images.quality import MAX_PSNR, measure
from vqttt.images.restorers import MATCHED, MATCHING, restore
from vqttt.runs.records import CLEAN

DOCS = Path(__file__).resolve().parent.parent / "docs"
PHOTOS = ("coffee", "camera", "retina", "immunohistochemistry", "hubble_deep_field", "coins", "brick", "gravel")
NOISE = ("gaussian_noise", "shot_noise", "speckle_noise")
CLASSICAL = {
    "non-local-means": NOISE,
    "bilateral": NOISE,
    "total-variation": NOISE,
    "median": ("impulse_noise",),
    "wiener": ("gaussian_blur", "defocus_blur"),
    "richardson-lucy": ("gaussian_blur", "defocus_blur", "motion_blur"),
    "unsharp-mask": ("gaussian_blur",),
    "dehaze": ("fog", "haze"),
    "clahe": ("contrast",),
    "gamma": ("contrast", "brightness", "low_light"),
    "deblock": ("jpeg_compression",),
}
MAXIM = {
    "maxim-denoising": NOISE,
    "maxim-deblurring": ("motion_blur",),
    "maxim-deraining": ("rain",),
    "maxim-dehazing-indoor": ("haze",),
    "maxim-dehazing-outdoor": ("haze", "fog"),
    "maxim-enhancement": ("low_light",),
}
"""The degradations that each restorer is made for."""

MAXIM_SEVERITIES, MAXIM_PHOTOS = (1, 3, 5), PHOTOS[:3]
"""Fewer for MAXIM, since an image takes seconds."""


def photographs() -> dict[str, np.ndarray]:
    """Load the photographs, gray ones as RGB, each with a short side of 224 pixels."""
    from skimage import data

    loaded = {name: getattr(data, name)() for name in PHOTOS}
    return {
        name: small(photo if photo.ndim == 3 else np.repeat(photo[..., None], 3, axis=2))
        for name, photo in loaded.items()
    }


def trials(photos: dict[str, np.ndarray], restorer: str, kind: str, severities: tuple[int, ...]) -> pl.DataFrame:
    """Degrade, restore and measure; returns one row for each photograph and severity."""
    rows = []
    for severity in severities:
        for name, photo in photos.items():
            degraded = degrade(photo, kind, severity, 0)
            began = time.perf_counter()
            restored = restore(degraded, restorer, kind)
            spent = time.perf_counter() - began
            before, after = measure(degraded, photo), measure(restored, photo)
            rows.append(
                {"severity": severity, "photo": name, "before": before.psnr, "after": after.psnr, "ms": 1000 * spent}
                | {"gain": after.psnr - before.psnr, "ssim": after.ssim - before.ssim}
            )
    return pl.DataFrame(rows)


def line(restorer: str, kind: str, rows: pl.DataFrame) -> str:
    """Summarise trials in one row of the table."""
    gains = rows.group_by("severity", maintain_order=True).agg(pl.col("gain").mean())
    by_severity = dict(gains.iter_rows())
    cells = [restorer, kind, str(len(rows)), f"{rows['before'].mean():.1f}", f"{rows['after'].mean():.1f}"]
    cells += [f"**{rows['gain'].mean():+.1f}**"]
    cells += [f"{by_severity[s]:+.1f}" if s in by_severity else "" for s in SEVERITIES]
    cells += [f"{(rows['gain'] > 0).mean():.0%}", f"{rows['ssim'].mean():+.3f}", f"{rows['ms'].median():.0f}"]
    return "| " + " | ".join(cells) + " |"


def lines_for(table: dict[str, tuple[str, ...]], photos: dict[str, np.ndarray], severities: tuple[int, ...]) -> str:
    """Measure restorers on the degradations that they are made for."""
    lines = []
    for restorer, kinds in table.items():
        for kind in kinds:
            lines.append(line(restorer, kind, trials(photos, restorer, kind, severities)))
            print(lines[-1], flush=True)
    return "\n".join(lines)


def on_clean(photos: dict[str, np.ndarray], restorers: list[str]) -> Iterator[str]:
    """Yield a row for each restorer on undegraded images: how many stay identical, and the PSNR of the others."""
    for restorer in restorers:
        rows = trials(photos, restorer, CLEAN, (0,))
        same = (rows["after"] >= MAX_PSNR).sum()
        changed = rows.filter(pl.col("after") < MAX_PSNR)["after"]
        worst = f"{changed.mean():.1f} | {changed.min():.1f}" if len(changed) else "|"
        yield f"| {restorer} | {same} of {len(rows)} | {worst} |"


def enlarged(photos: dict[str, np.ndarray]) -> str:
    """Halve images, enlarge them again by `lanczos` and by plain interpolation, and compare with the originals."""
    gains = []
    for photo in photos.values():
        even = np.ascontiguousarray(photo[: photo.shape[0] // 2 * 2, : photo.shape[1] // 2 * 2])
        size = even.shape[1::-1]
        half = np.asarray(cv2.resize(even, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA))
        plain = [cv2.resize(half, size, interpolation=method) for method in (cv2.INTER_NEAREST, cv2.INTER_LINEAR)]
        gains.append([measure(np.asarray(image), even).psnr for image in (*plain, restore(half, "lanczos"))])
    nearest, linear, ours = np.mean(gains, axis=0)
    return ENLARGED.format(n=len(gains), nearest=nearest, linear=linear, ours=ours)


def sheet(photo: np.ndarray) -> None:
    """Draw a row for each degradation with a matching restorer, at severity 3: degraded, `matched`, `auto`."""
    rows = {CLEAN: [photo]}
    for kind in MATCHING:
        degraded = degrade(photo, kind, 3, 0)
        rows[kind] = [degraded, restore(degraded, MATCHED, kind), restore(degraded, "auto")]
    save_image(grid(rows, ["severity 3", "matched", "auto"], tile=240), DOCS / "gallery" / "restorers.webp")


def main() -> None:
    """Measure, print each row, and write the page."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    photos = photographs()
    classical = lines_for(CLASSICAL, photos, SEVERITIES)
    auto = lines_for({"auto": tuple(DEGRADATIONS), "matched": tuple(MATCHING)}, photos, SEVERITIES)
    few = {name: photos[name] for name in MAXIM_PHOTOS}
    try:
        maxim = lines_for(MAXIM, few, MAXIM_SEVERITIES)
    except MissingExtraError as error:
        raise SystemExit(f"{error}; all six variants are needed") from error
    clean = "\n".join(on_clean(photos, [*CLASSICAL, "auto"]))
    sheet(photos["coffee"])
    parts = {"classical": classical, "auto": auto, "maxim": maxim, "clean": clean, "enlarged": enlarged(photos)}
    (DOCS / "restoration.md").write_text(PAGE.format(head=HEAD, **parts))


HEAD = """| restorer | degradation | n | before | after | gain | 1 | 2 | 3 | 4 | 5 | better | SSIM | ms |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""

ENLARGED = """For {n} photographs that were halved in size and enlarged again, the PSNR to the original is
{nearest:.1f} dB with doubled pixels, {linear:.1f} dB with linear interpolation and **{ours:.1f} dB** with `lanczos`."""

PAGE = """# How much restorers restore

PSNR in dB of degraded images, compared with the undegraded ones, before and after restoration; a restorer gets only the
degraded image. The images are eight photographs from scikit-image (coffee, camera, retina, immunohistochemistry,
hubble_deep_field, coins, brick, gravel) with a short side of 224 pixels, at severities 1 to 5, with seed 0.

`n` is the number of images; `gain` is the mean gain, followed by the gain at each severity; `better` is the share of
images that came closer to the original; SSIM is the mean change in structural similarity; `ms` is the median time per
image in milliseconds, on one thread of a busy machine.

The restorers' constants were chosen on other photographs (chelsea, rocket, astronaut, and matplotlib's grace_hopper).
Two of them, in `dehaze` and `gamma`, and some limits of `auto` were chosen with these eight in view as well, so their
figures may be slightly too good.

A gain in PSNR does not mean more correct answers. `vqttt study --restorer` measures whether a model answers better.

![Before and after, matched and auto](gallery/restorers.webp)

## Classical restorers on the degradations they are made for

{head}
{classical}

## MAXIM

Three photographs (coffee, camera, retina), severities 1, 3 and 5. Each network was trained on one dataset and may not
help with images that differ from it: `maxim-denoising`, for example, was trained on the noise of phone cameras.

{head}
{maxim}

## `auto` on all degradations, and `matched`

`matched` is told the degradation; `auto` is not. `auto` should leave an image as it is where nothing helps, but it
mistakes some degradations (glass and zoom blur, rain, lens dirt) for others, and then does harm.

{head}
{auto}

## Enlarging

{enlarged}

## Undegraded images

The number of the eight images that stay identical, and the mean and lowest PSNR of the others.

| restorer | unchanged | mean dB | lowest |
| --- | ---: | ---: | ---: |
{clean}

Generated by `python -m experiments.restoration`.
"""


if __name__ == "__main__":
    main()
