"""What image quality does to a multimodal large language model, and how to make it answer better at test time.

This is the public face; each name is imported when it is first used. What is not here is private to the project.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vqttt.errors import VQTTTError
    from vqttt.images.degradations import degrade
    from vqttt.images.files import load_image, save_image
    from vqttt.images.restorers import restore
    from vqttt.methods import (
        METHODS,
        VQTTT,
        Episodic,
        EpisodicConfig,
        Memo,
        MemoConfig,
        Method,
        MethodSpec,
        NoTuning,
        OptionLikelihood,
        Sar,
        SarConfig,
        Saved,
        SavedConfig,
        Tent,
        TentConfig,
        Vote,
        VoteConfig,
        VQSelect,
        VQSelectConfig,
        VQTTTConfig,
        find_method,
    )
    from vqttt.methods.attempts import Attempt, Outcome
    from vqttt.models import LoadOptions, ServedOptions, load_model
    from vqttt.models.base import Generation, Inputs, Model
    from vqttt.models.tunable import TunableModel
    from vqttt.results.report import write_report
    from vqttt.runs.loading import load_records
    from vqttt.runs.records import Record
    from vqttt.serving.answerer import Answerer
    from vqttt.study import PRESETS, EngineOptions, StudyConfig, run
    from vqttt.types import Answer, Condition, Image, Sample

_HOMES = {
    "vqttt.errors": ("VQTTTError",),
    "vqttt.images.degradations": ("degrade",),
    "vqttt.images.files": ("load_image", "save_image"),
    "vqttt.images.restorers": ("restore",),
    "vqttt.methods": (
        "METHODS",
        "Episodic",
        "EpisodicConfig",
        "Memo",
        "MemoConfig",
        "Method",
        "MethodSpec",
        "NoTuning",
        "OptionLikelihood",
        "Sar",
        "SarConfig",
        "Saved",
        "SavedConfig",
        "Tent",
        "TentConfig",
        "VQSelect",
        "VQSelectConfig",
        "VQTTT",
        "VQTTTConfig",
        "Vote",
        "VoteConfig",
        "find_method",
    ),
    "vqttt.methods.attempts": ("Attempt", "Outcome"),
    "vqttt.models": ("LoadOptions", "ServedOptions", "load_model"),
    "vqttt.models.base": ("Generation", "Inputs", "Model"),
    "vqttt.models.tunable": ("TunableModel",),
    "vqttt.results.report": ("write_report",),
    "vqttt.runs.loading": ("load_records",),
    "vqttt.runs.records": ("Record",),
    "vqttt.serving.answerer": ("Answerer",),
    "vqttt.study": ("PRESETS", "EngineOptions", "StudyConfig", "run"),
    "vqttt.types": ("Answer", "Condition", "Image", "Sample"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022
    "load_model",
    "LoadOptions",
    "ServedOptions",
    "Answerer",
    "Model",
    "TunableModel",
    "load_image",
    "save_image",
    "degrade",
    "restore",
    "StudyConfig",
    "PRESETS",
    "EngineOptions",
    "run",
    "load_records",
    "write_report",
    "METHODS",
    "find_method",
    "Method",
    "MethodSpec",
    "Attempt",
    "Outcome",
    "Inputs",
    "Generation",
    "NoTuning",
    "VQTTT",
    "VQTTTConfig",
    "Episodic",
    "EpisodicConfig",
    "VQSelect",
    "VQSelectConfig",
    "Saved",
    "SavedConfig",
    "Tent",
    "TentConfig",
    "Sar",
    "SarConfig",
    "Memo",
    "MemoConfig",
    "Vote",
    "VoteConfig",
    "OptionLikelihood",
    "Answer",
    "Condition",
    "Image",
    "Record",
    "Sample",
    "VQTTTError",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'vqttt' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
