"""Files that the studies' methods need: statistics of clean images, and what methods learned along a stream."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.method.plan import Study
from experiments.method.tasks import stream
from vqttt.methods import METHODS
from vqttt.methods.stream import StreamMethod
from vqttt.models.base import TunableModel
from vqttt.study.batch import Batch, ImageCache
from vqttt.tasks import digits, easy_vqa, fashion_mnist, question_text, vq_mini
from vqttt.tuning.feature_statistics import measure_clean, save_clean
from vqttt.types import Condition, Sample

TRAINING: dict[str, Callable[[], list[Sample]]] = {
    "vq-mini": lambda: vq_mini.samples("train", 256),
    "digits": lambda: digits.samples("train"),
    "easy-vqa": lambda: easy_vqa.samples("train"),
    "fashion-mnist": lambda: fashion_mnist.samples("train"),
}
"""By task, the training samples whose images give the clean statistics; their labels are not used."""


def make_files(study: Study, load: Callable[[], TunableModel]) -> None:
    """Make the files that a study's methods need, unless they are there."""
    settings = [study.config.method_settings.get(name, {}) for name in study.config.methods]
    clean = [Path(own["clean_features"]) for own in settings if "clean_features" in own]
    tuned = {Path(own["tuned"]): own for own in settings if "tuned" in own}
    for file in dict.fromkeys(clean):
        if not file.is_file():
            samples = TRAINING[file.stem]()
            measured = _clean_statistics(samples[:: max(1, len(samples) // 256)][:256], load())
            _write(file, lambda path, measured=measured: save_clean(path, measured))
    missing = {file: own for file, own in tuned.items() if not file.is_file()}
    if missing:
        print(f"{', '.join(file.stem for file in missing)}: learning along the mixed stream", flush=True)
        for file, learner in zip(missing, _learned(missing.values(), load()), strict=True):
            _write(file, learner.save)


def _clean_statistics(samples: Sequence[Sample], model: TunableModel) -> Any:
    return measure_clean(model, [sample.load() for sample in samples], [question_text(sample) for sample in samples])


def _learned(settings: Iterable[Mapping[str, Any]], model: TunableModel) -> list[StreamMethod]:
    """Return methods that have learned along the mixed stream, given their settings in a study."""
    learners = []
    for own in settings:
        changed = {name: value for name, value in own.items() if name not in ("base", "tuned")}
        learner = METHODS[own["base"]].changed(changed).build(model)
        assert isinstance(learner, StreamMethod), learner
        learners.append(learner)
    samples, images = stream("mixed"), ImageCache()
    for start in range(0, len(samples), 20):
        some = samples[start : start + 20]
        batch = Batch.prepare(some, images, Condition(), model, seed=0, max_new_tokens=16)
        for learner in learners:
            batch.answered_by(learner)
    return learners


def _write(file: Path, save: Callable[[Path], None]) -> None:
    """Write a file under another name first, so that a run that is killed leaves no half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    save(partial)
    partial.replace(file)
