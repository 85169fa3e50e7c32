"""The gallery of kernels, and the versions of an image that the image browser shows."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runs import image
from vqttt.results.report.browser import collect
from vqttt.results.report.gallery import MOST, kernel_panels
from vqttt.runs.records import schema

CELL = {"model": "embedded", "task": "digits", "severity": 3, "scale": "relative", "restorer": "none", "seed": 0}
EMPTY = pl.DataFrame(schema=schema())


def kernel(weight: float) -> list[list[float]]:
    weights = np.zeros((3, 3))
    weights[1, 1], weights[1, 0] = 1 - weight, weight
    return weights.tolist()


def cell(degradation: str, method: str, kernels: list[Any], last: Any = None) -> dict[str, Any]:
    examples = [
        {"sample_id": f"{degradation}-{i}", "flip": "corrective", "kernel": one, "degraded": image(i)}
        for i, one in enumerate(kernels)
    ]
    return CELL | {"degradation": degradation, "method": method, "kernel": last, "examples": examples}


def shown(details: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(of["degradation"], of.get("sample_id", "")) for of, _ in kernel_panels(details)]


def test_a_method_with_a_kernel_per_image_shows_images() -> None:
    details = [cell("fog", "own", [kernel(0.5), kernel(0.2)], kernel(0.2)), cell("snow", "own", [kernel(0.9)])]
    assert shown(details) == [("snow", "snow-0"), ("fog", "fog-0"), ("fog", "fog-1")]
    assert all(of["image"].startswith("data:image/webp") for of, _ in kernel_panels(details))


def test_a_stream_shows_one_kernel_per_condition() -> None:
    details = [cell(name, "stream", [kernel(w)] * 3, kernel(w)) for name, w in (("fog", 0.1), ("snow", 0.4))]
    assert shown(details) == [("snow", ""), ("fog", "")]


def test_identical_kernels_and_those_that_change_nothing_are_left_out() -> None:
    details = [cell(name, "stream", [], kernel(w)) for name, w in (("a", 0.3), ("b", 0.3), ("c", 0.0), ("d", 0.30001))]
    assert len(kernel_panels(details)) == 1


@pytest.mark.parametrize("wrong", [None, "text", [[1.0]] * 2, [[float("nan")]], {"a": 1}, [1.0, 2.0]])
def test_what_is_no_kernel_is_skipped(wrong: Any) -> None:
    assert kernel_panels([cell("fog", "own", [wrong, "no"], wrong), CELL | {"method": 3}]) == []


def test_no_image_of_unknown_kind_enters_the_gallery() -> None:
    details = [cell("fog", "own", [kernel(0.5), kernel(0.2)])]
    details[0]["examples"][0]["degraded"] = "javascript:alert(1)"
    assert sorted(of["image"][:5] for of, _ in kernel_panels(details)) == ["", "data:"]


@given(st.lists(st.floats(-1, 1), max_size=12))
def test_the_gallery_shows_different_kernels_only(weights: list[float]) -> None:
    found = kernel_panels([cell("fog", "own", [kernel(w) for w in weights])])
    assert len(found) <= MOST
    chosen = [
        np.array(next(e for e in of["examples"] if e["sample_id"] == of["sample_id"])["kernel"])
        for of, _ in found
        if "sample_id" in of
    ]
    assert all(np.linalg.norm(a - b) > 1e-3 for i, a in enumerate(chosen) for b in chosen[:i])


def versions(degradation: str, restorer: str, method: str = "vq-ttt") -> dict[str, str]:
    """Return the versions of an image that the page shows: their captions and pictures."""
    pictures = {"clean": image(0), "degraded": image(0 if degradation == restorer == "none" else 1)}
    example = {"sample_id": "1", "flip": "corrective", "how": "by a kernel", "filtered": image(2)} | pictures
    details = CELL | {"degradation": degradation, "restorer": restorer, "method": method, "examples": [example]}
    data = collect([details], EMPTY)
    (one,) = data["examples"]
    return {
        caption: number for caption, number in zip(one["versions"], one["images"], strict=True) if number is not None
    }


def test_the_middle_image_is_named_for_what_was_done_to_it() -> None:
    assert list(versions("fog", "none")) == ["clean", "degraded", "as tuned: by a kernel"]
    assert list(versions("clean", "none")) == ["clean", "as tuned: by a kernel"]
    assert list(versions("clean", "auto")) == ["clean", "restored", "as tuned: by a kernel"]
    assert list(versions("fog", "auto")) == ["clean", "degraded, then restored", "as tuned: by a kernel"]
