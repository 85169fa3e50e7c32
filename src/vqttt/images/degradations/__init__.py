"""Degradations and styles: what cameras, weather, codecs and artists do to an image, at five severities.

The first 19 are those of ImageNet-C (D. Hendrycks and T. Dietterich, "Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations", ICLR 2019) as implemented by the package imagecorruptions 1.1 (C. Michaelis et al.
2019), which redefined `elastic_transform` and draws motion blur without ImageMagick.

Their parameters were published for photographs of 224 x 224 pixels. With the scale `relative`, every length is
multiplied by the short side / 224, so that images of any size are degraded as strongly as those; with `absolute`,
lengths are in pixels, as published. Amplitudes never change.
"""

import hashlib
import zlib

import numpy as np
from PIL import Image as PILImage

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
from vqttt.images.degradations.interface import MIN_SIDE, REFERENCE_SIDE, Degradation
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
from vqttt.images.files import as_image
from vqttt.images.ops import at_least
from vqttt.registry import Registry
from vqttt.runs.records import CLEAN
from vqttt.types import Image

__all__ = ["CLEAN", "DEGRADATIONS", "SCALES", "SEVERITIES", "STYLES", "Degradation"]
__all__ += ["check_kind", "check_scale", "check_severity", "degrade", "image_seed"]

SEVERITIES = (1, 2, 3, 4, 5)
SCALES = ("relative", "absolute")

DEGRADATIONS: Registry[Degradation] = Registry("degradation", group="vqttt.degradations", reserved=(CLEAN,))
DEGRADATIONS.add("gaussian_noise", gaussian_noise, "sensor noise in poor light, independent for each pixel and colour")
DEGRADATIONS.add("motion_blur", motion_blur, "the camera moves during exposure: a smear in a random direction")
DEGRADATIONS.add("snow", snow, "falling snow: bright streaks in front of a whitened scene")
DEGRADATIONS.add("fog", fog, "drifting fog: a bright, cloudy veil that lowers contrast")
DEGRADATIONS.add("gaussian_blur", gaussian_blur, "out of focus: an even blur in all directions")
DEGRADATIONS.add("jpeg_compression", jpeg_compression, "strong JPEG compression: 8-pixel blocks and bleeding colours")
DEGRADATIONS.add("shot_noise", shot_noise, "few photons: grain that grows with brightness")
DEGRADATIONS.add("impulse_noise", impulse_noise, "isolated values turned black or white")
DEGRADATIONS.add("speckle_noise", speckle_noise, "noise in proportion to brightness, as in radar images")
DEGRADATIONS.add("defocus_blur", defocus_blur, "out of focus: points become discs")
DEGRADATIONS.add("glass_blur", glass_blur, "seen through frosted or rippled glass")
DEGRADATIONS.add("zoom_blur", zoom_blur, "the camera moves forward during exposure: streaks from the centre")
DEGRADATIONS.add("frost", frost, "ice crystals on a window in front of the camera")
DEGRADATIONS.add("brightness", brightness, "everything brighter, up to white")
DEGRADATIONS.add("contrast", contrast, "low contrast: all tones close to the mean")
DEGRADATIONS.add("elastic_transform", elastic_transform, "parts stretched and squeezed, as if printed on rubber")
DEGRADATIONS.add("pixelate", pixelate, "large square pixels")
DEGRADATIONS.add("spatter", spatter, "water (severity 1 to 3) or mud (4 and 5) on the lens")
DEGRADATIONS.add("saturate", saturate, "colours weakened (severity 1 and 2) or exaggerated (3 to 5)")
DEGRADATIONS.add("low_light", low_light, "too little light: dark, and grainy from the camera's gain")
DEGRADATIONS.add("overexposure", overexposure, "too much light: highlights clip to white and glow")
DEGRADATIONS.add("color_cast", color_cast, "wrong white balance: everything turns orange or blue")
DEGRADATIONS.add("vignette", vignette, "light falls off toward the corners")
DEGRADATIONS.add("chromatic_aberration", chromatic_aberration, "red and blue fringes at edges, widest in the corners")
DEGRADATIONS.add("raindrops", raindrops, "drops on the lens, each showing the scene upside down")
DEGRADATIONS.add("lens_dirt", lens_dirt, "a dirty lens: dark blots of dust, milky smears of grease")
DEGRADATIONS.add("haze", haze, "hazy air: distant things turn pale, near ones stay clear")
DEGRADATIONS.add("rain", rain, "falling rain: bright streaks in front of a gray veil")
DEGRADATIONS.add("moire", moire, "a photographed screen: coloured bands over the image")
DEGRADATIONS.add("scan", scan, "a scanned page: skewed, dusty, print showing through from the back")
DEGRADATIONS.add("occlusion", occlusion, "a finger, leaf, card or dark lump in front of the lens")
DEGRADATIONS.add("low_resolution", low_resolution, "a small image enlarged, without fine detail")
DEGRADATIONS.add("bit_depth", bit_depth, "few bits of each colour, without dithering")
DEGRADATIONS.add("banding", banding, "smooth gradients turn into visible steps")
DEGRADATIONS.add("video_blocks", video_blocks, "video with lost packets: displaced blocks, smears, false colours")
DEGRADATIONS.add("webp", webp, "strong WebP compression: smoothed and smeared")
DEGRADATIONS.add("phone_at_night", phone_at_night, "a phone camera at night: shaken, dark, smoothed, compressed")
DEGRADATIONS.add("security_camera", security_camera, "a cheap security camera: noisy, few pixels, video errors")
DEGRADATIONS.add("dashcam_in_rain", dashcam_in_rain, "a camera behind a windscreen in rain: streaks, motion, drops")
DEGRADATIONS.add(
    "photographed_screen", photographed_screen, "a screen photographed by phone: bands, blur, wrong colours"
)
DEGRADATIONS.add("messenger_forward", messenger_forward, "forwarded again and again: smaller, recompressed each time")
DEGRADATIONS.add("old_scan", old_scan, "an old print, faded and yellowed, scanned through dusty glass")

STYLES: Registry[Degradation] = Registry("style", group="vqttt.styles", reserved=(CLEAN,))
STYLES.add("sketch", sketch, "pencil on white paper: shading where tones change")
STYLES.add("line_art", line_art, "black outlines on white, and nothing else")
STYLES.add("cartoon", cartoon, "flat areas in few tones, strong colours, dark outlines")
STYLES.add("oil_paint", oil_paint, "broad strokes of a single colour that stop at edges")
STYLES.add("watercolour", watercolour, "pale washes with wavering borders on rough paper")
STYLES.add("posterise", posterise, "a few flat tones of each primary colour")
STYLES.add("halftone", halftone, "printed in dots of coloured ink, as in a newspaper")
STYLES.add("grayscale", grayscale, "colours fade into gray")
STYLES.add("inverted", inverted, "bright tones turned dark; a full negative at severity 5")
STYLES.add("pixel_art", pixel_art, "large square pixels and a small palette")
STYLES.add("stained_glass", stained_glass, "pieces of coloured glass with dark lead between them")


def check_kind(kind: str) -> list[str]:
    """Return the names in `kind`: none for `clean`, otherwise one, or several joined by `+`.

    Raises:
        UnknownNameError: if one of them is neither a degradation nor a style.
        InputError: if a name in a chain is empty, or `clean`.
    """
    names = [] if kind == CLEAN else kind.split("+")
    if "" in names or CLEAN in names:
        raise InputError(f"{kind!r} is not a chain; join degradations or styles with +, as in fog+jpeg_compression")
    for name in names:
        if name not in DEGRADATIONS and name not in STYLES:
            alone = [CLEAN] if len(names) == 1 else []
            raise UnknownNameError("degradation or style", name, [*alone, *DEGRADATIONS, *STYLES])
    return names


def check_scale(scale: str) -> None:
    """Raise `UnknownNameError` unless `scale` is one of `SCALES`."""
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)


def check_severity(severity: int) -> None:
    """Raise `InputError` unless `severity` is one of `SEVERITIES`."""
    if severity not in SEVERITIES:
        raise InputError(f"severity {severity} is out of range; 1 to 5 are allowed")


def degrade(image: Image | PILImage.Image, kind: str, severity: int, seed: int, scale: str = "relative") -> Image:
    """Degrade an image; the same arguments always give the same pixels.

    Args:
        image: uint8 RGB of shape (H, W, 3), any size, or a Pillow image; never modified.
        kind: a name in `DEGRADATIONS` or `STYLES`; several joined by `+`, applied from left to right; or `clean`, which
            returns `image` itself.
        severity: 1 (slight) to 5 (severe) for each of them; 0 for `clean`.
        seed: 0 or more; decides the random draws, such as noise or a direction (see `image_seed`).
        scale: whether lengths are `relative` or `absolute` (see the module).

    Returns:
        A uint8 array of the same shape.

    Raises:
        UnknownNameError: if `kind` or `scale` is unknown.
        InputError: if `image`, `severity` or `seed` is not as described.
        PluginError: if another package's degradation fails, or returns anything but such an array.
    """
    image = as_image(image)
    names = check_kind(kind)
    check_scale(scale)
    if severity not in (SEVERITIES if names else [0]):
        raise InputError(f"severity {severity} of {kind} is out of range; {CLEAN} has severity 0, all others 1 to 5")
    if seed < 0:
        raise InputError(f"seed {seed} is negative; give 0 or more")
    if not names:
        return image

    height, width = image.shape[:2]
    degraded = at_least(image, MIN_SIDE)
    unit = min(degraded.shape[:2]) / REFERENCE_SIDE if scale == "relative" else 1.0
    for place, name in enumerate(names):
        # The name is part of the seed, so that noise and snow, say, do not share their draws.
        entropy = [seed, zlib.crc32(name.encode()), severity, *([place] if place else [])]
        registry = DEGRADATIONS if name in DEGRADATIONS else STYLES
        degraded = degraded.view()
        degraded.flags.writeable = False
        before, rng = degraded, np.random.default_rng(entropy)
        degraded = registry.call(name, before, severity, rng, unit)
        if degraded.shape != before.shape:
            raise PluginError(
                f"{name} turned an image of shape {before.shape} into one of {degraded.shape}; it must keep the shape"
            )
    return np.ascontiguousarray(degraded[:height, :width])


def image_seed(seed: int, sample_id: str) -> int:
    """Derive the seed (0 to 2**63 - 1) of one sample's image from a study's `seed`; it is the same in every run."""
    digest = hashlib.sha256(f"{seed}:{sample_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
