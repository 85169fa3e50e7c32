"""Studies: a grid of cells (task x condition x method), run by an engine, resumed after any interruption."""

from vqttt.study.config import PRESETS, StudyConfig
from vqttt.study.engines import EngineOptions
from vqttt.study.plan import Cell, Job, conditions
from vqttt.study.runner import ProgressCallback, resumed, run

__all__ = ["PRESETS", "Cell", "EngineOptions", "Job", "ProgressCallback", "StudyConfig", "conditions", "resumed", "run"]
