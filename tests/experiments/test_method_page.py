"""The page of the experiment on methods: gains, targets and tables, from rows of invented answers."""

import re
from pathlib import Path

import numpy as np
import pytest

from experiments.method import page, tables
from experiments.method.plan import DEVELOPED_ON, HALF, PHASES, SELECT, TUNED
from experiments.method.rows import Gain, Row, degraded, pack, points, select, unpack
from experiments.method.targets import CLAIMS, every, reached
from experiments.paradox.frames import NotMeasuredError
from tests.support.method import everything, invented
from vqttt.images.degradations import DEGRADATIONS

pytestmark = pytest.mark.usefixtures("registered")


class TestGains:
    def test_by_hand(self) -> None:
        rows = [invented("m", [0, 0, 1, 1], [1, 0, 0, 1]), invented("m", [0, 0, 0, 1], [1, 1, 0, 1], severity=4)]
        gain = Gain(rows)
        assert (gain.value, gain.base) == (25.0, 37.5)
        assert (gain.corrected, gain.broken, gain.cells, gain.questions) == (3, 1, 2, (4, 4))
        assert gain.low < 25 < gain.high
        assert (gain.time, gain.looks, gain.calibration) == (3, 2, (0.2, 0.1))

    def test_conditions_of_one_scene_are_no_new_scenes(self) -> None:
        before, after = np.zeros(200), np.arange(200) % 4 == 0
        one = Gain([invented("m", before, after)])
        again = Gain([invented("m", before, after, severity=s) for s in (3, 4, 5)])
        other = Gain([invented("m", before, after, task=task) for task in ("a", "b", "c")])
        assert again.high - again.low == pytest.approx(one.high - one.low, rel=0.05)
        assert other.high - other.low < 0.7 * (one.high - one.low)

    def test_questions_about_one_image_go_together(self) -> None:
        before, after = np.zeros(200), np.arange(200) % 40 < 10
        alone = Gain([invented("m", before, after)])
        shared = Gain([invented("m", before, after, images=[n // 10 for n in range(200)])])
        assert shared.high - shared.low > 1.5 * (alone.high - alone.low)

    def test_of_nothing(self) -> None:
        with pytest.raises(NotMeasuredError):
            Gain([])

    def test_numbers_of_points(self) -> None:
        assert [points(value) for value in (1.26, -0.51, 0.04, -0.04)] == ["+1.3", "−0.5", "0.0", "0.0"]


@pytest.fixture(scope="module")
def good() -> dict[str, list[Row]]:
    """Rows in which every target is reached."""
    return everything(lambda method, kind: 0.1 if method.startswith("restore") else 0.6)


class TestTargets:
    def test_all_are_reached_where_methods_are_good(self, good: dict[str, list[Row]]) -> None:
        lines = reached({phase: [row | {"looks": 1.9} for row in rows] for phase, rows in good.items()}).splitlines()[
            2:
        ]
        assert len(lines) == len(list(every()))
        assert [line for line in lines if not line.endswith("| yes |")] == []

    def test_none_is_where_they_do_harm(self) -> None:
        rows = {phase: [_spoiled(row) for row in some] for phase, some in everything(lambda *_: 0.1).items()}
        lines = reached(rows).splitlines()[2:]
        assert [line for line in lines if not line.endswith("| no |")] == []

    def test_one_degradation_clearly_worse_is_named(self, good: dict[str, list[Row]]) -> None:
        worse = [_spoiled(row) if row["degradation"] == "webp" else row for row in good["main"]]
        found = [line for line in reached(good | {"main": worse}).splitlines() if "clearly below" in line]
        assert [line.endswith("| no |") for line in found] == ["on embedded-soft" not in line for line in found]
        assert "1; the worst is webp" in found[0]

    def test_a_gain_must_be_proven_where_that_is_asked(self) -> None:
        claim = next(claim for claim in CLAIMS if claim.proven)
        few = [invented(claim.method, [0, 0, 1, 1], [1, 0, 1, 1])]
        words, yes = next(claim.targets())[1]({"main": few})
        assert words.startswith("+25.0") and not yes

    def test_looks_are_counted_over_all_images_of_a_stream(self) -> None:
        claim = next(claim for claim in CLAIMS if "mixed" in claim.what)
        rows = [
            invented(SELECT, [0] * 20, [1] * 20, task="mixed", degradation="degraded", looks=2.5),
            invented(SELECT, [1] * 10, [1] * 10, task="mixed", degradation="clean", looks=1.0),
        ]
        found = dict(claim.targets())["looks ≤ 2.0"]({"streams": rows})
        assert found == ("2.00", True)

    def test_what_was_not_measured(self, good: dict[str, list[Row]]) -> None:
        lines = reached(good | {"streams": []}).splitlines()
        assert (
            [line for line in lines if "not measured" in line]
            == [line for line in lines if "mixed stream" in line]
            != []
        )


def _spoiled(row: Row) -> Row:
    """Return the row of a method with which one answer in ten is worse than untuned, and that costs much."""
    before = unpack(row["before"], row["count"])
    worse = before * (np.arange(len(before)) % 10 > 0)
    return row | {
        "after": row["before"] if row["method"].startswith("restore") else pack(worse),
        "looks": 9.0,
        "time": 9.0,
    }


class TestThePage:
    def test_every_part_has_a_place(self) -> None:
        text = page.PAGE.read_text()
        for name in page.parts(page.PAGE):
            assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1, name
        assert len(re.findall("<!-- /", text)) == len(page.parts(page.PAGE))

    def test_of_everything(self, good: dict[str, list[Row]], tmp_path: Path) -> None:
        file = tmp_path / "method.md"
        file.write_text(page.PAGE.read_text())
        assert page.write(good, file) == []
        text = file.read_text()
        assert page.MISSING not in text and "nan" not in text
        assert (tmp_path / "method" / "gains.png").is_file() and "](method/gains.png)" in text
        assert "| one for each image | +50.0 |" in text
        for phase in PHASES:
            assert f"`python -m experiments.method --phase {phase}`" in text

    def test_parts_without_rows_say_so(self, good: dict[str, list[Row]], tmp_path: Path) -> None:
        file = tmp_path / "method.md"
        file.write_text(page.PAGE.read_text())
        left = page.write({phase: [] for phase in PHASES} | {"tasks": good["tasks"]}, file)
        assert set(page.parts(file)) - set(left) == {"targets", "tasks"}
        assert file.read_text().count(page.MISSING) == len(left)

    def test_the_first_table(self) -> None:
        clean = [invented(name, [1] * 9 + [0], [1] * 10, degradation="clean") for name in (SELECT, TUNED)]
        rows = [
            invented(SELECT, [1] * 5 + [0] * 5, [1] * 7 + [0] * 3),
            invented(TUNED, [1] * 5 + [0] * 5, [1] * 9 + [0]),
        ]
        rows[0] |= {"gradient": True}
        lines = page.first_table({"main": [*rows, *clean]}).splitlines()
        assert lines[2].startswith("| untuned | 50.0% right |  | 90.0% right |")
        assert lines[3].startswith("| vq-select --tuned † | +40.0 [") and "| 100% | +10.0 [" in lines[3]
        assert lines[4].endswith("| 2 | 0 | 0.100 | 2.0 ∇ | 3.0× |") and "| 50% |" in lines[4]
        assert lines[6].startswith("† not source-free") and "∇ some looks" in lines[6]
        assert lines[8].startswith("n = 10 questions in the degraded condition, 10 about clean images, seed 0,")

    def test_a_gain_is_spread_over_the_questions_that_all_answered(self) -> None:
        rows = []
        for n, kind in enumerate(DEGRADATIONS):
            better = [1] * 10 + [0] * 10 if n < 4 else [0] * 20
            rows += [invented("a", [0] * 20, better, degradation=kind)]  # 4 of all, half of their questions
            rows += [invented("b", [0] * 10, [n == 0] * 10, degradation=kind)]
        lines = tables.spread(rows, "main").splitlines()
        means = points(400 / len(DEGRADATIONS)), points(100 / (len(DEGRADATIONS) - 3))
        assert lines[2] == f"| a | {means[0]} | {means[1]} | 0.0 | 4 | 0 |"
        assert lines[3].startswith(f"| b | {points(100 / len(DEGRADATIONS))} | 0.0 | 0.0 | 1 | 0 |")

    def test_nothing_is_won_back_where_degradation_cost_nothing(self) -> None:
        clean, better = invented("m", [0, 1], [0, 1]), Gain([invented("m", [1, 1, 0, 1], [1, 1, 1, 1])])
        assert tables.won_back(better, Gain([clean])) == "–"
        assert tables.won_back(Gain([invented("m", [0, 0, 0, 1], [0, 0, 1, 1])]), Gain([clean])) == "100%"

    def test_halves_are_told_apart(self, good: dict[str, list[Row]]) -> None:
        seen = everything(lambda method, kind: 0.5 if kind in DEVELOPED_ON else 0.0)["main"]
        line = next(line for line in tables.halves(seen, "main").splitlines() if line.startswith(f"| {HALF} †"))
        cells = line.split("|")
        assert float(cells[2].split()[0]) > 20 and cells[3].split()[0] == "0.0"
        assert len(select(good["main"], degraded, method=HALF)) == 3 * len(DEGRADATIONS)
