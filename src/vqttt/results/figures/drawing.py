"""How a figure is drawn: a `Panel` holds what to paint, and is drawn into a page or written to files, without dates.

Figures are many small panels rather than one large one, so that a page can arrange them in as many columns as fit the
screen. matplotlib is slow to import, so only the functions that draw import it.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vqttt.results.tables import label

Axes: TypeAlias = Any
"""matplotlib's `Axes`; untyped because matplotlib is imported late."""

INK, SOFT, FAINT, GRID, CARD = "#1f2933", "#5b6672", "#c9d1da", "#e8ecf0", "#ffffff"
GOOD, BAD = "#0f6fb5", "#c2500a"
# Okabe and Ito's palette without yellow, which colour-blind readers can distinguish; the markers differ as well.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b5568e", "#b07d00", "#3a9bd9")
MARKERS = (("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"), ("P", "✚"), ("X", "✖"))

VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    FAINT: "--rule",
    GRID: "--grid",
    CARD: "--card",
    GOOD: "--good",
    BAD: "--bad",
}
"""The CSS variable of each colour, so that a figure follows the page into dark mode."""
VARIABLES |= {colour: f"--c{i}" for i, colour in enumerate(COLOURS, 1)}

LONGEST = 30
"""Longest label of a row, in characters; longer ones are shortened."""

STYLE = {
    "svg.hashsalt": "vqttt",
    "text.parse_math": False,  # names and questions may contain dollar signs
    "pdf.fonttype": 42,
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}


class Mark(NamedTuple):
    """How a method is drawn: a colour, matplotlib's marker, and the character that stands for it in a legend."""

    colour: str
    marker: str
    glyph: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One figure, not drawn yet.

    Attributes:
        title: what the figure shows; also part of its file name.
        paint: function that draws on `columns` axes.
        width: width in inches.
        height: height in inches, without the legend.
        columns: number of axes side by side.
        left: space for the labels of the vertical axis, in inches.
        foot: space that `paint` needs below the axes, in inches; part of the height.
        legend: the mark of each name. A file shows it below the figure; a page shows it once for all panels of a kind.
    """

    title: str
    paint: Callable[..., None] = field(repr=False)
    width: float = 3.6
    height: float = 2.6
    columns: int = 1
    left: float = 0.58
    foot: float = 0.0
    legend: Mapping[str, Mark] = field(default_factory=dict)

    def inline(self) -> str:
        """Draw as an SVG element for a page: transparent, in the page's font and colours."""
        svg = self._saved("svg", {"Date": None, "Creator": None}, {"svg.fonttype": "none"}).decode()
        # A figure's style sheet would apply to the whole page.
        svg = re.sub(
            r"^.*?<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>|<metadata>.*?</metadata>", r"<svg \1>", svg, flags=re.S
        )
        svg = re.sub(r"<svg >|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.S)
        svg = re.sub(r' id="(?!m[0-9a-f]{10}|p[0-9a-f]{10}|C\d)[^"]*"', "", svg)
        svg = re.sub(r"font: (?:(\w+) )?([\d.]+)px [^;\"]*", _font, svg)
        svg = re.sub(r"#[0-9a-f]{6}\b", lambda match: _variable(match[0]), svg)
        return re.sub(r"\n\s*", "\n", svg).strip()

    def write(self, folder: Path, name: str) -> list[Path]:
        """Write as SVG and PDF, for papers; the same figure always gives the same bytes."""
        kinds = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Creator": None}}
        files = []
        for kind, nameless in kinds.items():
            files.append(folder / f"{name}.{kind}")
            files[-1].write_bytes(self._saved(kind, nameless, {}, explained=True))
        return files

    def _saved(self, kind: str, metadata: dict[str, None], settings: dict[str, Any], explained: bool = False) -> bytes:
        from matplotlib import style
        from matplotlib.figure import Figure

        # Start from the defaults, so that the user's matplotlibrc does not change the report.
        with style.context(["default", STYLE, settings]):
            below = 0.2 * -(-len(self.legend) // 2) + 0.08 if explained and self.legend else 0.0
            height = self.height + below
            figure = Figure(figsize=(self.width, height))
            axes = figure.subplots(1, self.columns, squeeze=False)[0]
            edges = {"left": self.left / self.width, "right": 1 - 0.14 / self.width, "wspace": 0.55}
            figure.subplots_adjust(**edges, bottom=(below + self.foot + 0.46) / height, top=1 - 0.3 / height)
            self.paint(*axes)
            axes[0].set_title(self.title, x=self._title_at())
            if below:
                figure.legend(handles=self._handles(), loc="lower center", ncols=2, frameon=False, fontsize=8)
            file = io.BytesIO()
            figure.savefig(file, format=kind, metadata=metadata, transparent=True)
        return file.getvalue()

    def _title_at(self) -> float:
        """Return where the title starts: at the left of the axes, or of the figure if it would not fit otherwise."""
        axes = (self.width - self.left - 0.14) / self.columns
        return 0.0 if 0.085 * len(self.title) < axes else (0.04 - self.left) / axes

    def _handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        return [
            Line2D([], [], color=mark.colour, marker=mark.marker, linewidth=0, label=name, markersize=6)
            for name, mark in self.legend.items()
        ]


def _font(match: re.Match[str]) -> str:
    weight = f"font-weight: {match[1]}; " if match[1] else ""
    return f"{weight}font-size: {match[2]}px"


def _variable(colour: str) -> str:
    return f"var({VARIABLES[colour]})" if colour in VARIABLES else colour


def marks(methods: Sequence[str]) -> dict[str, Mark]:
    """Give every method its own mark; the first one, the baseline or its stand-in, is grey."""
    rest = zip(methods[1:], cycle(COLOURS), cycle(MARKERS), strict=False)
    first = {method: Mark(SOFT, "o", "●") for method in methods[:1]}
    return first | {method: Mark(colour, *shape) for method, colour, shape in rest}


def line_marks(names: Sequence[str]) -> dict[str, Mark]:
    """Give every model or task of a run its own mark; the same names always get the same marks."""
    found = {}
    for n, name in enumerate(sorted(names)):
        shape = MARKERS[(n + n // len(COLOURS)) % len(MARKERS)]  # from the seventh on, other pairs than before
        found[name] = Mark(COLOURS[n % len(COLOURS)], *shape)
    return found


def offset(i: int, n: int) -> float:
    """Return the position within its row of the i-th of n items, -0.4 to 0.4."""
    return (i - (n - 1) / 2) * 0.8 / max(n, 1)


def around(low: float, high: float, least: float = 0.0) -> tuple[float, float]:
    """Return the limits of an axis that shows values from `low` to `high`, with a little room at both ends.

    Args:
        low: the smallest value.
        high: the largest value.
        least: the least that the axis covers, so that small differences do not look large; it grows downwards.
    """
    low = min(low, high - least)
    differ = high - low > 1e-9 * max(1.0, abs(low), abs(high))  # a difference of rounding alone would leave no room
    room = 0.05 * (high - low) if differ else 1.0
    return low - room, high + room


def percents(axes: Axes, which: str, limits: tuple[float, float]) -> None:
    """Set the limits of the `x` or the `y` axis, in percent, with ticks from 0 to 100 only."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(*limits)
    shown = [tick for tick in ticks if max(limits[0], 0) <= tick <= min(limits[1], 100)]
    axes.set(**{f"{which}ticks": shown, f"{which}lim": limits})


def rows(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows of a horizontal chart from top to bottom."""
    axes.set_yticks(range(len(names)), [shortened(label(name)) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


def margin(names: Sequence[str]) -> float:
    """Return the width of the labels of rows, in inches."""
    return 0.16 + 0.077 * min(max(map(len, names), default=1), LONGEST)


def shortened(name: str) -> str:
    """Shorten a long name in its middle, because its ends distinguish it from others."""
    half = (LONGEST - 1) // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


def arms(middle: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    """Turn the ends of intervals into lengths, as matplotlib expects them."""
    lengths: NDArray[Any] = np.stack([middle - low, high - middle])
    return lengths.clip(min=0)
