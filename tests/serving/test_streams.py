"""Streams by name: apart from each other, bounded, forgotten in time, and back after a restart."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.serving import doubtful
from vqttt.errors import InputError
from vqttt.methods import MethodSpec, VQSelect, find_method
from vqttt.methods.stream import StreamMethod
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.serving.refusals import RequestError
from vqttt.serving.streams import Streams

SPEC = find_method("vq-select")


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def streams(most: int = 100, seconds: float = 60, folder: Path | None = None, clock: Any = None) -> Streams:
    return Streams(build, most, seconds, folder, clock or Clock())


def build(spec: MethodSpec) -> StreamMethod:
    method = spec.build(FakeModel())
    assert isinstance(method, StreamMethod)
    return method


def teach(of: Streams, name: str, seed: int = 0, *, owner: str = "", spec: MethodSpec = SPEC) -> None:
    with of.using(owner, name, spec) as method:
        method.ask([doubtful(seed)], ["what color is it?"])


def tries(of: Streams, name: str, *, owner: str = "", spec: MethodSpec = SPEC) -> int:
    with of.using(owner, name, spec) as method:
        assert isinstance(method, VQSelect)
        return method.predictor.tries


def learned(of: Streams, name: str, *, owner: str = "") -> list[torch.Tensor]:
    with of.using(owner, name, SPEC) as method:
        return method.learned()


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def test_streams_of_other_names_owners_and_settings_are_apart() -> None:
    own, alone = streams(), streams()
    others: list[Callable[[int], None]] = [
        lambda n: teach(own, "b", n),
        lambda n: teach(own, "a", n, owner="other"),
        lambda n: teach(own, "a", n, spec=SPEC.changed({"tries": 3})),
        lambda n: teach(own, "a\0", n),
        lambda n: teach(own, "\0a", n),
        lambda n: teach(own, 'a", "vq-select', n),
    ]
    for seed in range(5):
        teach(alone, "a", seed)
        teach(own, "a", seed)
        for number, other in enumerate(others):
            other(100 + seed * 10 + number)
    assert len(own) == 7 and same(learned(own, "a"), learned(alone, "a"))
    assert not same(learned(own, "b"), learned(alone, "a"))


def test_requests_of_one_stream_take_turns() -> None:
    own, inside, most = streams(), [0], [0]

    def work(seed: int) -> None:
        with own.using("", "a", SPEC) as method:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            method.ask([doubtful(seed)], ["what color is it?"])
            inside[0] -= 1

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] and tries(own, "a") >= 12, "each has taught it something"


def test_memory_is_bounded_and_the_one_not_used_for_longest_makes_room() -> None:
    own = streams(most=3)
    for name in "abc":
        teach(own, name)
    before = tries(own, "a")
    teach(own, "a", 1)
    teach(own, "d")
    assert len(own) == 3
    assert tries(own, "c") > 0 and tries(own, "a") > before > 0, "these are as they were"
    assert tries(own, "b") == 0, "b was forgotten"


def test_the_memory_of_all_streams_together_is_bounded() -> None:
    clock = Clock()
    own = streams(clock=clock)
    for n in range(6):
        teach(own, "a", n)
        clock.now += 1
    with own.using("", "a", SPEC) as method:
        size = method.memory()
    assert size > 6 * 8 * 2, "tries take memory"
    small = Streams(build, 100, 60, None, clock, memory=2.5 * size)
    for name in "abcd":
        for n in range(6):
            teach(small, name, n)
        clock.now += 1
    assert len(small) == 2 and tries(small, "d") > 0 and tries(small, "a") == 0


def test_one_stream_does_not_hold_every_thread() -> None:
    own = Streams(build, 100, 60, None, Clock(), queue=1)
    with own.using("", "a", SPEC):
        with pytest.raises(RequestError, match="1 requests of this stream wait") as refused, own.using("", "a", SPEC):
            pass
        assert refused.value.status == 429 and refused.value.retry_after
        with own.using("", "b", SPEC):
            pass
    with own.using("", "a", SPEC):
        pass


def test_a_stream_in_use_is_never_forgotten() -> None:
    clock = Clock()
    own = streams(most=1, seconds=10, clock=clock)
    with own.using("", "a", SPEC) as method:
        clock.now += 100
        for name in "bcd":
            teach(own, name)
        method.ask([doubtful(0)], ["what color is it?"])
    assert tries(own, "a") > 0 and len(own) == 1


def test_a_stream_that_nobody_uses_is_forgotten() -> None:
    clock = Clock()
    own = streams(seconds=60, clock=clock)
    teach(own, "a")
    clock.now += 59
    assert tries(own, "a") > 0
    clock.now += 59
    assert tries(own, "a") > 0, "each use counts"
    clock.now += 61
    teach(own, "b")
    assert len(own) == 1 and tries(own, "a") == 0


def test_streams_survive_a_restart_and_the_lack_of_room(tmp_path: Path) -> None:
    clock = Clock()
    first = streams(most=2, folder=tmp_path, clock=clock)
    for seed, name in enumerate("abc"):
        teach(first, name, seed)
    states = {name: learned(first, name) for name in "abc"}
    first.close()
    assert len(first) == 0 and [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600] * 3
    second = streams(folder=tmp_path, clock=clock)
    assert all(same(learned(second, name), state) for name, state in states.items())
    assert tries(second, "a", owner="other") == 0
    teach(second, "a", 7)
    teach(first, "a", 7)
    assert same(learned(second, "a"), learned(first, "a")), "it goes on as if nothing had happened"


def test_file_names_say_nothing(tmp_path: Path) -> None:
    own = streams(folder=tmp_path)
    teach(own, "../../secret-camera", owner="sk-key")
    own.close()
    (file,) = tmp_path.iterdir()
    assert file.name.removesuffix(".safetensors").isalnum() and b"secret-camera" not in file.read_bytes()


def test_a_stream_is_forgotten_on_disk_too(tmp_path: Path) -> None:
    clock = Clock()
    own = streams(most=1, seconds=60, folder=tmp_path, clock=clock)
    teach(own, "a")
    clock.now += 10
    teach(own, "b")  # a goes to disk, last used ten seconds ago
    clock.now += 51
    assert tries(own, "a") == 0, "a file counts from the stream's last use"
    own.close()
    clock.now += 61
    later = streams(seconds=60, folder=tmp_path, clock=clock)
    teach(later, "c")
    assert not list(tmp_path.iterdir()), "files of streams that nobody asks for go too"


def test_an_old_file_does_not_come_back(tmp_path: Path) -> None:
    """Read from disk, used, and then left alone: neither memory nor the file may keep it."""
    clock = Clock()
    own = streams(most=1, seconds=600, folder=tmp_path, clock=clock)
    teach(own, "a")
    teach(own, "b")
    teach(own, "a")
    clock.now += 601
    assert tries(own, "a") == 0


def test_a_restart_does_not_make_streams_younger(tmp_path: Path) -> None:
    clock = Clock()
    for _ in range(2):
        own = streams(seconds=60, folder=tmp_path, clock=clock)
        if not list(tmp_path.iterdir()):
            teach(own, "a")
        clock.now += 40
        own.close()
    assert tries(streams(seconds=60, folder=tmp_path, clock=clock), "a") == 0


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_a_new_stream(tmp_path: Path, content: bytes) -> None:
    own = streams(folder=tmp_path)
    teach(own, "a")
    own.close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    os.utime(file, (Clock().now, Clock().now))
    again = streams(folder=tmp_path)
    assert tries(again, "a") == 0
    teach(again, "a")
    again.close()
    assert tries(streams(folder=tmp_path), "a") > 0


def test_a_file_of_another_model_is_a_new_stream(tmp_path: Path) -> None:
    own = streams(folder=tmp_path)
    teach(own, "a")
    own.close()
    other = Streams(lambda spec: SPEC.build(FakeTunableModel()), 10, 60, tmp_path, Clock())  # type: ignore[return-value, arg-type]
    assert tries(other, "a") == 0


def test_a_full_disk_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    own = streams(most=2, folder=tmp_path)

    def full(method: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(VQSelect, "save", full)
        for name in "abcd":
            teach(own, name)
        own.close()
    assert "a stream cannot be saved" in caplog.text and "No space left" in caplog.text
    assert not list(tmp_path.iterdir()), "half a file is worse than none"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(InputError, match="streams cannot be saved here"):
            streams(folder=folder)
