"""lmms-eval's own OpenAI-compatible model, pointed at `vqttt serve`, against the plug-in in its process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.lmms_eval.questions import write
from tests.integrations.lmms_eval.test_command import command
from tests.support.servers import vqttt_server

COUNT = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    write(made, COUNT)
    return made


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with vqttt_server("--method", "none", model="embedded") as running:
        yield running.url


def test_the_harness_gets_the_answers_of_the_process(folder: Path, url: str) -> None:
    _, here, accuracy = command(folder, "pretrained=embedded,method=none", "here")
    served = command(folder, f"model=embedded,base_url={url},api_key=none,timeout=60", "served", model="openai")
    assert served[1:] == (here, accuracy) and accuracy > 0.8
