"""What a server accepts at most."""

from dataclasses import dataclass, fields

from vqttt.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server accepts at most; what goes beyond is refused with the reason.

    Attributes:
        body: bytes of a request.
        body_seconds: time to send its head, and time to send the rest.
        images: images of a request.
        pixels: pixels of all its images together.
        prompt: characters of all texts of a request.
        tokens: tokens of an answer, and those of a request that does not say.
        choices: answers to one request (`n`).
        queue: requests that wait or are being answered.
        batch: requests that are answered in one pass.
        streams: streams that are kept; the one not used for longest makes room.
        stream_queue: requests of one stream that wait or are being answered.
        stream_memory: bytes of all streams that are kept; likewise.
        stream_seconds: time after which a stream that is not used is forgotten.
    """

    body: int = 32 * 2**20
    body_seconds: int = 30
    images: int = 16
    pixels: int = 40_000_000
    prompt: int = 100_000
    tokens: int = 1024
    choices: int = 8
    queue: int = 256
    batch: int = 32
    streams: int = 1000
    stream_queue: int = 8
    stream_memory: int = 2 * 2**30
    stream_seconds: int = 3600

    def __post_init__(self) -> None:
        """Reject numbers below 1."""
        for one in fields(self):
            if getattr(self, one.name) < 1:
                raise InputError(f"the limit {one.name} must be at least 1, not {getattr(self, one.name)}")
