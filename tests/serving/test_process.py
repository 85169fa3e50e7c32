"""`vqttt serve` in a process of its own: how it starts, what it refuses to start with, and how it stops."""

import socket
from pathlib import Path
from typing import Any

import openai
import pytest
from safetensors.torch import load_file

from tests.support.command import vqttt
from tests.support.servers import vqttt_server
from tests.support.serving import GREEN, RED, ask, client, doubtful, get

KEYS = ("sk-first-client", "sk-second-client")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VQTTT_API_KEYS", raising=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_it_does_not_open_itself_to_everyone(host: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert vqttt(monkeypatch, "serve", "--model", "fake", "--host", host, "--port", 0) == 2
    assert f"{host} is open to other machines; give --keys FILE, or --allow-anyone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "fakes"), "did you mean fake"),
        (("--method", "vq-selec"), "did you mean vq-select"),
        (("--model", "fake-plain", "--method", "vq-ttt"), "access to the model's internals"),
        (("--set", "vq-select.tries=0"), "tries is from 1"),
        (("--queue", 0), "the limit queue must be at least 1"),
        (("--images", "/no/such/folder"), "is not a folder of images"),
        (("--streams", "/dev/null/streams"), "streams cannot be saved here"),
        (("--keys", "/no/such/file"), "cannot be read"),
        (("--upstream", "localhost:8000"), "is not the URL of a server"),
        (("--upstream", "http://127.0.0.1:9/v1", "--base-url", "http://127.0.0.1:9/v1"), "give --upstream"),
        (("--host", "no.such.host.invalid", "--allow-anyone"), "cannot listen on no.such.host.invalid"),
    ],
)
def test_what_it_does_not_start_with(
    arguments: tuple[Any, ...], words: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    chosen = arguments if "--model" in arguments else ("--model", "fake", *arguments)
    assert vqttt(monkeypatch, "serve", "--port", 0, *chosen) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said


def test_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert vqttt(monkeypatch, "serve", "--model", "fake", "--port", taken.getsockname()[1]) == 2
    assert "Address already in use; choose others" in capsys.readouterr().err


@pytest.mark.slow
def test_streams_survive_a_restart_as_they_were_alone(tmp_path: Path) -> None:
    """What one client's stream has learned after a restart, amid others, is bit for bit what it has learned alone."""

    def learned(folder: Path) -> dict[str, Any]:
        return {file.name: load_file(file) for file in folder.glob("*.safetensors")}

    keys = tmp_path / "keys"
    keys.write_text("\n".join(KEYS))
    alone, busy = tmp_path / "alone", tmp_path / "busy"
    with vqttt_server("--keys", str(keys), "--streams", str(alone)) as running:
        for seed in range(6):
            ask(client(running.url, KEYS[0]), doubtful(seed), vqttt={"stream": "camera-7"})
    with vqttt_server("--streams", str(busy), env={"VQTTT_API_KEYS": ",".join(KEYS)}) as running:
        for seed in range(3):
            ask(client(running.url, KEYS[0]), doubtful(seed), vqttt={"stream": "camera-7"})
            ask(client(running.url, KEYS[1]), doubtful(seed + 50), vqttt={"stream": "camera-7"})
            ask(client(running.url, KEYS[0]), doubtful(seed + 90), vqttt={"stream": "camera-8"})
            ask(client(running.url, KEYS[0]), doubtful(seed + 30))
        with pytest.raises(openai.AuthenticationError):
            ask(client(running.url), RED)
    with vqttt_server("--streams", str(busy), "--keys", str(keys)) as running:
        for seed in range(3, 6):
            ask(client(running.url, KEYS[0]), doubtful(seed), vqttt={"stream": "camera-7"})
        assert all(key not in running.said for key in KEYS)
    ((name, expected),) = learned(alone).items()
    found = learned(busy)
    assert len(found) == 3 and {*found[name]} == {*expected}
    assert all(found[name][part].equal(tensor) for part, tensor in expected.items())
    assert not any(key.encode() in file.read_bytes() for key in KEYS for file in busy.iterdir())


def test_where_it_is_and_for_whom(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    options = ("--host", "0.0.0.0", "--allow-anyone", "--images", str(tmp_path / "images"), "--method", "none")
    with vqttt_server(*options, model="fake") as running:
        assert running.url.startswith("http://0.0.0.0:") and running.said.count("\n") == 1
        assert running.said.endswith("/v1, by none, for anyone\n")
        assert ask(client(running.url), GREEN, model="fake").vqttt["method"] == "none"
        assert get(running.url.removesuffix("/v1") + "/healthz")[0] == 200
        running.stop()
        with pytest.raises(openai.APIConnectionError):
            ask(client(running.url), GREEN)
