"""Figures of a report, as panels that can be drawn into a page or written to files."""

from vqttt.results.figures.calibration import reliability_panel, risk_panel
from vqttt.results.figures.drawing import COLOURS, INK, STYLE, VARIABLES, Mark, Panel, marks
from vqttt.results.figures.heat import HeatMap, Spot, heat_map
from vqttt.results.figures.kernels import frequency_response, identity_distance, kernel_panel, support
from vqttt.results.figures.methods import accuracy_panel, cost_panel, flip_panel, gain_panel
from vqttt.results.figures.quality import forest_panel, headroom_panel, quality_panel, redraw_panel

__all__ = ["COLOURS", "INK", "STYLE", "VARIABLES", "HeatMap", "Mark", "Panel", "Spot", "accuracy_panel", "cost_panel"]
__all__ += ["flip_panel", "forest_panel", "frequency_response", "gain_panel", "headroom_panel", "heat_map"]
__all__ += ["identity_distance", "kernel_panel", "marks", "quality_panel", "redraw_panel", "reliability_panel"]
__all__ += ["risk_panel", "support"]
