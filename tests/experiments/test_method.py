"""The experiment on methods: its plan, its tasks, the rows that it gathers from records, and what it learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.method import tables, tasks
from experiments.method.gather import gather
from experiments.method.passes import passes, seconds
from experiments.method.plan import (
    DEVELOPED_ON,
    HALF,
    OTHERS,
    PHASES,
    SELECT,
    TTT,
    UNTAUGHT,
    Study,
    select_changes,
    ttt_changes,
)
from experiments.method.rows import ORACLE, load, merge, pack, read, unpack
from tests.support.method import invented, of_name, studies
from tests.support.small_models import tiny_llava
from vqttt.images.degradations import DEGRADATIONS
from vqttt.images.restorers import CORRECTIONS
from vqttt.methods import METHODS, find_method
from vqttt.methods.cost import counted
from vqttt.models.fake import FakeTunableModel
from vqttt.runs.loading import load_records
from vqttt.study import StudyConfig, run
from vqttt.study.batch import Batch, ImageCache
from vqttt.study.plan import conditions
from vqttt.tasks import vq_mini
from vqttt.types import Condition

HOUR = 3600
LOOKS: dict[str, dict[str, object]] = {
    SELECT: {"gate": 0.0, "corrections": CORRECTIONS[:3]},
    "vq-ttt": {"gate": 0.0, "steps": 3},
    "lora-only": {"gate": 0.0, "objective": "answer-entropy"},
    "kernel-only": {"gate": 0.0, "afresh": True},
    "vq-ttt-episodic": {"gate": 0.0, "steps": 2, "objective": "marginal-entropy"},
    "tta": {"gate": 0.0, "corrections": CORRECTIONS[:3]},
    "tent": {},
    "sar": {},
    "memo": {"views": 4},
}
"""Settings with which all images are let through."""


pytestmark = pytest.mark.usefixtures("registered")


class TestThePlan:
    def test_every_degradation_is_measured_once_at_severities_3_to_5(self) -> None:
        measured = [
            (c.degradation, c.severity) for name in ("main", "main-clean") for c in conditions(of_name(name).config)
        ]
        assert len(measured) == len(set(measured)) == 1 + 3 * len(DEGRADATIONS)
        assert sorted(kind for kinds in tables.GROUPS.values() for kind in kinds) == sorted(DEGRADATIONS)
        assert {*DEVELOPED_ON} | {*OTHERS} == {*DEGRADATIONS} and not {*DEVELOPED_ON} & {*OTHERS}

    def test_every_run_folder_is_of_one_study(self) -> None:
        found = [study.name for study in studies()]
        assert len(found) == len(set(found))

    def test_every_method_can_be_built(self) -> None:
        model = tiny_llava()
        for study in studies():
            for name, spec in study.config.method_specs.items():
                if not {"start", "tuned"} & study.config.method_settings.get(name, {}).keys():
                    spec.build(model)

    def test_every_registered_method_is_a_baseline_but_that_for_options(self) -> None:
        config = of_name("baselines").config
        named = {of_name("baselines").label(name) for name in config.methods}
        assert {*METHODS} - named == {"likeliest"}

    def test_it_takes_three_hours_on_two_cores(self) -> None:
        assert sum(seconds(study.config) for study in studies()) / 2 <= 3 * HOUR

    def test_time_grows_with_questions_models_and_tries(self) -> None:
        config = of_name("ablations-select").config
        assert seconds(replace(config, tasks=(tasks.scenes_name(200),))) == pytest.approx(2 * seconds(config))
        assert seconds(replace(config, models=("embedded", "fake"))) == pytest.approx(2 * seconds(config))
        one, three = (replace(config, methods=(name,)) for name in ("1-tried", "3-tried"))
        assert seconds(three) > seconds(one)

    def test_every_ablation_changes_one_thing_and_has_a_name_of_its_own(self) -> None:
        select_, ttt = select_changes(Path("runs")), ttt_changes()
        assert not select_.keys() & ttt.keys()
        for changes, base in ((select_, SELECT), (ttt, TTT)):
            specs = [find_method("x", {"x": own}) for label, own in changes.items() if label != UNTAUGHT]
            assert [spec == METHODS[base] for spec in specs] == [True] + [False] * (len(specs) - 1)

    def test_a_part_of_a_study(self) -> None:
        whole = of_name("baselines")
        assert whole.part([], []) == whole
        part = whole.part(["tent"], ["fog"])
        assert part is not None and part.name.startswith("baselines-")
        assert (part.config.methods, part.config.degradations) == (("none", "tent"), ("fog",))
        assert whole.part([f"{SELECT} as it is"], []) is None
        assert of_name("baselines-restored").part(["tent"], []) is None
        mixed = of_name("streams").part([HALF], ["mixed"])
        assert mixed is not None and mixed.config.tasks == ("stream-mixed",)
        assert [mixed.label(name) for name in mixed.config.methods] == ["none", HALF]

    def test_the_command_prints_an_estimate(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        from experiments.method import measure  # registers the tasks, for workers in other processes

        measure.main(["--estimate", "--phase", "ablations", "--phase", "tasks", "--folder", str(tmp_path)])
        said = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in said] == ["ablations", "tasks", "in all"]
        assert not list(tmp_path.iterdir())


class TestStreams:
    def test_a_stream_degrades_its_images_and_says_how(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(tasks.STREAMS, "mixed", 12)
        samples, scenes = tasks.stream("mixed"), vq_mini.samples("test", 12)
        assert [sample.question for sample in samples] == [scene.question for scene in scenes]
        for sample, scene in zip(samples, scenes, strict=True):
            assert np.array_equal(sample.load(), scene.load()) == (sample.category == "clean-0")
        assert {sample.category for sample in samples} > {"clean-0"}

    def test_one_image_in_three_of_the_mixed_stream_is_clean(self) -> None:
        drawn = list(tasks.conditions("mixed"))
        assert 0.3 < drawn.count(("clean", 0)) / len(drawn) < 0.37
        assert {severity for _, severity in drawn} == {0, 1, 2, 3, 4, 5}
        assert {kind for kind, _ in drawn} == {"clean", *DEGRADATIONS}

    def test_the_answer_never_changes_where_it_must_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(tasks.STREAMS, "one-answer", 5)
        assert {sample.answers for sample in tasks.stream("one-answer")} == {("yes",)}


@pytest.fixture
def study() -> Study:
    """A study of a few questions to the fake model."""
    config = StudyConfig(
        models=("fake",),
        tasks=(tasks.scenes_name(100),),
        degradations=("clean", "low_light"),
        severities=(5,),
        methods=("none", "gate-0"),
        method_settings={"gate-0": {"base": "vq-ttt-episodic", "gate": 0.0, "guard": False, "steps": 1}},
        limit=6,
        batch=3,
    )
    return Study(name="tiny", config=config, labels={"gate-0": "gate 0"})


class TestRowsOfRecords:
    def test_one_for_each_condition_and_method(self, study: Study, tmp_path: Path) -> None:
        folder = Path(run(study.config, tmp_path / "run", load=FakeTunableModel))
        rows = {row["degradation"]: row for row in gather(study, folder)}
        assert list(rows) == ["clean", "low_light"]
        records = load_records(folder).filter(degradation="low_light", method="gate-0")
        row = rows["low_light"]
        told = [row[name] for name in ("model", "task", "severity", "count", "batch", "method")]
        assert told == ["fake", "vq-mini", 5, 6, 3, "gate 0"]
        assert unpack(row["after"], 6).tolist() == records["score"].to_list()
        assert unpack(row["before"], 6).tolist() == records["base_score"].to_list()
        assert row["gradient"] and row["looks"] == 3  # the untuned answer, one step, the new answer
        assert row["time"] > 1 and "images" not in row

    def test_of_restorers_and_of_all_corrections(self, study: Study, tmp_path: Path) -> None:
        restorers = ("none", "auto", *CORRECTIONS)
        config = replace(study.config, methods=("none",), method_settings={}, restorers=restorers, limit=2)
        folder = Path(run(config, tmp_path / "run", load=FakeTunableModel))
        rows = list(gather(replace(study, config=config), folder))
        assert [row["method"] for row in rows] == ["restore: auto", ORACLE] * 2
        records = load_records(folder).filter(degradation="low_light")
        auto, oracle = rows[2:]
        plain = records.filter(restorer="none")["score"].to_list()
        assert unpack(auto["after"], 2).tolist() == records.filter(restorer="auto")["score"].to_list()
        assert unpack(auto["before"], 2).tolist() == plain
        assert auto["looks"] == 1 and auto["time"] > 1
        assert list(oracle[ORACLE]) == list(CORRECTIONS)
        last = records.filter(restorer=CORRECTIONS[-1])["score"].to_list()
        assert unpack(oracle[ORACLE][CORRECTIONS[-1]], 2).tolist() == last

    def test_a_stream_has_a_row_for_its_clean_and_one_for_its_degraded_images(
        self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(tasks.STREAMS, "mixed", 9)
        config = replace(study.config, tasks=("stream-mixed",), degradations=("clean",), limit=None)
        folder = Path(run(config, tmp_path / "run", load=FakeTunableModel))
        rows = {row["degradation"]: row for row in gather(replace(study, config=config), folder)}
        drawn = [kind for kind, _ in tasks.conditions("mixed")]
        counts = {name: row["count"] for name, row in rows.items()}
        assert counts == {"clean": drawn.count("clean"), "degraded": 9 - drawn.count("clean")}
        assert {row["task"] for row in rows.values()} == {"mixed"}

    def test_questions_about_one_image_are_known(self, study: Study, tmp_path: Path) -> None:
        config = replace(study.config, tasks=("easy-vqa",), limit=12)
        folder = Path(run(config, tmp_path / "run", load=FakeTunableModel))
        images = next(gather(replace(study, config=config), folder))["images"]
        hashes = load_records(folder).filter(degradation="clean", method="none")["source_sha256"].to_list()
        pairs = set(zip(images, hashes, strict=True))
        assert len(pairs) == len(set(images)) == len(set(hashes)) < 12

    @pytest.mark.parametrize(("name", "changes"), LOOKS.items())
    def test_looks_are_what_the_network_saw(self, name: str, changes: dict[str, object]) -> None:
        model, spec = tiny_llava(), METHODS[name].changed(changes)
        batch = Batch.prepare(vq_mini.samples("dev", 2), ImageCache(), Condition(), model, seed=0, max_new_tokens=1)
        with counted(model) as passed:
            batch.answered_by(spec.build(model, max_new_tokens=1))
        work = passes(spec)
        assert passed.looks == 2 * work.looks
        assert (passed.backward > 0) == (work.backward > 0)

    def test_a_new_row_takes_the_place_of_an_old_one(self, tmp_path: Path) -> None:
        file = tmp_path / "rows" / "main.jsonl"
        first, second = invented("m", [1, 0], [1, 1]), invented("other", [1, 0], [1, 1])
        merge(file, [first, second])
        merge(file, [first | {"time": 7.0}])
        assert read(file) == [first | {"time": 7.0}, second]

    @pytest.mark.parametrize("count", [1, 8, 13])
    def test_scores_are_packed(self, count: int) -> None:
        scores = np.random.default_rng(count).integers(0, 2, count).astype(float)
        assert unpack(pack(scores), count).tolist() == scores.tolist()
        assert len(pack(scores)) == 2 * -(-count // 8)

    def test_the_committed_rows_are_of_the_plan(self) -> None:
        for phase in PHASES:
            planned = {ORACLE} | {f"restore: {name}" for study in studies(phase) for name in study.config.restorers}
            planned |= {study.label(name) for study in studies(phase) for name in study.config.methods}
            unknown = {row["method"] for row in load(phase)} - planned
            assert not unknown, phase
