"""Streams by name: what a method has learned from a client's images, kept apart from everyone else's.

Memory is bounded: the stream that was not used for longest makes room, and one that nobody uses is forgotten. With a
folder, streams are saved there when they leave memory and when the server stops, and read again when they are asked
for.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vqttt.errors import VQTTTError
from vqttt.methods.spec import MethodSpec
from vqttt.methods.stream import StreamMethod

_SWEEP = 60
"""Seconds between two looks for old files."""


@dataclass
class Stream:
    """A method that goes on learning; its requests are answered one after another, in the order of their arrival."""

    method: StreamMethod
    used: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


class Streams:
    """The streams of all clients; safe between threads."""

    def __init__(
        self,
        build: Callable[[MethodSpec], StreamMethod],
        most: int,
        seconds: float,
        folder: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start without any.

        Args:
            build: builds a method.
            most: streams in memory at most; those that are in use at the moment always stay.
            seconds: time after which a stream that is not used is forgotten, on disk too.
            folder: where streams are saved; None to keep none.
            clock: returns seconds; a file's age counts by it.
        """
        self._build, self.most, self.seconds, self.folder, self._clock = build, most, seconds, folder, clock
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._lock, self._swept = threading.Lock(), 0.0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self._streams)

    @contextmanager
    def using(self, owner: str, name: str, spec: MethodSpec) -> Iterator[StreamMethod]:
        """Within the block, have a stream for oneself; it is made, or read from the folder, if it is not there.

        Args:
            owner: whose it is: different owners have different streams of the same name.
            name: chosen by the client.
            spec: of the method; a stream of the same name with another method is another stream.
        """
        key = hashlib.sha256("\0".join((owner, name, spec.name, repr(spec.config))).encode()).hexdigest()
        with self._lock:
            self._forget()
            stream = self._streams.get(key)
            if stream is None:
                stream = self._streams[key] = Stream(self._found(key, spec), self._clock())
            self._streams.move_to_end(key)
            stream.users += 1
        try:
            with stream.lock:
                yield stream.method
        finally:
            with self._lock:
                stream.users -= 1
                stream.used = self._clock()

    def close(self) -> None:
        """Save all streams."""
        with self._lock:
            for key, stream in self._streams.items():
                self._save(key, stream)
            self._streams.clear()

    def _forget(self) -> None:
        """Make room for one more stream, and forget those that nobody has used for long."""
        now = self._clock()
        for key, stream in list(self._streams.items()):
            old = now - stream.used > self.seconds
            if not stream.users and (old or len(self._streams) >= self.most):
                del self._streams[key]
                if not old:
                    self._save(key, stream)
            elif not old and len(self._streams) < self.most:
                break
        if self.folder is not None and now - self._swept > _SWEEP:
            self._swept = now
            for path in self.folder.glob("*.safetensors"):
                if now - path.stat().st_mtime > self.seconds:
                    path.unlink(missing_ok=True)

    def _found(self, key: str, spec: MethodSpec) -> StreamMethod:
        """Return a new stream's method, with what a file has of it."""
        method, path = self._build(spec), self._path(key)
        if path is not None and path.is_file():
            try:
                method.load(path)
            except VQTTTError:  # written for other weights or by another version: the stream starts anew
                path.unlink(missing_ok=True)
        return method

    def _save(self, key: str, stream: Stream) -> None:
        if (path := self._path(key)) is not None:
            stream.method.save(path)

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{key}.safetensors"
