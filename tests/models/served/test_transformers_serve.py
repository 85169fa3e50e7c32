"""`transformers serve`, a server without log-probabilities, with the embedded checkpoint."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from math import isnan
from pathlib import Path

import pytest

from vqttt.errors import InputError, ServerError
from vqttt.methods import find_method
from vqttt.models import EMBEDDED, ServedOptions, load_model
from vqttt.models.base import Model
from vqttt.tasks import load_task

QUESTIONS = 60


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("transformers") / "log"
    command = [
        Path(sys.executable).with_name("transformers"),
        "serve",
        EMBEDDED,
        "--port",
        str(port),
        "--device",
        "cpu",
    ]
    with log.open("wb") as file:
        process = subprocess.Popen(list(map(str, command)), stdout=file, stderr=file)
        try:
            yield reached(f"http://127.0.0.1:{port}/v1", process, log)
        finally:
            process.terminate()
            process.wait(60)


def reached(url: str, process: "subprocess.Popen[bytes]", log: Path) -> Model:
    """Wait until the server answers."""
    ends = time.monotonic() + 120
    while True:
        assert process.poll() is None, log.read_text()
        try:
            return load_model(f"openai:{EMBEDDED}", served=ServedOptions(base_url=url, concurrency=4))
        except ServerError:
            assert time.monotonic() < ends, log.read_text()


@pytest.mark.slow
def test_its_answers_are_those_of_the_process(served: Model) -> None:
    samples = load_task("vq-mini", QUESTIONS)
    images, questions = [sample.load() for sample in samples], [sample.question for sample in samples]
    answers = served.answer(images, questions, 8)
    here = load_model("embedded").answer(images, questions, 8)
    assert not any(answers.errors) and answers.texts == here.texts and len(set(here.texts)) > 10
    assert all(map(isnan, [*answers.entropies, *answers.confidences]))


@pytest.mark.slow
def test_what_needs_probabilities_is_refused(served: Model) -> None:
    assert not served.certain
    for name in ("vq-select", "tta", "likeliest"):
        with pytest.raises(InputError, match="needs the probabilities"):
            find_method(name).build(served)
    sample = load_task("vq-mini", 1)[0]
    assert find_method("none").build(served).ask([sample.load()], [sample.question])[0].answer
