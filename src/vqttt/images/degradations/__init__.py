"""Degradations and styles: what cameras, weather, codecs and artists do to an image, at five severities.

The first 19 follow D. Hendrycks and T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, as the package imagecorruptions 1.1 has them (C. Michaelis et al. 2019), which redefined
`elastic_transform` and draws motion without ImageMagick. Their parameters were fixed on photographs of 224 x 224. Under
the scale `relative` every length is multiplied by the short side / 224, so that an image of any size suffers what the
published one did; `absolute` takes lengths in pixels, as published. Amplitudes never change.
"""

import hashlib
import zlib
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from vqttt.errors import InputError, PluginError, UnknownNameError
from vqttt.images.degradations.atmosphere import haze, rain
from vqttt.images.degradations.blur import defocus_blur, gaussian_blur, glass_blur, motion_blur, zoom_blur
from vqttt.images.degradations.chains import (
    dashcam_in_rain,
    messenger_forward,
    old_scan,
    phone_at_night,
    photographed_screen,
    security_camera,
)
from vqttt.images.degradations.codec import banding, bit_depth, low_resolution, video_blocks, webp
from vqttt.images.degradations.digital import (
    brightness,
    contrast,
    elastic_transform,
    jpeg_compression,
    pixelate,
    saturate,
)
from vqttt.images.degradations.display import moire, occlusion, scan
from vqttt.images.degradations.exposure import color_cast, low_light, overexposure, vignette
from vqttt.images.degradations.frost import frost
from vqttt.images.degradations.lens import chromatic_aberration, lens_dirt, raindrops
from vqttt.images.degradations.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from vqttt.images.degradations.styles_line import halftone, line_art, sketch, stained_glass
from vqttt.images.degradations.styles_paint import (
    cartoon,
    grayscale,
    inverted,
    oil_paint,
    pixel_art,
    posterise,
    watercolour,
)
from vqttt.images.degradations.weather import fog, snow, spatter
from vqttt.images.files import at_least, check_image
from vqttt.registry import Registry
from vqttt.types import Image

__all__ = ["CLEAN", "DEGRADATIONS", "SCALES", "SEVERITIES", "STYLES", "Degradation"]
__all__ += ["check_kind", "degrade", "image_seed"]

Degradation: TypeAlias = Callable[[Image, int, np.random.Generator, float], Image]
"""`(image, severity, rng, unit) -> image`, where a published length of n pixels is n * `unit` pixels here.

`image` has sides of at least `MIN_SIDE` pixels and must not be written to; `severity` is 1 to 5.
"""

CLEAN = "clean"
"""The name of the undegraded condition, whose severity is 0."""

SEVERITIES = (1, 2, 3, 4, 5)
SCALES = ("relative", "absolute")

REFERENCE_SIDE = 224
"""The short side, in pixels, of the images that the published lengths were made for."""

MIN_SIDE = 16
"""An image with a shorter side, in pixels, is padded to this while it is degraded."""

DEGRADATIONS: Registry[Degradation] = Registry("degradation", group="vqttt.degradations", reserved=(CLEAN,))
DEGRADATIONS.add("gaussian_noise", gaussian_noise, "sensor noise in poor light: independent for each pixel and colour")
DEGRADATIONS.add("motion_blur", motion_blur, "the camera moves during exposure: smear along a random direction")
DEGRADATIONS.add("snow", snow, "falling snow: bright streaks before a whitened scene")
DEGRADATIONS.add("fog", fog, "drifting fog: a bright, cloudy veil that takes contrast away")
DEGRADATIONS.add("gaussian_blur", gaussian_blur, "out of focus: an even blur in all directions")
DEGRADATIONS.add("jpeg_compression", jpeg_compression, "strong JPEG compression: 8-pixel blocks and colour bleeding")
DEGRADATIONS.add("shot_noise", shot_noise, "few photons: grain that grows with brightness")
DEGRADATIONS.add("impulse_noise", impulse_noise, "single values turned black or white")
DEGRADATIONS.add("speckle_noise", speckle_noise, "noise in proportion to brightness, as in radar")
DEGRADATIONS.add("defocus_blur", defocus_blur, "out of focus: points become discs")
DEGRADATIONS.add("glass_blur", glass_blur, "seen through frosted or rippled glass")
DEGRADATIONS.add("zoom_blur", zoom_blur, "the camera moves ahead during exposure: streaks from the middle")
DEGRADATIONS.add("frost", frost, "ice crystals on the window pane before the camera")
DEGRADATIONS.add("brightness", brightness, "brighter than it was, up to white")
DEGRADATIONS.add("contrast", contrast, "all tones drawn toward the mean")
DEGRADATIONS.add("elastic_transform", elastic_transform, "parts stretched and squeezed, as on rubber")
DEGRADATIONS.add("pixelate", pixelate, "large square pixels")
DEGRADATIONS.add("spatter", spatter, "water, then mud, on the lens")
DEGRADATIONS.add("saturate", saturate, "colours taken away, then exaggerated")
DEGRADATIONS.add("low_light", low_light, "too little light: dark, and grainy where the gain lifts it")
DEGRADATIONS.add("overexposure", overexposure, "too much light: highlights clip to white and glow")
DEGRADATIONS.add("color_cast", color_cast, "wrong white balance: all turns orange or blue")
DEGRADATIONS.add("vignette", vignette, "light falls off toward the corners")
DEGRADATIONS.add("chromatic_aberration", chromatic_aberration, "red and blue fringes at edges, toward the corners")
DEGRADATIONS.add("raindrops", raindrops, "drops on the lens, each showing the scene upside down")
DEGRADATIONS.add("lens_dirt", lens_dirt, "a dirty lens: dark blots of dust, milky smears of grease")
DEGRADATIONS.add("haze", haze, "haze by distance: the far turns pale, the near stays clear")
DEGRADATIONS.add("rain", rain, "falling rain: bright streaks before a gray veil")
DEGRADATIONS.add("moire", moire, "a photographed screen: coloured bands over the image")
DEGRADATIONS.add("scan", scan, "a scanned page: askew, dusty, print shining through from the back")
DEGRADATIONS.add("occlusion", occlusion, "a finger, leaf, card or dark lump before the lens")
DEGRADATIONS.add("low_resolution", low_resolution, "a small image shown large, without its detail")
DEGRADATIONS.add("bit_depth", bit_depth, "few bits of each colour, without dithering")
DEGRADATIONS.add("banding", banding, "smooth gradients turn into visible steps")
DEGRADATIONS.add("video_blocks", video_blocks, "video with lost packets: displaced blocks, smears, false colours")
DEGRADATIONS.add("webp", webp, "strong WebP compression: smoothed and smeared")
DEGRADATIONS.add("phone_at_night", phone_at_night, "a telephone by night: shaken, dark, smoothed, compressed")
DEGRADATIONS.add("security_camera", security_camera, "a cheap security camera: noisy, few pixels, video errors")
DEGRADATIONS.add("dashcam_in_rain", dashcam_in_rain, "a camera behind a windscreen in rain: streaks, motion, drops")
DEGRADATIONS.add(
    "photographed_screen", photographed_screen, "a screen photographed by telephone: bands, blur, wrong colours"
)
DEGRADATIONS.add("messenger_forward", messenger_forward, "forwarded again and again: smaller, recompressed each time")
DEGRADATIONS.add("old_scan", old_scan, "an old print, faded and yellowed, scanned through dusty glass")


STYLES: Registry[Degradation] = Registry("style", group="vqttt.styles", reserved=(CLEAN,))
STYLES.add("sketch", sketch, "pencil on white paper: shading where tones change")
STYLES.add("line_art", line_art, "black outlines on white, and nothing else")
STYLES.add("cartoon", cartoon, "flat areas in few tones, strong colours, dark outlines")
STYLES.add("oil_paint", oil_paint, "broad strokes of one colour that stop at edges")
STYLES.add("watercolour", watercolour, "pale washes with wavering borders on rough paper")
STYLES.add("posterise", posterise, "a few flat tones of each primary colour")
STYLES.add("halftone", halftone, "printed in dots of coloured ink, as in a newspaper")
STYLES.add("grayscale", grayscale, "colours fade into gray")
STYLES.add("inverted", inverted, "bright tones turn dark; a full negative at 5")
STYLES.add("pixel_art", pixel_art, "large square pixels and a small palette")
STYLES.add("stained_glass", stained_glass, "pieces of coloured glass with dark lead between them")


def check_kind(kind: str) -> list[str]:
    """Return the names of which `kind` is made: none for `clean`, one, or several joined by `+`.

    Raises:
        UnknownNameError: if one of them is neither a degradation nor a style.
        InputError: if one of several is empty, or `clean`.
    """
    names = [] if kind == CLEAN else kind.split("+")
    if "" in names or CLEAN in names:
        raise InputError(f"{kind!r} is no chain; join names of degradations or styles, as in fog+jpeg_compression")
    for name in names:
        if name not in DEGRADATIONS and name not in STYLES:
            raise UnknownNameError("degradation or style", name, [CLEAN, *DEGRADATIONS, *STYLES])
    return names


def check_scale(scale: str) -> None:
    """Raise `UnknownNameError` unless `scale` is one of `SCALES`."""
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)


def check_severity(severity: int) -> None:
    """Raise `InputError` unless `severity` is one that degradations have."""
    if severity not in SEVERITIES:
        raise InputError(f"severity {severity} is out of range; 1 to 5 are known")


def degrade(image: Image, kind: str, severity: int, seed: int, scale: str = "relative") -> Image:
    """Degrade an image; the same arguments always give the same pixels.

    Args:
        image: uint8 RGB of shape (H, W, 3), any size; never modified.
        kind: a name in `DEGRADATIONS` or `STYLES`; several joined by `+`, from first to last; or `clean`, which
            returns `image` itself.
        severity: 1 (slight) to 5 (severe), of each; 0 for `clean`.
        seed: 0 or more; which noise, direction or clouds to draw (see `image_seed`).
        scale: `relative` or `absolute` lengths (see the module).

    Returns:
        A uint8 array of the same shape.

    Raises:
        UnknownNameError: if `kind` or `scale` is not known.
        InputError: if `image`, `severity` or `seed` is not as described.
        PluginError: if what another package registered gives no such image.
    """
    check_image(image)
    names = check_kind(kind)
    check_scale(scale)
    if severity not in (SEVERITIES if names else [0]):
        raise InputError(f"severity {severity} of {kind} is out of range; {CLEAN} has 0, all others 1 to 5")
    if seed < 0:
        raise InputError(f"seed {seed} is negative; give 0 or more")
    if not names:
        return image

    height, width = image.shape[:2]
    degraded = at_least(image, MIN_SIDE)
    unit = min(degraded.shape[:2]) / REFERENCE_SIDE if scale == "relative" else 1.0
    for place, name in enumerate(names):
        # The name is mixed in so that, say, noise and snow of one seed do not share their draws.
        entropy = [seed, zlib.crc32(name.encode()), severity, *([place] if place else [])]
        registry = DEGRADATIONS if name in DEGRADATIONS else STYLES
        degraded = degraded.view()
        degraded.flags.writeable = False
        before, rng = degraded, np.random.default_rng(entropy)
        degraded = registry.call(name, before, severity, rng, unit)
        if degraded.shape != before.shape:
            raise PluginError(
                f"{name} made an image of shape {degraded.shape} of one of {before.shape}; it must keep it"
            )
    return np.ascontiguousarray(degraded[:height, :width])


def image_seed(seed: int, sample_id: str) -> int:
    """Return a seed (0 to 2**63 - 1) for one sample of a study whose own seed is `seed`; stable between runs."""
    digest = hashlib.sha256(f"{seed}:{sample_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
