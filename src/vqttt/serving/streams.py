"""Streams by name: what a method has learned from a client's images, kept apart from everyone else's.

Memory is bounded: the stream that was not used for longest makes room, and one that nobody uses is forgotten. With a
folder, streams are saved there when they leave memory and when the server stops, and read again when they are asked
for.
"""

import hashlib
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import getLogger
from math import inf
from pathlib import Path

from vqttt.errors import InputError, VQTTTError, in_a_line
from vqttt.methods.spec import MethodSpec
from vqttt.methods.stream import StreamMethod
from vqttt.serving.refusals import RequestError

_SWEEP = 60
"""Seconds between two looks for old files."""

_UNFIT = (VQTTTError, KeyError, ValueError, RuntimeError)
"""What a file may raise that is damaged, or was written for other weights or by another version."""

_log = getLogger(__name__)


@dataclass
class Stream:
    """A method that goes on learning; its requests are answered one after another."""

    method: StreamMethod
    used: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    size: int = 0


class Streams:
    """The streams of all clients; safe between threads."""

    def __init__(
        self,
        build: Callable[[MethodSpec], StreamMethod],
        most: int,
        seconds: float,
        folder: Path | None = None,
        clock: Callable[[], float] = time.time,
        *,
        memory: float = inf,
        queue: float = inf,
    ) -> None:
        """Start without any.

        Args:
            build: builds a method.
            most: streams in memory at most; those that are in use at the moment always stay.
            seconds: time after which a stream that is not used is forgotten, on disk too.
            folder: where streams are saved; None to keep none.
            clock: returns seconds; a file's age counts by it.
            memory: bytes of all streams in memory at most; those that are in use always stay.
            queue: requests of one stream at a time at most: each holds a thread.

        Raises:
            InputError: if nothing can be written to the folder.
        """
        self._build, self.most, self.seconds, self.folder, self._clock = build, most, seconds, folder, clock
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._lock, self._swept, self._memory, self._queue = threading.Lock(), 0.0, memory, queue
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                tried = folder / f"{os.getpid()}.part"
                tried.touch()
                tried.unlink()
            except OSError as error:
                raise InputError(f"{folder}: streams cannot be saved here: {error.strerror or error}") from error

    def __len__(self) -> int:
        return len(self._streams)

    @contextmanager
    def using(self, owner: str, name: str, spec: MethodSpec) -> Iterator[StreamMethod]:
        """Within the block, have a stream for oneself; it is made, or read from the folder, if it is not there.

        Args:
            owner: whose it is: different owners have different streams of the same name.
            name: chosen by the client.
            spec: of the method; a stream of the same name with another method is another stream.

        Raises:
            RequestError: if too many requests of the stream wait.
        """
        said = json.dumps([owner, name, spec.name, repr(spec.config)])  # unlike joined texts, it has one reading only
        key = hashlib.sha256(said.encode()).hexdigest()
        with self._lock:
            self._forget()
            stream = self._streams.get(key)
            if stream is None:
                self._keep(self.most - 1)
                stream = self._streams[key] = Stream(self._found(key, spec), self._clock())
            if stream.users >= self._queue:
                raise RequestError(
                    f"{stream.users} requests of this stream wait; send the next after a reply",
                    429,
                    code="stream_busy",
                    retry_after=1,
                )
            self._used(key, stream, 1)
        try:
            with stream.lock:
                yield stream.method
        finally:
            with self._lock:
                stream.size = stream.method.memory()
                self._used(key, stream, -1)
                self._keep(self.most)

    def close(self) -> None:
        """Save all streams."""
        with self._lock:
            for key, stream in self._streams.items():
                self._save(key, stream)
            self._streams.clear()

    def _forget(self) -> None:
        """Forget the streams that nobody has used for long, in memory and on disk."""
        for key, stream in list(self._streams.items()):
            if not self._old(stream.used):
                break  # those after it were used later
            if not stream.users:
                del self._streams[key]
                self._remove(key)
        now = self._clock()
        if self.folder is not None and now - self._swept > _SWEEP:
            self._swept = now
            for path in self.folder.glob("*.safetensors*"):
                if path.name.partition(".")[0] not in self._streams and self._old(_modified(path)):
                    path.unlink(missing_ok=True)

    def _keep(self, most: int) -> None:
        """Let so many streams stay in memory, besides those in use, and no more than there is memory for."""
        taken = sum(stream.size for stream in self._streams.values())
        for key, stream in list(self._streams.items()):
            if len(self._streams) <= most and taken <= self._memory:
                break
            if not stream.users:
                del self._streams[key]
                taken -= stream.size
                self._save(key, stream)

    def _used(self, key: str, stream: Stream, users: int) -> None:
        """Take note of a use that begins or ends; streams are in the order of their last one."""
        stream.users += users
        stream.used = self._clock()
        self._streams.move_to_end(key)

    def _old(self, used: float) -> bool:
        return self._clock() - used > self.seconds

    def _found(self, key: str, spec: MethodSpec) -> StreamMethod:
        """Return a new stream's method, with what a file has of it."""
        method, path = self._build(spec), self._path(key)
        if path is None or not path.is_file():
            return method
        if self._old(_modified(path)):
            self._remove(key)
            return method
        try:
            method.load(path)
        except _UNFIT as error:
            _log.warning("a stream starts anew: %s", in_a_line(error))
            self._remove(key)
            method = self._build(spec)
        return method

    def _save(self, key: str, stream: Stream) -> None:
        """Write a stream to its file, which then is as old as its last use; a full disk stops no one."""
        if (path := self._path(key)) is None:
            return
        part = path.with_name(f"{path.name}.part")
        try:
            part.touch(0o600)  # what a client's stream has learned is for no other user of the machine
            stream.method.save(part)
            os.utime(part, (stream.used, stream.used))
            part.replace(path)
        except Exception as error:  # safetensors has an error of its own for a full disk
            _log.warning("a stream cannot be saved: %s", in_a_line(error))
            part.unlink(missing_ok=True)

    def _remove(self, key: str) -> None:
        if (path := self._path(key)) is not None:
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{key}.safetensors"


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
