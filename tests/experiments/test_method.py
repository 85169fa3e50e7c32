"""The experiment on methods: its plan, its tasks, and the rows that it gathers from records."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.method import fixed_correction, tasks
from experiments.method.gather import gather, merge
from experiments.method.plan import CORRECTIONS, DEVELOPED_ON, PHASES, Study
from experiments.method.rows import GROUPS, load, read
from tests.support.small_models import tiny_llava
from vqttt.images.degradations import DEGRADATIONS
from vqttt.methods import METHODS
from vqttt.models.fake import FakeTunableModel
from vqttt.runs.loading import load_records
from vqttt.study import StudyConfig, run
from vqttt.study.plan import conditions
from vqttt.tasks import TASKS
from vqttt.tuning.corrections import names


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the experiment's tasks and method, for these tests only: others go over all that is registered."""
    for registry in (TASKS, METHODS):
        for part in ("_entries", "_summaries"):
            monkeypatch.setattr(registry, part, dict(getattr(registry, part)))
    tasks.register()
    fixed_correction.register()


def studies(*phases: str) -> Iterator[Study]:
    for phase in phases or PHASES:
        yield from PHASES[phase](Path("runs"))


def of_name(name: str) -> Study:
    return next(study for study in studies() if study.name == name)


def test_every_degradation_and_severity_is_measured_once() -> None:
    measured = [(c.degradation, c.severity) for study in studies("main", "mild") for c in conditions(study.config)]
    assert len(measured) == len(set(measured)) == 1 + 5 * len(DEGRADATIONS)
    assert sorted(kind for group in GROUPS.values() for kind in group) == sorted(DEGRADATIONS)
    assert len(DEVELOPED_ON) * 2 == len(DEGRADATIONS)
    assert set(tasks.TWELVE) < set(DEGRADATIONS)


def test_every_run_folder_is_of_one_study() -> None:
    found = [study.name for study in studies()]
    assert len(found) == len(set(found))


def test_every_method_of_the_plan_can_be_built() -> None:
    model = tiny_llava()
    for study in studies():
        for name, spec in study.config.method_specs.items():
            if not {"clean_features", "tuned"} & study.config.method_settings.get(name, {}).keys():
                spec.build(model)


def test_the_rows_have_every_method_of_the_plan_and_no_other() -> None:
    for phase in PHASES:
        planned = set[str]()
        for study in studies(phase):
            planned |= {study.label(name) for name in study.config.methods if name not in CORRECTIONS}
            planned |= {f"restore: {name}" for name in study.config.restorers}
        measured = {row["method"] for row in load(phase)}
        assert measured - {"corrections"} == planned - {"none", "restore: none"}


def test_seeds_have_scenes_of_their_own() -> None:
    ranges = [set(range(start, start + count)) for start, count in tasks.RANGES if count == 40]
    assert len(ranges) == 3 and len(set.union(*ranges)) == 120
    assert [sample.id for sample in tasks.scenes(2, 2)] == ["vq-mini-test-000002", "vq-mini-test-000003"]


@pytest.mark.parametrize("stream", tasks.STREAMS)
def test_the_rows_of_a_stream_have_its_conditions(stream: str) -> None:
    drawn = [f"{kind}-{severity}" for kind, severity in tasks.conditions(stream)]
    assert all(row["conditions"] == drawn for row in load("streams") if row["degradation"] == stream)


def test_a_stream_degrades_its_images_and_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tasks.LENGTHS, "mixed", 12)
    samples, scenes = tasks.stream("mixed"), tasks.scenes(0, 12)
    assert [sample.question for sample in samples] == [scene.question for scene in scenes]
    for sample, scene in zip(samples, scenes, strict=True):
        same = np.array_equal(sample.load(), scene.load())
        assert same == (sample.category == "clean-0")
    assert {sample.category for sample in samples} > {"clean-0"}


def test_a_part_of_a_study() -> None:
    whole = of_name("baselines-1")
    assert whole.part([], [], []) == whole
    part = whole.part(["tent"], ["fog"], [1])
    assert part is not None and part.name.startswith("baselines-1-")
    assert (part.config.methods, part.config.degradations) == (("none", "tent"), ("fog",))
    assert whole.part(["tent"], [], [0]) is None
    assert whole.part(["vq-select as it is"], [], []) is None
    assert of_name("baselines-1-restored").part(["tent"], [], []) is None
    frozen = of_name("frozen").part(["vq-select, frozen"], ["frozen"], [])
    assert frozen is not None and frozen.config.methods == ("none", "vq-select-frozen")
    assert of_name("streams").part([], ["mixed"], []).config.tasks == ("stream-mixed",)


@pytest.fixture
def study() -> Study:
    """A study of a few questions to the fake model."""
    config = StudyConfig(
        models=("fake",),
        tasks=(tasks.scenes_name(25, 25),),
        degradations=("clean", "low_light"),
        severities=(5,),
        methods=("none", "gate-0", *CORRECTIONS),
        method_settings={"gate-0": {"base": "vq-ttt-episodic", "gate": 0.0, "guard": False}, **CORRECTIONS},
        limit=6,
        batch=3,
    )
    return Study(name="tiny", phase="ablations", config=config, labels={"gate-0": "gate 0"})


def test_records_become_rows(study: Study, tmp_path: Path) -> None:
    folder = Path(run(study.config, tmp_path / "run", load=FakeTunableModel))
    rows = {(row["degradation"], row["method"]): row for row in gather(study, folder)}
    assert list(rows) == [(kind, name) for kind in ("clean", "low_light") for name in ("gate 0", "corrections")]

    records = load_records(folder).filter(degradation="low_light", method="gate-0")
    row = rows["low_light", "gate 0"]
    assert (row["task"], row["severity"], row["count"], row["batch"]) == ("vq-mini", 5, 6, 3)
    assert row["after"] == "".join(str(round(score)) for score in records["score"])
    assert row["before"] == "".join(str(round(score)) for score in records["base_score"])
    assert row["tuned"] == 1 and row["rolled_back"] == 0
    assert row["cost"] > 1

    through = rows["low_light", "corrections"]["corrections"]
    assert len(through) == len(names()) and through[0] == row["before"]


def test_rows_of_restorers(study: Study, tmp_path: Path) -> None:
    config = replace(study.config, methods=("none",), method_settings={}, restorers=("none", "auto"))
    folder = Path(run(config, tmp_path / "run", load=FakeTunableModel))
    rows = list(gather(replace(study, config=config), folder))
    assert [row["method"] for row in rows] == ["restore: auto", "restore: auto"]
    restored = load_records(folder).filter(degradation="low_light", restorer="auto")
    assert rows[1]["after"] == "".join(str(round(score)) for score in restored["score"])


def test_a_new_row_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    file = tmp_path / "rows" / "main.jsonl"
    first, second = load("main")[:2]
    merge(file, [first, second])
    merge(file, [first | {"cost": 7.0}])
    assert read(file) == [first | {"cost": 7.0}, second]
