"""lmms-eval's own OpenAI-compatible model, pointed at `vqttt serve`, against the plug-in in its process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.lmms_eval.questions import write
from tests.integrations.lmms_eval.test_command import command

COUNT = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    write(made, COUNT)
    return made


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    serving = [sys.executable, "-m", "vqttt.cli", "serve", "--port", "0", "--method", "none"]
    process = subprocess.Popen(serving, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    yield next(line.split(" at ")[1].split(",")[0] for line in process.stderr if " at http" in line)
    process.terminate()
    process.wait()
    process.stderr.close()


def test_the_harness_gets_the_answers_of_the_process(folder: Path, url: str) -> None:
    _, here, accuracy = command(folder, "pretrained=embedded,method=none", "here")
    served = command(folder, f"model=embedded,base_url={url},api_key=none,timeout=60", "served", model="openai")
    assert served[1:] == (here, accuracy) and accuracy > 0.8
