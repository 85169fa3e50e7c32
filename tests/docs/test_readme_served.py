"""The README's section on served models runs as it stands: server, curl, the package `openai`, and the study.

Only what depends on the machine is replaced: the port, and NAME, what a server calls its model.
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import vqttt
from tests.support.servers import vqttt_server
from vqttt.images.files import save_image
from vqttt.runs.loading import load_records
from vqttt.tasks import vq_mini

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
SECTION = re.findall(r"^## Served models\n.*?(?=^## )", README, flags=re.DOTALL | re.MULTILINE)[0]
STUDY, SERVE = (shlex.split(line, comments=True) for line in re.findall(r"^\$ (vqttt .+)$", SECTION, re.MULTILINE))


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return str(found)


def option(name: str) -> str:
    return SERVE[SERVE.index(name) + 1]


def at(text: str, url: str, port: str) -> str:
    """The text with the server's address in place of the one that the README gives it."""
    given = f"http://localhost:{port}/v1"
    assert text.count(given) == 1
    return text.replace(given, url)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    assert sorted(word for word in SERVE if word.startswith("-")) == ["--model", "--port"], "others would be lost here"
    with vqttt_server(model=option("--model")) as running:
        yield running.url


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_server_environment: None) -> None:
    """Work in a folder with the image that the examples take for granted."""
    monkeypatch.chdir(tmp_path)
    save_image(vq_mini.samples("dev", 2)[1].load(), tmp_path / "photo.jpg")


def test_curl(url: str) -> None:
    assert shutil.which("curl"), "install curl"
    ran = subprocess.run(["bash", "-c", at(block("bash"), url, "8080")], check=True, capture_output=True, text=True)
    reply = json.loads(ran.stdout)
    assert reply["choices"][0]["message"]["content"] == reply["vqttt"]["after"] != ""
    assert reply["vqttt"]["method"] == "vq-select" and reply["vqttt"]["looks"] >= 1


def test_the_package_openai(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    exec(compile(at(block("python"), url, "8080"), "README.md", "exec"), names)
    assert re.fullmatch(r"\w+ -> \w+\n", capsys.readouterr().out)
    assert names["reply"].vqttt["stream"] == "camera-7"  # type: ignore[attr-defined]
    names["client"].close()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_study(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = [at(word, url, "8000") if word.startswith("http") else word.replace("NAME", "embedded") for word in STUDY]
    assert own != STUDY and vqttt(monkeypatch, *own[1:]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    records = load_records(folder)
    assert set(records["model"]) == {"openai:embedded"} and set(records["method"]) == {"none", "vq-select"}
    assert set(records["error"]) == {""} and records["entropy_before"].max() > 0
