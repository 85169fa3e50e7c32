"""Draw a comparison: for each condition a row with image, relative attention, and probability and entropy by layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vqttt.errors import InputError
from vqttt.interpret.comparing import Row
from vqttt.results.figures import COLOURS, INK, STYLE

FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""File suffixes that `draw` accepts, with the metadata that matplotlib leaves out so that files are reproducible."""

_LONGEST = 28


def check_format(path: Path) -> None:
    """Check that a figure can be written to a path.

    Raises:
        InputError: if its suffix is unknown or its folder does not exist.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} must end in one of {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}")


def draw(rows: Sequence[Row], path: Path, title: str = "") -> None:
    """Draw rows and write the figure. The same rows give the same bytes.

    Raises:
        InputError: as for `check_format`.
    """
    check_format(path)
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", STYLE]):
        figure = Figure(figsize=(10.5, 2.4 * len(rows) + 0.4), layout="constrained", dpi=110)
        panels = figure.subplots(len(rows), 4, squeeze=False, width_ratios=[1, 1.15, 1.1, 1.1])
        most = max((float(np.nanmax(row.relative)) for row in rows if row.relative is not None), default=1.0)
        for (image, map_, probability, entropy), row in zip(panels, rows, strict=True):
            _image(image, row)
            _attention(map_, row, most)
            _probability(probability, row)
            _entropy(entropy, row, max(max(other.entropy) for other in rows))
        figure.suptitle(title, fontsize=10.5)
        figure.savefig(path, format=path.suffix.lower()[1:], metadata=FORMATS[path.suffix.lower()])


def _image(axes: Any, row: Row) -> None:
    axes.imshow(row.image)
    _bare(axes, f"{row.name}: {_short(row.answer)}")


def _attention(axes: Any, row: Row, most: float) -> None:
    """Draw the map over the image in gray, so that only attention has colour; the less there is, the fainter."""
    _bare(axes, "relative attention")
    if row.relative is None:
        axes.text(0.5, 0.5, "image tokens\nhave no places", ha="center", va="center", transform=axes.transAxes)
        return
    height, width = row.image.shape[:2]
    axes.imshow(row.image.mean(-1), cmap="gray", vmin=0, vmax=255)
    frame = (-0.5, width - 0.5, height - 0.5, -0.5)
    opacity = np.nan_to_num(0.1 + 0.75 * np.sqrt(row.relative / most))
    drawn = axes.imshow(row.relative, cmap="plasma", alpha=opacity.clip(0, 1), vmin=0, vmax=most, extent=frame)
    axes.figure.colorbar(drawn, ax=axes, fraction=0.046, pad=0.03).outline.set_visible(False)


def _probability(axes: Any, row: Row) -> None:
    layers = np.arange(1, len(row.probability) + 1)
    axes.plot(layers, row.probability, color=COLOURS[0], marker="o", label=f"“{_short(row.answer, 14)}”")
    if row.clean_probability != row.probability:
        axes.plot(layers, row.clean_probability, color=COLOURS[1], marker="s", linestyle="--", label="the clean answer")
    axes.set(title="lens: probability", xlabel="layer", ylim=(-0.03, 1.03))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=7.5, frameon=False)


def _entropy(axes: Any, row: Row, most: float) -> None:
    axes.plot(np.arange(1, len(row.entropy) + 1), row.entropy, color=COLOURS[2], marker="D")
    axes.set(title="lens: entropy (nats)", xlabel="layer", ylim=(-0.03 * most, 1.06 * most))
    axes.xaxis.get_major_locator().set_params(integer=True)


def _bare(axes: Any, title: str) -> None:
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.set_title(title, fontsize=9.5, color=INK)


def _short(text: str, longest: int = _LONGEST) -> str:
    """Return a text in one line of at most `longest` characters."""
    line = " ".join(text.split()) or "(nothing)"
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
