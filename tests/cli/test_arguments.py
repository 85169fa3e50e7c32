"""Every command on any arguments: exit status 0, 1 or 2, one line if the user is wrong, and never a traceback."""

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image as PILImage

from tests.support.fuzzing import examples
from vqttt import cli
from vqttt.images.files import load_image

ODD_NUMBERS = ["-1", "0", "1", "2", "99999999999999999999", "1e3", "nan", "", " ", "0x1", "١", "1,2"]
ODD_TEXTS = ["", " ", "\n", "what?", "<image>", "naïve → ?", "\ud800", "x" * 5000, "-", "--help-me", "a\x00b", "{}%s"]
ODD_NAMES = ["none", "clean", "fog", "median", "vq-ttt", "tta", "auto", "", " ", "nobody", "fog+", "+", "fog+snow",
             "spandrel:", "spandrel:text.txt", "matched", "fog,snow", ",", "../..", "none\n", "é"]  # fmt: skip
OUTS = ["out.png", "out.jpg", "out.gif", "out", "", "gone/out.png", ".", "text.txt/out.png", "\x00.png", "out\n.png"]


def _bytes(image: PILImage.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def _files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    image = PILImage.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    turned = image.getexif()
    turned[0x0112] = 6
    png, jpeg = _bytes(image, "PNG"), _bytes(image, "JPEG")
    return {
        "good.png": png,
        "good.jpg": jpeg,
        "empty.png": b"",
        "noise.png": rng.bytes(500),
        "text.txt": b"not an image",
        "cut.png": png[:900],
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "one.png": _bytes(PILImage.new("RGB", (1, 1)), "PNG"),
        "wide.png": _bytes(PILImage.new("RGB", (20_000, 1), "red"), "PNG"),
        "deep.png": _bytes(PILImage.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100), "PNG"),
        "moving.gif": _bytes(image, "GIF", save_all=True, append_images=[image.rotate(90)]),
        "turned.jpg": _bytes(image, "JPEG", exif=turned),
        "clear.png": _bytes(image.convert("RGBA"), "PNG"),
        "palette.png": _bytes(image.convert("P"), "PNG"),
        "lists.json": b"[1, 2",
        "tuned.safetensors": rng.bytes(200),
    }


FILES = _files()
READABLE = ["good.png", "good.jpg", "one.png", "wide.png", "deep.png", "moving.gif", "turned.jpg", "clear.png"]
images = some.sampled_from([*FILES, "gone.png", ".", "", "\x00", "folder", "x" * 300 + ".png"])
numbers, names, texts, outs = map(some.sampled_from, (ODD_NUMBERS, ODD_NAMES, ODD_TEXTS, OUTS))
models = some.sampled_from(["fake", "fake-plain", "nobody", "llava", "", "folder", "text.txt", "gone/model"])
tasks = some.sampled_from(["jsonl:good.png", "jsonl:gone", "tsv:text.txt", "nobody", "", "jsonl:lists.json"])
LOADING = {"--dtype": names, "--device": texts, "--bits": numbers, "--revision": texts, "--attention": names}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("place")
    (folder / "folder").mkdir()
    with contextlib.chdir(folder):
        yield folder


def run(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Run a command in this process; what is no `SystemExit` would be a traceback, and fails the test."""
    for name, content in FILES.items():
        Path(name).write_bytes(content)
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["vqttt", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("error")
            cli.main()
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    finally:
        sys.argv = before
    return status, out.getvalue(), err.getvalue()


def check(arguments: Sequence[str]) -> int:
    status, out, err = run(arguments)
    assert status in (0, 1, 2), (status, err)
    ours = [line for line in err.splitlines() if line.startswith("vqttt: ")]
    assert "Traceback" not in err and "Traceback" not in out
    if status:
        assert len(ours) == 1 and len(ours[0]) > 20, err
        assert err.splitlines()[-1] == ours[0]
    else:
        assert not ours
    return status


def command(name: str, *positional: Any, always: Any = (), **options: Any) -> Any:
    """Draw the arguments of a command: its positional ones, and any of its options, each given once or not at all.

    Options in `always` are never left out.
    """
    pairs = [
        some.tuples(some.just(option), values).map(list) if option in always else _or_nothing(option, values)
        for option, values in options.items()
    ]
    drawn = some.tuples(some.tuples(*positional), some.permutations(range(len(pairs))), some.tuples(*pairs))
    # An option's value may begin with a dash, and what follows -- is no option.
    return drawn.map(
        lambda parts: [
            *name.split(),
            *("=".join(parts[2][place]) for place in parts[1] if parts[2][place]),
            "--",
            *parts[0],
        ]
    )


def _or_nothing(option: str, values: Any) -> Any:
    return some.one_of(some.just([]), some.tuples(some.just(option), values).map(list))


CASES = {
    "degrade": command(
        "degrade",
        images,
        **{"--out": outs, "--kind": names, "--severity": numbers, "--seed": numbers, "--scale": names},
    ),
    "restore": command("restore", images, **{"--out": outs, "--restorer": names}),
    "quality": command("quality", images, **{"--reference": images, "--metric": names}),
    "answer": command(
        "answer",
        images,
        texts,
        always=["--model"],
        **{"--model": models, "--method": names, "--restorer": names, "--tuned": images, **LOADING},
    ),
    "analyse": command(
        "analyse",
        images,
        texts,
        **{"--model": models, "--method": names, "--degradation": names, "--severity": numbers, "--layer": numbers,
           "--out": outs, "--seed": numbers, "--restorer": names, **LOADING},
    ),
    "list": command("list", some.one_of(names, some.sampled_from(["models", "tasks", "styles"]))),
    "restorers install": command(
        "restorers install",
        some.sampled_from(["maxim-denoising", "maxim", "", "auto"]),
        always=["--package"],  # without it, weights would be downloaded
        **{"--package": some.sampled_from([*FILES, "folder", "gone.tgz"])},
    ),
    "report": command("report", images, **{"--format": some.sampled_from(["html", "csv", "pdf", ""])}),
    "compare": command("compare", images, images),
    "clean-features": command("clean-features", images, **{"--out": outs, "--model": models, "--limit": numbers}),
    "bench": command(
        "bench",
        always=["--model"],
        **{"--model": some.sampled_from(["nobody", "fake-plain", "llava", "folder"]), "--method": names,
           "--batch": numbers, "--repeats": numbers, "--out": outs, **LOADING},
    ),
    "tune": command(
        "tune",
        always=["--task"],
        **{"--task": tasks,
           "--out": outs, "--model": models, "--method": names, "--degradation": names, "--severity": numbers,
           "--limit": numbers, "--batch": numbers},
    ),
    "study": command(
        "study",
        always=["--task", "--model"],
        **{"--task": tasks,
           "--config": images, "--model": models, "--method": names, "--degradation": names, "--severity": numbers,
           "--limit": numbers, "--batch": numbers, "--seed": numbers, "--scale": names, "--workers": numbers,
           "--restorer": names, "--resume": images, "--out": some.sampled_from(["run", "good.png", "gone/\x00"])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_any_arguments_give_a_result_or_one_line(name: str, place: Path) -> None:
    @given(CASES[name])
    @examples(60)
    def holds(arguments: list[str]) -> None:
        check(arguments)

    holds()


# Alone, `study` and `bench` would run for minutes.
WORDS = [*ODD_TEXTS, *ODD_NAMES, *sorted(set(CASES) - {"study", "bench"}), "--help", "--out", "--json", "-h"]


@examples(60)
@given(some.lists(some.sampled_from(WORDS), min_size=1, max_size=4))
def test_any_words_are_a_command_or_one_line(place: Path, words: list[str]) -> None:
    status, out, err = run(words)
    assert status in (0, 1, 2) and "Traceback" not in out + err
    assert len([line for line in err.splitlines() if line.startswith("vqttt: ")]) == (1 if status else 0), err


@pytest.mark.parametrize("name", READABLE)
def test_odd_images_are_degraded_restored_measured_and_answered(name: str, place: Path) -> None:
    assert check(["degrade", name, "--kind", "fog", "--out", "fog.png"]) == 0
    shape = load_image(name).shape
    assert load_image("fog.png").shape == shape
    assert check(["restore", name, "--out", "restored.png"]) == 0
    assert load_image("restored.png").shape == shape
    assert check(["quality", "fog.png", "--reference", name, "--json"]) == 0
    assert check(["answer", name, "what color?", "--model", "fake", "--json"]) == 0


@pytest.mark.parametrize("name", sorted(set(FILES) - set(READABLE) - {"palette.png"}))
def test_what_is_no_image_is_one_line(name: str, place: Path) -> None:
    for arguments in (
        ["degrade", name, "--kind", "fog", "--out", "o.png"],
        ["restore", name, "--out", "o.png"],
        ["quality", name],
        ["answer", name, "what?", "--model", "fake"],
        ["analyse", name, "what?", "--json"],
    ):
        assert check(arguments) == 2
