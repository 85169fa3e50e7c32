"""The Containerfile is sound: what can be checked without an engine; where one runs, the image is built and started."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.command import vqttt
from tests.support.serving import server_in_process
from vqttt.serving.listening import Listener

ROOT = Path(__file__).resolve().parents[2]
KNOWN = {"FROM", "ARG", "RUN", "COPY", "WORKDIR", "USER", "EXPOSE", "ENV", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions and what follows each; a line that ends with a backslash goes on."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in whole.splitlines())]


FILE = instructions((ROOT / "Containerfile").read_text())


def only(word: str) -> str:
    (found,) = [rest for name, rest in FILE if name == word]
    return found


def entrypoint() -> list[str]:
    return list(json.loads(only("ENTRYPOINT")))


def check() -> list[str]:
    """The command of the health check, to be run by this Python."""
    command: list[str] = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
    assert command[0] == "python"
    return [sys.executable, *command[1:]]


def ignored(name: str) -> bool:
    """Whether .containerignore keeps a file from the engine: the last pattern that fits decides."""
    out = False
    for line in (ROOT / ".containerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if pattern and not pattern.startswith("#") and fnmatch(name, pattern):
            out = not line.startswith("!")
    return out


def test_instructions_are_known_and_in_order() -> None:
    words = [word for word, _ in FILE]
    assert set(words) <= KNOWN and words[0] == "FROM" and words[-1] == "ENTRYPOINT"
    assert re.fullmatch(r"python:3\.\d+-slim", only("FROM")), "a small image, and a version that does not change"
    least = PROJECT["project"]["requires-python"].removeprefix(">=3.")
    assert int(re.findall(r"3\.(\d+)", only("FROM"))[0]) >= int(least)


def test_what_runs_is_not_root() -> None:
    user = only("USER")
    assert user.isdigit() and int(user) > 0, "a number, so that a cluster can see that it is not root"
    words = [word for word, _ in FILE]
    assert "RUN" not in words[words.index("USER") :] and f"--uid {user}" in " ".join(rest for _, rest in FILE)


def test_all_that_is_copied_is_there() -> None:
    copied = [source for name, rest in FILE if name == "COPY" for source in rest.split()[:-1]]
    assert copied and all((ROOT / source).exists() and not ignored(source) for source in copied)
    build = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {"pyproject.toml", PROJECT["project"]["readme"], *(Path(one).parts[0] for one in build)}
    assert needed <= set(copied), "all that the wheel is made of"
    assert all(ignored(name) for name in (".git", ".venv", "runs", "tests", "src/vqttt/__pycache__"))


def test_extras_and_packages_are_those_of_the_project() -> None:
    run = " ".join(rest for name, rest in FILE if name == "RUN")
    (extras,) = re.findall(r"'\.\[([\w,-]+)\]'", run)
    assert set(extras.split(",")) == {"serve", "served"} <= set(PROJECT["project"]["optional-dependencies"])
    (first, index) = re.findall(r"pip install --no-cache-dir ([\w ]+) --index-url (\S+)", run)[0]
    wanted = {re.split(r"[<>=]", one)[0] for one in PROJECT["project"]["dependencies"]}
    assert set(first.split()) <= wanted and index.endswith("/cpu")


def test_ports_agree() -> None:
    port = entrypoint()[entrypoint().index("--port") + 1]
    assert only("EXPOSE") == port and f":{port}/healthz" in check()[-1]


def test_it_does_not_start_without_keys(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("VQTTT_API_KEYS", raising=False)
    monkeypatch.setattr(Listener, "run", lambda _: pytest.fail("it has started"))
    command, *arguments = entrypoint()
    assert command == "vqttt" and vqttt(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err.startswith("vqttt: 0.0.0.0 is open to other machines; give --keys FILE")


def test_the_health_check_tells_a_server_from_none() -> None:
    with server_in_process(keys=("a-key-that-is-long",)) as (url, _):
        port = url.removesuffix("/v1").rpartition(":")[2]
        command = [part.replace(":8080/", f":{port}/") for part in check()]
        assert subprocess.run(command, capture_output=True).returncode == 0
    assert subprocess.run(command, capture_output=True).returncode != 0


def engine() -> str:
    """An engine that answers; empty if there is none."""
    for name in ("podman", "docker"):
        if shutil.which(name) and not subprocess.run([name, "info"], capture_output=True, timeout=60).returncode:
            return name
    return ""


@pytest.mark.slow
def test_it_can_be_built() -> None:
    name = engine()
    if not name:
        pytest.skip("no container engine answers")
    image = "vqttt-test"
    subprocess.run([*shlex.split(f"{name} build -q -f Containerfile -t {image} .")], check=True, cwd=ROOT)
    ran = subprocess.run([name, "run", "--rm", image], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2 and "0.0.0.0 is open to other machines" in ran.stderr
    who = subprocess.run([name, "run", "--rm", "--entrypoint", "id", image, "-u"], capture_output=True, text=True)
    assert who.stdout.strip() == only("USER")
