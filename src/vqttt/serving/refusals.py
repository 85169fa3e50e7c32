"""Why a request is refused."""

import re

from vqttt.errors import VQTTTError

_UNAVAILABLE = re.compile(
    r"the server gave no answer: (?:APIConnectionError|APITimeoutError|\w+: Error code: (?:408|429|502|503|504))\b"
)
"""Begins the failure of a request whose server could not be reached, or had too much to do (see `served.client`)."""


class RequestError(VQTTTError):
    """A request that cannot be answered.

    Attributes:
        status: the HTTP status.
        param: the parameter that is wrong, if it is one.
        code: a word for programs.
        retry_after: seconds after which it may be sent again; 0 if that is of no use.
    """

    def __init__(
        self, message: str, status: int = 400, param: str = "", code: str = "invalid_request", retry_after: int = 0
    ) -> None:
        """Store the parts; the message becomes one line of bounded length, for it may repeat what was sent."""
        super().__init__(" ".join(message[:2000].split())[:1000])
        self.status, self.param, self.code, self.retry_after = status, param[:200], code, retry_after


def unavailable(failure: str) -> bool:
    """Tell whether a served model gave no answer because its server is not there or overloaded: it may be back soon."""
    return _UNAVAILABLE.match(failure) is not None
