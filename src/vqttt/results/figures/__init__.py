"""Figures of a report, as panels that can be drawn into a page or written to files."""

from vqttt.results.figures.calibration import reliability_panel, risk_panel
from vqttt.results.figures.curves import Line, best_line, curve_panel, remedy_line
from vqttt.results.figures.drawing import COLOURS, INK, STYLE, VARIABLES, Mark, Panel, around, line_marks, marks
from vqttt.results.figures.heat import HeatMap, Spot, heat_map, reach_of
from vqttt.results.figures.kernels import frequency_response, identity_distance, kernel_panel, support
from vqttt.results.figures.methods import accuracy_panel, cost_panel, flip_panel, gain_panel
from vqttt.results.figures.quality import SMALL, VERDICTS, forest_panel, headroom_panel, quality_panel, redraw_panel

__all__ = ["COLOURS", "INK", "SMALL", "STYLE", "VARIABLES", "VERDICTS", "HeatMap", "Line", "Mark", "Panel"]
__all__ += ["Spot", "accuracy_panel", "around", "best_line", "cost_panel", "curve_panel", "flip_panel"]
__all__ += ["forest_panel", "frequency_response", "gain_panel", "headroom_panel", "heat_map"]
__all__ += ["identity_distance", "kernel_panel", "line_marks", "marks", "quality_panel", "reach_of"]
__all__ += ["redraw_panel", "reliability_panel", "remedy_line", "risk_panel", "support"]
