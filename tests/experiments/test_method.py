"""The plan of the method study holds together."""

import numpy as np

from experiments.method.measure import condition, samples_of
from experiments.method.plan import DEVELOPED_ON, TWELVE, cells, methods
from experiments.method.rows import GROUPS
from tests.support.small_models import tiny_llava
from vqttt.images.degradations import DEGRADATIONS


def test_every_degradation_is_in_the_plan_once() -> None:
    measured = [(cell.degradation, cell.severity) for phase in ("main", "mild") for cell in cells(phase)]
    assert len(measured) == len(set(measured)) == 1 + 5 * len(DEGRADATIONS)
    assert sorted(kind for group in GROUPS.values() for kind in group) == sorted(DEGRADATIONS)
    assert len(DEVELOPED_ON) * 2 == len(DEGRADATIONS)
    assert set(TWELVE) < set(DEGRADATIONS)
    assert all(cell.count >= 500 for phase in ("main", "mild") for cell in cells(phase))


def test_every_method_of_the_plan_can_be_made() -> None:
    model = tiny_llava()
    for phase in ("main", "tasks", "baselines", "ablations"):
        for cell in {cell.batch: cell for cell in cells(phase)}.values():
            for make in methods(cell).values():
                make(model)


def test_seeds_see_other_scenes_and_the_frozen_stream_none_of_the_mixed() -> None:
    of_seed = [{sample.id for sample in samples_of(cell)} for cell in cells("baselines") if cell.severity == 0]
    assert len(of_seed) == 3 and not of_seed[0] & of_seed[1] and not of_seed[1] & of_seed[2]
    mixed, changing, _, frozen = cells("streams")
    assert not {s.id for s in samples_of(mixed)} & {s.id for s in samples_of(frozen)}
    rng = np.random.default_rng(0)
    drawn = [condition(mixed, index, rng) for index in range(3000)]
    assert 0.3 < sum(kind == "clean" for kind, _ in drawn) / 3000 < 0.37
    assert {kind for kind, _ in drawn} == {"clean", *DEGRADATIONS}
    assert len({condition(changing, index, rng) for index in range(0, 5000, 500)}) >= 7
