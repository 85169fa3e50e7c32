"""Files that the studies' methods apply: what `vq-select` learned on `dev` scenes, made when they are missing."""

from collections.abc import Callable
from pathlib import Path

from experiments.method.plan import DEVELOPED_ON, SELECT, Study
from experiments.method.tune import learned
from vqttt.methods import METHODS, VQSelect
from vqttt.models.base import Model

MADE: dict[str, Callable[[Model], VQSelect]] = {
    "half": lambda model: learned(model, DEVELOPED_ON),
    "nothing": lambda model: _built(model),
}
"""By the name of a file, what is saved in it, given the model."""


def make_files(study: Study, load: Callable[[], Model]) -> None:
    """Make the files that a study's methods apply or start from, unless they are there.

    Raises:
        SystemExit: if one of them is that which ships with the package, which only `experiments.method.tune` makes.
    """
    settings = [study.config.method_settings.get(name, {}) for name in study.config.methods]
    named = [own[key] for own in settings for key in ("tuned", "start") if key in own]
    for file in map(Path, dict.fromkeys(named)):
        if file.is_file():
            continue
        if file.stem not in MADE:
            raise SystemExit(f"there is no {file}; run `python -m experiments.method.tune` first")
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".part")  # a run that is killed leaves no half of it
        MADE[file.stem](load()).save(partial)
        partial.replace(file)


def _built(model: Model) -> VQSelect:
    method = METHODS[SELECT].build(model)
    assert isinstance(method, VQSelect), method
    return method
