"""The gallery of learned kernels: different ones, each with the image or the condition that it belongs to."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vqttt.results import figures
from vqttt.results.figures import Panel
from vqttt.results.report.browser import IMAGE

MOST = 6
"""Maximum number of kernels of one method."""

_SAME = 1e-3
"""Frobenius distance within which kernels count as identical."""


class _Learned(NamedTuple):
    kernel: NDArray[np.float64]
    cell: dict[str, Any]


def kernel_panels(details: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], Panel]]:
    """Draw the kernels of each method that differ most from the identity and from each other, identical ones once.

    A method that tunes every image by itself has a kernel per image; one that tunes along a stream has one per
    condition. They are told apart by their examples: if those of any one cell have different kernels, they are by
    image.

    Args:
        details: contents of the files in `examples/`.

    Returns:
        Each panel with its cell; for a kernel of one image, the cell also has its `sample_id`, `question`, and `image`,
        a data URI or empty.
    """
    cells = [cell for cell in details if isinstance(cell.get("method"), str)]
    shown = []
    for model, method in dict.fromkeys((cell.get("model"), cell["method"]) for cell in cells):
        of_method = [cell for cell in cells if (cell.get("model"), cell["method"]) == (model, method)]
        each = [_of_images(cell) for cell in of_method]
        by_image = any(len(_different(kernels)) > 1 for kernels in each)
        found = [one for kernels in each for one in kernels] if by_image else _of_conditions(of_method)
        shown += [(one.cell, figures.kernel_panel(one.kernel, "")) for one in _different(found)[:MOST]]
    return shown


def _of_images(cell: dict[str, Any]) -> list[_Learned]:
    """Return the kernels of a cell's examples."""
    examples = [example for example in cell.get("examples") or () if isinstance(example, dict)]
    found = []
    for example in examples:
        # An example may lack a kernel of its own, in runs of earlier versions or where nothing was tuned.
        kernel, image = _array(example.get("kernel")), str(example.get("degraded"))
        if kernel is not None:
            about = {name: str(example.get(name) or "") for name in ("sample_id", "question")}
            about["image"] = image if IMAGE.fullmatch(image) else ""
            found.append(_Learned(kernel, {**cell, **about}))
    return found


def _of_conditions(cells: Sequence[dict[str, Any]]) -> list[_Learned]:
    """Return the kernels of cells."""
    kernels = ((_array(cell.get("kernel")), cell) for cell in cells)
    return [_Learned(kernel, cell) for kernel, cell in kernels if kernel is not None]


def _array(kernel: object) -> NDArray[np.float64] | None:
    """Return a kernel (k, k), or None if there is none or if it changes nothing."""
    try:
        weights = np.array(kernel, np.float64)
    except (TypeError, ValueError):
        return None
    square = weights.ndim == 2 and weights.shape[0] == weights.shape[1] and np.isfinite(weights).all()
    return weights if square and figures.identity_distance(weights) > 1e-6 else None


def _different(found: Sequence[_Learned]) -> list[_Learned]:
    """Order kernels by distance from the identity and from all before them, furthest first, and drop identical ones."""
    chosen: list[_Learned] = []
    if not found:
        return chosen
    distances = np.array([figures.identity_distance(one.kernel) for one in found])
    while len(chosen) < MOST and distances.max() > (_SAME if chosen else 0):
        chosen.append(found[int(distances.argmax())])
        last = chosen[-1].kernel
        new = [float(np.linalg.norm(one.kernel - last)) if one.kernel.shape == last.shape else np.inf for one in found]
        distances = np.minimum(distances, np.array(new))
    return chosen
