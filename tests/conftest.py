"""Options and fixtures that all tests share."""

import gc

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate-goldens", action="store_true", help="write tests/goldens anew instead of comparing")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out most types of models by discovery, unless `-m` asks for them: `make families` does."""
    if "families" in config.getoption("markexpr"):
        return
    out = [item for item in items for mark in item.iter_markers("families") if not mark.kwargs.get("always")]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in set(out)]


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> None:
    """Let collections of garbage pass over what earlier modules have made; hundreds of tests collect."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def regenerate_goldens(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--regenerate-goldens"))


@pytest.fixture
def one_thread():
    """Many small layers: two threads that wait for each other are slower than one, the more so on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_server_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server and no key is known from the environment of whoever runs the tests."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
