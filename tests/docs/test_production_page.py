"""docs/production.md says what is so: fields, metrics, statuses, options, a stream's bound; and its example runs."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from tests.support.serving import DOUBTFUL, body, get, post, server_in_process
from vqttt.cli import serving
from vqttt.cli.model_options import ModelOptions
from vqttt.images.files import save_image
from vqttt.images.restorers import CORRECTIONS
from vqttt.methods import METHODS
from vqttt.models.served import circuit, client
from vqttt.serving.asked import read
from vqttt.serving.body import Wishes
from vqttt.serving.limits import Limits
from vqttt.tasks import vq_mini
from vqttt.tuning.predictor import Predictor
from vqttt.tuning.spectrum import DESCRIPTORS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "production.md").read_text()
HELP = "".join((ROOT / "tests" / "goldens" / f"help-{name}.txt").read_text() for name in ("serve", "bench", "study"))


def first_cells(heading: str) -> list[str]:
    """The names in the first column of the table with this heading."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [name for line in table.splitlines()[2:] for name in re.findall(r"[\w]+", line.split("|")[1])]


def test_fields_and_metrics() -> None:
    wishes = {"method": "vq-select", "stream": "camera-7", "deadline_ms": 60_000, "tries": 1}
    with server_in_process() as (url, _):
        status, reply, _ = post(url, body(DOUBTFUL, vqttt=wishes))
        _, metrics = get(url.removesuffix("/v1") + "/metrics")
    assert status == 200
    assert first_cells("in the request") == [*Wishes.model_fields, "any", "other"]
    assert first_cells("in the reply") == list(reply["vqttt"])
    found = {family.name + "_total" * (family.type == "counter") for family in families(metrics)}
    assert set(first_cells("metric")) == {name for name in found if not name.endswith("_created")}


def test_all_statuses_are_there() -> None:
    raised = {400}
    for path in (ROOT / "src" / "vqttt" / "serving").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RequestError":
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                raised |= {one.value for one in values if isinstance(one, ast.Constant) and type(one.value) is int}
    assert set(map(int, first_cells("status"))) == {status for status in raised if 400 <= status < 600}


def test_options_are_those_of_the_commands() -> None:
    for option in re.findall(r"`(--[a-z-]+)", PAGE):
        assert f" {option} " in HELP, option


def test_requests_at_a_time_to_the_server_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = re.search(r"`--concurrency` \((\d+)\)", PAGE)
    helped = re.search(r"--concurrency .*\[(\d+)\]", (ROOT / "tests" / "goldens" / "help-serve.txt").read_text())
    sent = list[Any]()
    monkeypatch.setattr("vqttt.cli.model_options.ModelOptions.load_model", lambda own, _: sent.append(own.served))
    serving._loaded("NAME", "http://localhost:8000/v1", ModelOptions())
    serving._loaded("openai:NAME", None, ModelOptions(served={"base_url": "http://localhost:8000/v1"}))
    assert stated and helped
    assert {int(stated[1]), int(helped[1]), *(one["concurrency"] for one in sent)} == {serving.CONCURRENCY}


def test_unknown_fields_are_ignored_as_it_says() -> None:
    assert "Fields that are not known are ignored" in PAGE
    asked = read(body(DOUBTFUL, service_tier="auto", top_k=3), Limits())
    assert asked.question and not hasattr(asked, "top_k")


def test_failures_of_the_server_behind() -> None:
    assert client.RETRIES == 4 and "up to four times" in PAGE
    assert circuit.LIMIT == 8 and circuit.PAUSE == 5.0 and "After eight that failed in a row" in PAGE


def test_looks_of_memo() -> None:
    views = METHODS["memo"].config.views
    assert f"its {views} views takes {2 + 2 * views} of them" in PAGE


def test_the_most_that_a_stream_takes() -> None:
    tries = Predictor.memory + Predictor.memory // 4
    size = len(CORRECTIONS) * tries * (8 * tries + 4 * DESCRIPTORS + 8)
    assert f"{tries:,} tries" in PAGE and f"is {size / 1e6:.0f} MB" in PAGE and len(CORRECTIONS) == 11


def test_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_thread: None
) -> None:
    monkeypatch.chdir(tmp_path)
    save_image(vq_mini.samples("dev", 2)[1].load(), tmp_path / "photo.jpg")
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block, "production.md", "exec"), {})
    assert re.match(r"\w+ -> \w+", capsys.readouterr().out) and (tmp_path / "learned.safetensors").is_file()
