"""Images of every unusual kind load as uint8 RGB; files that are not images are refused in one clear line."""

import base64
import io
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from vqttt.errors import ImageError, InputError
from vqttt.images.files import (
    MAX_PIXELS,
    as_image,
    check_image,
    decode_base64,
    load_image,
    save_image,
    sha256,
    to_data_uri,
)

RED, WHITE = [255, 0, 0], [255, 255, 255]


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def _ramp(dtype: type, top: float) -> np.ndarray:
    """A gray ramp 0..top over 256 columns, which must load as 0..255."""
    return np.tile(np.linspace(0, top, 256).astype(dtype), (4, 1))


def _save(path: Path, image: PILImage.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to no data, as a decompression bomb does."""

    def chunk(tag: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF"])
def test_lossless_formats_round_trip(tmp_path, photo, suffix):
    path = tmp_path / f"photo{suffix}"
    save_image(photo, path)
    loaded = load_image(path)
    assert loaded.dtype == np.uint8
    assert loaded.flags.c_contiguous and loaded.flags.writeable
    np.testing.assert_array_equal(loaded, photo)
    np.testing.assert_array_equal(load_image(str(path)), photo)
    np.testing.assert_array_equal(load_image(path.read_bytes()), photo)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_come_close(tmp_path, suffix):
    flat = np.full((32, 32, 3), (200, 90, 40), np.uint8)
    save_image(flat, tmp_path / f"photo{suffix}")
    assert np.abs(load_image(tmp_path / f"photo{suffix}").astype(int) - flat).max() <= 4


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("16 bit.png", _ramp(np.uint16, 65535)),
        ("16 bit.tif", _ramp(np.uint16, 65535)),
        ("32 bit to 255.tif", _ramp(np.int32, 255)),
        ("32 bit to 65535.tif", _ramp(np.int32, 65535)),
        ("float to 1.tif", _ramp(np.float32, 1)),
        ("float to 255.tif", _ramp(np.float32, 255)),
        ("float to 65535.tif", _ramp(np.float32, 65535)),
    ],
)
def test_deep_gray_is_scaled_not_clipped(tmp_path, name, values):
    loaded = load_image(_save(tmp_path / name, PILImage.fromarray(values)))
    expected = np.broadcast_to(np.arange(256)[:, None], (4, 256, 3))
    assert np.abs(loaded.astype(int) - expected).max() <= 1


def test_deep_gray_pgm(tmp_path):
    path = tmp_path / "deep.pgm"
    path.write_bytes(b"P5 2 1 65535\n" + struct.pack(">HH", 0x8080, 0xFFFF))
    assert load_image(path)[0, :, 0].tolist() == [128, 255]


def test_dark_16_bits_stay_dark(tmp_path):
    """A format whose integers always have 16 bits leaves no doubt, also where Pillow keeps them in 32."""
    dark = np.array([[0, 200]], np.uint16)
    (tmp_path / "dark.pgm").write_bytes(b"P5 2 1 65535\n" + dark.astype(">u2").tobytes())
    for name in ("dark.png", "dark.tif", "dark.pgm"):
        path = tmp_path / name
        assert load_image(path if path.exists() else _save(path, PILImage.fromarray(dark))).max() == 1


@pytest.mark.parametrize("scale", [1, 255, 65535])
def test_a_little_overshoot_of_floats_is_clipped(tmp_path, scale):
    for darkest, brightest in ((0, 1.0016), (-0.02, 1), (-0.08, 1.08)):
        values = _ramp(np.float32, scale)
        values[0, 0], values[0, -1] = darkest * scale, brightest * scale
        loaded = load_image(_save(tmp_path / "over.tif", PILImage.fromarray(values)))[..., 0].astype(int)
        assert np.abs(loaded - np.arange(256)).max() <= 1
        assert loaded[0, 0] == 0 and loaded[0, -1] == 255


def test_dark_whole_levels_of_8_bits_are_clear(tmp_path):
    dark = np.array([[0, 2]], np.float32)
    assert load_image(_save(tmp_path / "dark.tif", PILImage.fromarray(dark)))[0, :, 0].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("dtype", "levels", "found"),
    [
        (np.float32, [0, 1, np.nan], "1 of 3 gray levels are not finite"),
        (np.float32, [0, np.inf, -np.inf], "2 of 3 gray levels are not finite"),
        (np.float32, [0, 0.5, -3], "from -3 to 0.5"),
        (np.float32, [-1, 0, 1], "from -1 to 1"),
        (np.float32, [0, 0.7, 1.5], "from 0 to 1.5"),
        (np.float32, [0, 0.7, 7.25], "from 0 to 7.25"),
        (np.float32, [-128, 0, 127], "from -128 to 127"),
        (np.float32, [0, 200, 300], "from 0 to 300"),
        (np.float32, [0, 200, 1023], "from 0 to 1023"),
        (np.float32, [0, 200, 1e6], "from 0 to 1e+06"),
        (np.int32, [-1, 0, 255], "from -1 to 255"),
        (np.int32, [0, 200, 258], "from 0 to 258"),
        (np.int32, [0, 200, 65536], "from 0 to 65536"),
        (np.int32, [0, 200, 2**31 - 1], "from 0 to 2.14748e+09"),
    ],
)
def test_gray_of_no_clear_range_is_refused(tmp_path, dtype, levels, found):
    image = PILImage.fromarray(np.array([levels], dtype))
    message = _error(_save(tmp_path / "deep.tif", image))
    assert found in message
    assert message.endswith("give 8-bit or 16-bit integers, or floats from 0 to 1 or 0 to 255")
    with pytest.raises(ImageError, match=r"^the Pillow image cannot be read: .*gray levels"):
        as_image(image)


@pytest.mark.parametrize(
    ("name", "mode", "colour", "expected"),
    [
        ("1.png", "1", 1, WHITE),
        ("1.tif", "1", 0, [0, 0, 0]),
        ("L.png", "L", 77, [77, 77, 77]),
        ("LA.png", "LA", (0, 0), WHITE),
        ("LA half.png", "LA", (0, 128), [127, 127, 127]),
        ("RGBA.png", "RGBA", (255, 0, 0, 255), RED),
        ("RGBA clear.webp", "RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA half.tif", "RGBA", (255, 0, 0, 128), [255, 127, 127]),
        ("CMYK.tif", "CMYK", (0, 255, 255, 0), RED),
        ("CMYK.jpg", "CMYK", (0, 0, 0, 0), WHITE),
        ("YCbCr.jpg", "YCbCr", (255, 128, 128), WHITE),
        ("LAB.tif", "LAB", (255, 128, 128), WHITE),
    ],
)
def test_colour_modes(tmp_path, name, mode, colour, expected):
    loaded = load_image(_save(tmp_path / name, PILImage.new(mode, (3, 2), colour)))
    assert loaded.shape == (2, 3, 3)
    assert np.abs(loaded.astype(int) - expected).max() <= 1


def test_palettes(tmp_path, photo):
    palette = PILImage.fromarray(photo).quantize(16)
    for name in ("palette.png", "palette.gif", "palette.bmp"):
        np.testing.assert_array_equal(load_image(_save(tmp_path / name, palette)), np.array(palette.convert("RGB")))


def test_palette_with_transparency_is_laid_over_white(tmp_path):
    palette = PILImage.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    for name, transparency in (("index.png", 1), ("index.gif", 1), ("bytes.png", b"\xff\x00")):
        loaded = load_image(_save(tmp_path / name, palette, transparency=transparency))
        assert loaded[0].tolist() == [RED, WHITE], name


def test_transparent_colour_of_rgb_png(tmp_path):
    plain = PILImage.new("RGB", (2, 1), (255, 0, 0))
    plain.putpixel((1, 0), (0, 0, 9))
    assert load_image(_save(tmp_path / "key.png", plain, transparency=(0, 0, 9)))[0].tolist() == [RED, WHITE]


@pytest.mark.parametrize("name", ["animated.gif", "animated.webp", "animated.png", "pages.tif"])
def test_first_frame_of_an_animation(tmp_path, name):
    first, second = (PILImage.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    loaded = load_image(_save(tmp_path / name, first, save_all=True, append_images=[second], lossless=True))
    assert np.abs(loaded.astype(int) - RED).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, photo, orientation):
    stored: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda upright: upright,
        2: np.fliplr,
        3: lambda upright: np.rot90(upright, 2),
        4: np.flipud,
        5: lambda upright: upright.swapaxes(0, 1),
        6: lambda upright: np.rot90(upright, 1),
        7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
        8: lambda upright: np.rot90(upright, -1),
    }
    exif = PILImage.Exif()
    exif[0x0112] = orientation
    image = PILImage.fromarray(np.ascontiguousarray(stored[orientation](photo)))
    np.testing.assert_array_equal(load_image(_save(tmp_path / "turned.png", image, exif=exif)), photo)


def test_malformed_exif_is_ignored(tmp_path, photo):
    image = PILImage.fromarray(photo)
    for name, exif in (("noise.png", b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"), ("short.png", b"Exif\x00\x00II")):
        np.testing.assert_array_equal(load_image(_save(tmp_path / name, image, exif=exif)), photo)


def test_one_pixel(tmp_path):
    save_image(np.array([[RED]], np.uint8), tmp_path / "one.png")
    assert load_image(tmp_path / "one.png").tolist() == [[RED]]


def _error(source: Path | bytes) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(source)
    message = str(caught.value)
    assert "\n" not in message
    assert str(source) in message or isinstance(source, bytes)
    return message


def test_files_that_are_not_images_are_refused(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("just some text")
    (tmp_path / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    assert "no such file" in _error(tmp_path / "missing.png")
    assert "a folder" in _error(tmp_path)
    assert "empty" in _error(tmp_path / "empty.png")
    assert "empty" in _error(b"")
    assert "not an image" in _error(tmp_path / "text.png")
    assert "14 bytes" in _error(b"just some text")
    assert "vector drawing" in _error(tmp_path / "drawing.eps")
    assert "cannot be opened" in _error(tmp_path / ("x" * 300))
    assert "no such file" in _error(Path("nul\0l.png"))
    assert "neither" in _error(Path("/dev/null"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".gif"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_truncated_files_are_refused(tmp_path, suffix, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PILImage.fromarray(noise).save(buffer, format=PILImage.registered_extensions()[suffix])
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * kept)])
    _error(path)


def test_damaged_files_never_raise_anything_else():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        buffer = io.BytesIO()
        PILImage.fromarray(noise).save(buffer, format=kind)
        for _ in range(30):
            damaged = np.frombuffer(buffer.getvalue(), np.uint8).copy()
            damaged[rng.integers(0, min(len(damaged), 200), 6)] = rng.integers(0, 256, 6)
            try:
                check_image(load_image(damaged.tobytes()))
            except ImageError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize(("width", "height"), [(12_000, 9_000), (20_000, 10_000), (60_000, 60_000)])
def test_too_many_pixels_are_refused_from_the_header(tmp_path, width, height):
    assert width * height > MAX_PIXELS
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_header(width, height))
    assert "more than 100 million pixels" in _error(path)


def test_size_just_below_the_limit_reaches_the_decoder():
    # Pillow itself would warn above 89 million pixels. The data are missing here, so the decoder fails.
    assert "truncated" in _error(_png_header(9_900, 10_000))


def test_threads_load_alike(tmp_path, photo):
    path = tmp_path / "image.png"
    save_image(photo, path)
    loaded: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: loaded.append(load_image(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sha256(image) for image in loaded] == [sha256(photo)] * 8


def test_saving_to_the_wrong_place_or_the_wrong_array(tmp_path, photo):
    with pytest.raises(InputError, match=r"suffix '\.xyz'; use \.png, \.jpg"):
        save_image(photo, tmp_path / "image.xyz")
    with pytest.raises(InputError, match="suffix ''"):
        save_image(photo, tmp_path / "image")
    with pytest.raises(InputError, match="does not exist"):
        save_image(photo, tmp_path / "nowhere" / "image.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        save_image(photo, tmp_path / "folder.png")
    with pytest.raises(InputError, match=r"\(H, W, 3\); got float64"):
        save_image(photo / 255, tmp_path / "image.png")


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        [[[0, 0, 0]]],
    ],
    ids=["gray", "alpha", "float", "no pixels", "list"],
)
def test_arrays_that_are_not_images(wrong):
    with pytest.raises(InputError, match=r"uint8 array of shape \(H, W, 3\)"):
        check_image(wrong)


def test_sha256_covers_shape_and_pixels(photo):
    assert sha256(photo) == sha256(photo.copy())
    assert sha256(photo) == sha256(np.asfortranarray(photo))
    assert sha256(photo) != sha256(photo.reshape(20, 12, 3))
    changed = photo.copy()
    changed[0, 0, 0] ^= 1
    assert sha256(photo) != sha256(changed)


def test_data_uri(photo):
    prefix, data = to_data_uri(photo).split(",")
    assert prefix == "data:image/webp;base64"
    decoded = load_image(base64.b64decode(data))
    assert decoded.shape == photo.shape
    np.testing.assert_allclose(decoded.mean((0, 1)), photo.mean((0, 1)), atol=4)
    assert load_image(base64.b64decode(to_data_uri(photo, max_side=10).split(",")[1])).shape == (6, 10, 3)
    assert load_image(base64.b64decode(to_data_uri(photo, max_side=99).split(",")[1])).shape == photo.shape


@pytest.mark.parametrize("size", range(8))
def test_base64_in_every_common_form(size):
    content = b"\xfb\xff\xfe>?\x00\xff"[:size]
    plain, safe = base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()
    wrapped = "\r\n".join(plain[n : n + 3] for n in range(0, len(plain), 3))
    for text in (plain, safe, plain.rstrip("="), safe.rstrip("="), wrapped, f" {plain}\n"):
        assert decode_base64(text) == decode_base64(f"data:image/png;base64,{text}") == content
    assert decode_base64(f"DATA:;charset=x;base64,{plain.replace('=', '%3D').replace('+', '%2B')}") == content
    assert decode_base64("data:,a%20b") == b"a b"


@pytest.mark.parametrize("text", ["QUJDR", "QUJ*", "caf\u00e9", "QU=JD", "data:image/png;base64,Q"])
def test_what_is_not_base64_is_refused(text):
    with pytest.raises(ImageError, match="not valid base64") as caught:
        decode_base64(text)
    assert "\n" not in str(caught.value)
