"""The figures of docs/method.md: gains by degradation and severity, and what a predictor has learned."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from experiments.method.plan import MAIN
from experiments.method.rows import GROUPS, Row, bits
from vqttt.runs.records import CLEAN

FOLDER = Path("docs/method")
KINDS = [kind for group in GROUPS.values() for kind in group]


def heatmap(rows: Sequence[Row]) -> None:
    """Draw the gain of each main method by degradation and severity."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(MAIN), figsize=(9.5, 9), sharey=True, constrained_layout=True)
    for axis, method in zip(axes, MAIN, strict=True):
        gains = {
            (r["degradation"], r["severity"]): 100 * (bits(r["after"]) - bits(r["before"])).mean()
            for r in rows
            if r["method"] == method
        }
        grid = np.array([[gains.get((kind, severity), np.nan) for severity in range(1, 6)] for kind in KINDS])
        drawn = axis.imshow(grid, cmap="RdBu", vmin=-30, vmax=30, aspect="auto")
        for (y, x), value in np.ndenumerate(grid):
            if abs(value) >= 0.5:
                color = "white" if abs(value) > 18 else "#222"
                axis.text(x, y, f"{value:+.0f}", ha="center", va="center", fontsize=7, color=color)
        axis.set(title=method, xticks=range(5), xticklabels=range(1, 6), xlabel="severity")
        axis.set_yticks(range(len(KINDS)), [_words(kind) for kind in KINDS], fontsize=8)
    figure.colorbar(drawn, ax=axes, shrink=0.4, label="gain in points")
    _save(figure, "gains")


def learned(file: Path) -> None:
    """Draw which corrections a predictor chooses for each degradation, which it is never told.

    Args:
        file: what `vq-select-restore` saved after the mixed stream. If it is not there, nothing is drawn.
    """
    if not file.is_file():
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from vqttt.tuning.corrections import names

    kinds = [CLEAN, *KINDS]
    shares = _shares(file, kinds)
    figure, axis = plt.subplots(figsize=(8.2, 9), constrained_layout=True)
    drawn = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axis.set_yticks(range(len(kinds)), [_words(kind) for kind in kinds], fontsize=8)
    axis.set_xticks(range(len(names())), names(), rotation=60, ha="right", fontsize=8)
    figure.colorbar(drawn, ax=axis, shrink=0.4, label="share of images, severities 3 and 5")
    _save(figure, "learned")


def _shares(file: Path, kinds: Sequence[str]) -> np.ndarray:
    """Return how often a saved predictor chooses each correction, (kinds, corrections), over 40 unseen scenes."""
    import torch

    from vqttt.images.degradations import degrade, image_seed
    from vqttt.methods import METHODS, VQSelect
    from vqttt.models import load_model
    from vqttt.tasks import vq_mini
    from vqttt.tuning.corrections import names

    model = load_model("embedded")
    method = METHODS[MAIN[0]].build(model)
    assert isinstance(method, VQSelect), method
    method.load(file)
    samples = vq_mini.samples("test", 6040)[6000:]
    shares = np.zeros((len(kinds), len(names())))
    for row, kind in enumerate(kinds):
        for severity in (3, 5):
            images = [
                s.load() if kind == CLEAN else degrade(s.load(), kind, severity, image_seed(0, s.id), "relative")
                for s in samples
            ]
            described = method.search.describe(model.encode(images, ["what?"] * len(images)))
            chosen = method.search.predictor.choose(described)
            shares[row] += torch.bincount(chosen, minlength=len(names())).numpy() / len(images) / 2
    return shares


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _save(figure: Any, name: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / f"{name}.png", dpi=110, metadata={"Software": None})
