"""What is asked and what is measured. The hypotheses were written down before the test scenes were looked at.

Twins differ in the quality of their training images and in nothing else (`training/twins.py`). Everything that had to
be chosen, such as the qualities and the length of training, was chosen on VQ-Mini's `dev` scenes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vqttt.images.degradations import DEGRADATIONS
from vqttt.models import TWINS
from vqttt.runs.records import CLEAN, NONE
from vqttt.study import StudyConfig

ROOT = Path(__file__).resolve().parents[2]
TRAINED = Path("runs") / "twins"
"""Where `make train-twins` puts what does not ship; run folders are relative to the repository."""

SOFT = ("embedded-soft", str(TRAINED / "soft-1"), str(TRAINED / "soft-2"))
WEB = ("embedded-web",)
OTHERS = tuple(str(TRAINED / f"{quality}-0") for quality in ("plain", "noisy", "dark"))
MAIN = ("embedded", SOFT[0], WEB[0], *OTHERS)
"""One model for each quality of training images."""

OWN_QUALITY = {
    "soft": [("gaussian_blur", 4)],
    "noisy": [("gaussian_noise", 4), ("gaussian_noise", 5)],
    "dark": [("low_light", 3), ("low_light", 4)],
}
"""The conditions that stand for a twin's training images; for `plain`, `web` and `embedded` it is clean images."""

AXIS = "gaussian_blur"
SIDES = ("gaussian_noise", "jpeg_compression", "low_resolution", "brightness", "contrast", "low_light")
RESTORERS = ("auto", "matched", "unsharp-mask")
SCENES = "vq-mini"
TASKS = (SCENES, "easy-vqa", "digits", "fashion-mnist")

HYPOTHESES = {
    "peak": "A model answers better at the quality of its training images than at another quality.",
    "restoring": "Restoring helps a model that was trained on clean images, and harms one trained on blurred ones.",
    "spectrum": "VQ-TTT's kernel moves images towards the spectrum of the training images, from both sides, and gains "
    "on both.",
    "demand": "The effect grows with the cognitive demand of a question: recognising, then counting and reading, then "
    "comparing and calculating.",
    "flips": "Which answers blur sets right can be predicted from the image's spectrum and the answer's margin.",
}
"""What was expected, in one sentence each."""

DEMAND = {
    "existence": 1,
    "attribute": 1,
    "counting": 2,
    "spatial": 2,
    "reading": 2,
    "chart": 2,
    "comparison": 3,
    "arithmetic": 3,
}
"""The cognitive demand of VQ-Mini's categories, 1 to 3, as it was set down before measuring."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study of the experiment and the name of its run folder."""

    name: str
    config: StudyConfig


def studies() -> list[Study]:
    """Return the studies, the most important first."""
    every = (*MAIN, *SOFT[1:])
    alone, restored = (NONE, "vq-ttt-episodic"), ("embedded", *SOFT)
    return [
        _study("blur", every, (SCENES,), (CLEAN, AXIS)),
        _study("sharpened", every, (SCENES,), (CLEAN,), restorers=("unsharp-mask",)),
        _study("recipe-clean", ("embedded", *SOFT, WEB[0]), (SCENES,), (CLEAN,), METHODS, limit=1000),
        _study("recipe", SOFT, (SCENES,), DEGRADATIONS, METHODS[:2], severities=(1, 3, 5), limit=100),
        _study("recipe-episodic", SOFT, (SCENES,), DEGRADATIONS, alone, severities=(3,), limit=60),
        _study("auto", SOFT[:1], (SCENES,), DEGRADATIONS, severities=(1, 3, 5), restorers=("auto",), limit=40),
        _study("restoring", restored, (SCENES,), (CLEAN, AXIS), (NONE,), (4,), 200, restorers=(NONE, *RESTORERS)),
        _study("redraws", SOFT[:1], (SCENES,), (CLEAN, "glass_blur"), severities=(3, 5), seeds=(0, 1, 2)),
        _study("sides", MAIN, (SCENES,), SIDES, severities=(3, 5)),
        _study("recipe-others", ("embedded", WEB[0], OTHERS[0]), (SCENES,), DEGRADATIONS, METHODS[:2], (3,), limit=60),
        _study("tasks", MAIN, TASKS[1:], (CLEAN, AXIS, "gaussian_noise", "low_light"), severities=(4,)),
    ]


METHODS = (NONE, "vq-ttt", "vq-ttt-episodic")
"""The published recipe along a stream and image by image, beside the untuned model."""


def _study(
    name: str,
    models: Sequence[str],
    tasks: Sequence[str],
    degradations: Sequence[str],
    methods: Sequence[str] = (NONE,),
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    limit: int = 500,
    **more: tuple,
) -> Study:
    config = StudyConfig(
        models=tuple(models),
        tasks=tuple(tasks),
        degradations=tuple(degradations),
        methods=tuple(methods),
        severities=tuple(severities),
        limit=limit,
        max_new_tokens=8,
        **more,
    )
    return Study(name=name, config=config)


def quality_of(model: str) -> str:
    """Return the quality of a model's training images: that of a twin, or `embedded`."""
    return model.removeprefix("embedded-") if model.startswith("embedded-") else Path(model).name.rsplit("-", 1)[0]


def missing() -> list[str]:
    """Return the twins that have not been trained yet."""
    shipped = [folder for folder in TWINS.values() if not folder.exists()]
    return [str(folder) for folder in (*shipped, *map(Path, (*SOFT[1:], *OTHERS))) if not folder.exists()]
