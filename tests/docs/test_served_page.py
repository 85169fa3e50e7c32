"""docs/served.md says what is so: options, methods, what is sent, and its examples run."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from tests.support.servers import chat_server
from vqttt.images.files import save_image
from vqttt.methods import METHODS
from vqttt.methods.spec import INTERNALS
from vqttt.models import ServedOptions, load_model
from vqttt.models.fake import FakeModel
from vqttt.models.served import circuit, client
from vqttt.study.config import DEFAULTS
from vqttt.study.config_file import read_config
from vqttt.tasks import vq_mini

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "served.md").read_text()


def rows(*first: str) -> list[list[str]]:
    """The rows of the table that begins with these columns."""
    table = PAGE.partition(f"| {' | '.join(first)} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_all_options_are_there() -> None:
    found = {name.strip("`"): (option.strip("`"), default) for option, name, default, _ in rows("option", "in TOML")}
    assert set(found) == {field.name for field in fields(ServedOptions)}
    for field in fields(ServedOptions):
        option, default = found[field.name]
        assert option == f"--{field.name.replace('_', '-')}"
        assert default == {"base_url": "`OPENAI_BASE_URL`"}.get(field.name, str(field.default or "no limit"))


def test_all_methods_that_work_are_there() -> None:
    own = (row for row in rows("method", "needs") if row[0].startswith("`"))
    found = {method.split("`")[1]: (needs, int(most)) for method, needs, most in own}
    model = FakeModel()
    assert set(found) == {name for name, spec in METHODS.items() if spec.lacks(model) != INTERNALS}
    model.certain = False
    for name, (needs, most) in found.items():
        assert most == 1 + (METHODS[name].most_looks or 0)
        assert needs == ("log-probabilities" if METHODS[name].lacks(model) else "answers")


def test_what_is_sent_and_how_often(no_server_environment: None) -> None:
    with chat_server() as url:
        sent = json.loads(load_model("openai:colors", served=ServedOptions(base_url=url)).fingerprint())
    assert (sent["temperature"], sent["seed"], sent["top_logprobs"]) == (0, 0, 20)
    assert "`temperature` 0, `seed` 0, `max_tokens`, `logprobs` and `top_logprobs` 20" in PAGE
    assert client.RETRIES == 4 and "up to four times" in PAGE
    assert circuit.LIMIT == 8 and "Eight requests in a row" in PAGE
    assert f"`--tokens` ({DEFAULTS.max_new_tokens})" in PAGE
    assert METHODS["vq-select"].config.gate == METHODS["tta"].config.gate == 0.02 and "at least 0.02 nats" in PAGE


def test_the_file(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(block("toml"))
    config = read_config(tmp_path / "study.toml")
    assert config.served == ServedOptions(
        base_url="http://localhost:8000/v1", concurrency=config.batch, max_pixels=1_000_000
    )
    assert config.models == ("openai:NAME", "embedded") and config.methods == ("none", "vq-select")


def test_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_thread: None
) -> None:
    monkeypatch.chdir(tmp_path)
    save_image(vq_mini.samples("dev", 2)[1].load(), tmp_path / "photo.jpg")
    with chat_server() as url:
        given = block("python").replace("http://localhost:8000/v1", url).replace("NAME", "colors")
        exec(compile(given, "served.md", "exec"), {})
    assert re.fullmatch(r"\w+\n", capsys.readouterr().out)
