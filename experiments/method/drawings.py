"""The figure of docs/method.md: gains by degradation and severity."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from experiments.method.rows import Gain, Row, select
from experiments.method.tables import GROUPS, SHOWN
from experiments.paradox.frames import NotMeasuredError

SEVERITIES = (3, 4, 5)


def heatmap(rows: Sequence[Row], file: Path) -> None:
    """Draw the gains of each shown method by degradation and severity; blank where one was not measured.

    Raises:
        NotMeasuredError: if there are no rows.
    """
    if not rows:
        raise NotMeasuredError("gains")
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    kinds = [kind for group in GROUPS.values() for kind in group]
    figure, panels = plt.subplots(1, len(SHOWN), figsize=(8, 9), sharey=True, constrained_layout=True)
    for axis, method in zip(panels, SHOWN, strict=True):
        mine = select(rows, method=method)
        grid = np.array([[_value(mine, kind, severity) for severity in SEVERITIES] for kind in kinds])
        drawn = axis.imshow(grid, cmap="RdBu", vmin=-30, vmax=30, aspect="auto")
        for (y, x), value in np.ndenumerate(grid):
            if abs(value) >= 0.5:
                color = "white" if abs(value) > 18 else "#222"
                axis.text(x, y, f"{value:+.0f}", ha="center", va="center", fontsize=7, color=color)
        axis.set(title=method, xticks=range(3), xticklabels=SEVERITIES, xlabel="severity")
        axis.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds], fontsize=8)
    figure.colorbar(drawn, ax=panels, shrink=0.4, label="gain in points")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _value(rows: Sequence[Row], kind: str, severity: int) -> float:
    try:
        return Gain(select(rows, degradation=kind, severity=severity)).value
    except NotMeasuredError:
        return float("nan")
