"""A study on a Ray cluster of two nodes, one of which dies."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.engines import STUDY, HeldModel, Killer, assert_equal
from vqttt.errors import EngineError, MissingExtraError
from vqttt.study.engines import EngineOptions
from vqttt.study.runner import run

SHORT = replace(STUDY, tasks=("digits",))


def test_without_ray_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vqttt\[ray\]'"):
        run(SHORT, tmp_path / "run", engine=EngineOptions(name="ray"))


@pytest.fixture
def cluster():
    pytest.importorskip("ray", reason="ray is not installed: pip install 'vqttt[ray]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        yield made
        made.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_lost_node_loses_nothing(tmp_path: Path, cluster) -> None:
    node = cluster.add_node(num_cpus=1)
    killer = Killer(tmp_path, lambda: cluster.remove_node(node, allow_graceful=False))
    engine = EngineOptions(name="ray", workers=2, address=cluster.address)
    run(SHORT, tmp_path / "ray", killer.load, killer, engine=engine)
    killer.check(5 * 3 * 12)
    run(SHORT, tmp_path / "local")
    assert_equal(tmp_path / "ray", tmp_path / "local")

    wanting = replace(engine, gpus_per_worker=2)
    with pytest.raises(EngineError, match=r"needs 1 CPU and 2 GPU, but no node .* more than 1 CPU and 0 GPU"):
        run(SHORT, tmp_path / "gpus", engine=wanting)
    with pytest.raises(EngineError, match="KeyError"):
        run(SHORT, tmp_path / "broken", _broken, engine=engine)


def _broken(name: str) -> HeldModel:
    raise KeyError("weights")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:9", "no Ray cluster can be reached at 127.0.0.1:9"),
        ("127.0.0.1:many", "no Ray cluster can be reached"),
        ("ray://127.0.0.1:9", "run vqttt on a node of the cluster"),
    ],
)
def test_no_cluster_at_an_address_is_one_line(address: str, reason: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'vqttt[ray]'")
    with pytest.raises(EngineError, match=reason):
        run(SHORT, tmp_path / "run", engine=EngineOptions(name="ray", address=address))
