"""Figures drawn quickly."""

import pytest

from vqttt.results.figures import STYLE, Panel


def with_quick_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the letters of PDF files one by one: to embed parts of a font takes three times as long as all the rest."""
    monkeypatch.setitem(STYLE, "pdf.fonttype", 3)


def without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures of pages empty."""
    monkeypatch.setattr(Panel, "inline", lambda _: "<svg></svg>")
