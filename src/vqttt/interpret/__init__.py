"""Analyse a model while it answers: which parts of the image it attends to, and at which layer the answer appears."""

from vqttt.interpret.attention import GENERIC, attention, relative_attention
from vqttt.interpret.comparing import Row, compare, examine
from vqttt.interpret.drawing import draw
from vqttt.interpret.grids import mosaic, on_grid
from vqttt.interpret.logit_lens import Lens, image_words, logit_lens

__all__ = [
    "GENERIC",
    "Lens",
    "Row",
    "attention",
    "compare",
    "draw",
    "examine",
    "image_words",
    "logit_lens",
    "mosaic",
    "on_grid",
    "relative_attention",
]
