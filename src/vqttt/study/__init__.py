"""Studies: a grid of cells (model x task x condition x method), run by an engine, resumed after any interruption."""

from vqttt.study.config import PRESETS, StudyConfig
from vqttt.study.engines import EngineOptions
from vqttt.study.runner import run

__all__ = ["PRESETS", "EngineOptions", "StudyConfig", "run"]
