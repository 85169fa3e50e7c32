"""What happens inside a model: where its answer looks in the picture, and at which layer the answer appears."""

from vqttt.analysis.attention import GENERIC, attention, relative_attention
from vqttt.analysis.comparing import Row, compare, examine
from vqttt.analysis.drawing import draw
from vqttt.analysis.logit_lens import Lens, logit_lens, picture_words
from vqttt.analysis.maps import mosaic, on_grid

__all__ = [
    "GENERIC",
    "Lens",
    "Row",
    "attention",
    "compare",
    "draw",
    "examine",
    "logit_lens",
    "mosaic",
    "on_grid",
    "picture_words",
    "relative_attention",
]
