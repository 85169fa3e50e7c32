"""The figures of docs/method.md: gains by degradation and severity, and what a predictor has learned."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from experiments.method.rows import GROUPS, Row, bits
from vqttt.runs.records import CLEAN
from vqttt.tuning.corrections import members

FOLDER = Path("docs/method")
SHOWN = ("vq-ttt", "vq-ttt-bank", "vq-ttt-features")


def heatmap(rows: Sequence[Row]) -> None:
    """Draw the gain of `vq-ttt` by degradation and severity."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    kinds = [kind for group in GROUPS.values() for kind in group]
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(9.5, 9), sharey=True, constrained_layout=True)
    for axis, method in zip(axes, SHOWN, strict=True):
        gains = {
            (r["degradation"], r["severity"]): 100 * (bits(r["after"]) - bits(r["before"])).mean()
            for r in rows
            if r["method"] == method
        }
        grid = np.array([[gains.get((kind, severity), np.nan) for severity in range(1, 6)] for kind in kinds])
        drawn = axis.imshow(grid, cmap="RdBu", vmin=-30, vmax=30, aspect="auto")
        for (y, x), value in np.ndenumerate(grid):
            if abs(value) >= 0.5:
                axis.text(
                    x,
                    y,
                    f"{value:+.0f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if abs(value) > 18 else "#222",
                )
        axis.set(title=method, xticks=range(5), xticklabels=range(1, 6), xlabel="severity")
        axis.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds], fontsize=8)
    figure.colorbar(drawn, ax=axes, shrink=0.4, label="gain in points")
    _save(figure, "gains")


def learned(folder: Path = Path("runs/method")) -> None:
    """Draw which member of the bank a predictor, tuned on the mixed stream, chooses for what: it was never told."""
    mpl.use("Agg")
    import torch
    from matplotlib import pyplot as plt
    from safetensors.torch import load_file

    from vqttt.images.degradations import degrade, image_seed
    from vqttt.methods import CONFIGS
    from vqttt.models import load_model
    from vqttt.tasks import vq_mini
    from vqttt.tuning.predictor import Predictor
    from vqttt.tuning.spectrum import features

    file = folder / "vq-ttt.safetensors"
    if not file.is_file():
        return
    model, predictor = load_model("embedded"), Predictor(caution=CONFIGS["vq-ttt"].caution)
    predictor.load({name: t for name, t in load_file(file).items() if not name.startswith("adapter.")})
    samples = vq_mini.samples("test", 6040)[6000:]
    kinds = [CLEAN, *(kind for group in GROUPS.values() for kind in group)]
    shares = np.zeros((len(kinds), len(members())))
    for row, kind in enumerate(kinds):
        for severity in (3, 5):
            images = [
                s.load() if kind == CLEAN else degrade(s.load(), kind, severity, image_seed(0, s.id), "relative")
                for s in samples
            ]
            pixels = model.pixels(model.encode(images, ["what?"] * len(images))).pixels
            chosen = predictor.choose(features(pixels))
            shares[row] += torch.bincount(chosen, minlength=len(members())).numpy() / len(images) / 2
    figure, axis = plt.subplots(figsize=(8.2, 9), constrained_layout=True)
    drawn = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axis.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds], fontsize=8)
    axis.set_xticks(range(len(members())), members(), rotation=60, ha="right", fontsize=8)
    figure.colorbar(drawn, ax=axis, shrink=0.4, label="share of images, severities 3 and 5")
    _save(figure, "learned")


def _save(figure: Any, name: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / f"{name}.png", dpi=110, metadata={"Software": None})
