"""Listening: uvicorn, with a limit on the time that a client takes to begin, and its errors in OpenAI's form."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from vqttt.errors import InputError
from vqttt.serving import replies
from vqttt.serving.refusals import RequestError

_STOP = 300
"""Seconds that accepted requests have to be finished when the server is told to stop."""


class _Connection(H11Protocol):
    """A connection that is closed if the head of a request is not complete in time; uvicorn would wait forever."""

    head_seconds: float
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        body = json.dumps(replies.error(RequestError(msg))).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        try:
            parts = [h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()]
            self.transport.write(b"".join(self.conn.send(part) or b"" for part in parts))
        except h11.LocalProtocolError:  # a reply has begun already
            pass
        self.transport.close()

    def _watch(self) -> None:
        """Start the clock where a request has not begun, and stop it where one has."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self._late is None:
            self._late = self.loop.call_later(self.head_seconds, self._close)

    def _close(self) -> None:
        self._late = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class Listener:
    """A socket that is open, and the server that answers there once it runs.

    Attributes:
        url: of the chat interface.
    """

    def __init__(self, app: Any, host: str, port: int, head_seconds: float) -> None:
        """Open the socket.

        Args:
            app: the application.
            host: to listen on.
            port: to listen on; 0 for any that is free.
            head_seconds: time that a client has to send the head of a request.

        Raises:
            InputError: if the address is no one's or the port is taken.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=2048)
            # Otherwise head and body of a reply wait for each other's receipt, up to 40 ms; connections inherit it.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, OverflowError) as error:
            reason = str(getattr(error, "strerror", None) or error).partition(" (")[0]
            raise InputError(f"cannot listen on {host}, port {port}: {reason}; choose others") from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}/v1"
        connection = type("Connection", (_Connection,), {"head_seconds": head_seconds})
        config = uvicorn.Config(
            app,
            http=connection,
            ws="none",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_STOP,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answer until the process is told to stop; then finish what was accepted."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Tell it to stop, from another thread."""
        self._server.should_exit = True


def serve(app: Any, host: str, port: int, head_seconds: float, started: Callable[[str], None]) -> None:
    """Answer until the process is told to stop; arguments and errors as for `Listener`.

    `started` is called with the URL once requests are taken.
    """
    listener = Listener(app, host, port, head_seconds)
    started(listener.url)
    listener.run()
