"""The server: OpenAI's chat interface over an `Engine`, with limits, keys and metrics."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vqttt import __version__
from vqttt.errors import InputError, ServerError, in_a_line
from vqttt.methods.spec import MethodSpec
from vqttt.models.base import Model
from vqttt.models.served.replies import REFUSED
from vqttt.serving import replies
from vqttt.serving.asked import Asked, read
from vqttt.serving.body import loads
from vqttt.serving.engine import Answered, Engine
from vqttt.serving.keys import Keys
from vqttt.serving.limits import Limits
from vqttt.serving.metrics import Metrics
from vqttt.serving.refusals import RequestError, unavailable

_log = getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server answers.

    Attributes:
        name: what clients may call the model; they may also leave it to the server by `default`.
        limits: what is accepted.
        keys: who may ask.
        image_folder: local images are read from here; None for none.
        stream_folder: streams are saved here; None to keep none over a restart.
    """

    name: str
    limits: Limits = field(default_factory=Limits)
    keys: Keys = field(default_factory=lambda: Keys([]))
    image_folder: Path | None = None
    stream_folder: Path | None = None


class Server:
    """The parts of a running server, and its routes."""

    def __init__(self, model: Model, spec: MethodSpec, settings: Settings) -> None:
        """Build the engine; raises as `Engine` does."""
        self.settings, self.model, self.waiting = settings, model, 0
        self.metrics = Metrics(lambda: self.waiting, lambda: len(self.engine.streams))
        self.engine = Engine(
            model, spec, settings.limits, folder=settings.stream_folder, took=self.metrics.batch.observe
        )
        # Enough threads to fill two passes: while one runs, the requests of the next are read and corrected.
        self._threads = ThreadPoolExecutor(2 * settings.limits.batch, thread_name_prefix="vqttt-request")

    def app(self) -> FastAPI:
        """Return the application."""

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            yield
            await asyncio.to_thread(self.close)

        app = FastAPI(
            title="vqttt", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
        )
        app.post("/v1/chat/completions")(self.chat)
        app.get("/v1/models")(self.models)
        app.get("/healthz")(self.health)
        app.get("/metrics")(self.measured)
        app.add_exception_handler(RequestError, _refused)
        app.add_exception_handler(HTTPException, _unknown)
        app.add_exception_handler(Exception, _failed)
        return app

    def close(self) -> None:
        """Finish what was accepted, and save the streams."""
        self._threads.shutdown()
        self.engine.close()

    async def chat(self, request: Request) -> Response:
        """Answer a request (`POST /v1/chat/completions`)."""
        began = time.monotonic()
        try:
            response, account = await self._chat(request, began)
        except RequestError as error:
            self.metrics.requests.labels(str(error.status)).inc()
            raise
        except Exception:
            self.metrics.requests.labels("500").inc()
            raise
        self.metrics.requests.labels("200").inc()
        self.metrics.seconds.labels(account["method"]).observe(time.monotonic() - began)
        return response

    async def models(self, request: Request) -> Response:
        """List the models (`GET /v1/models`)."""
        self._owner(request)
        return JSONResponse(replies.models({self.settings.name: self.model.scope or "answers questions about images"}))

    async def health(self) -> Response:
        """Say whether requests are taken (`GET /healthz`)."""
        return JSONResponse({"status": "ok", "model": self.settings.name, "method": self.engine.spec.name})

    async def measured(self, request: Request) -> Response:
        """Return the metrics (`GET /metrics`)."""
        self._owner(request)
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def _chat(self, request: Request, arrived: float) -> tuple[Response, dict[str, Any]]:
        owner = self._owner(request)
        if self.waiting >= self.settings.limits.queue:
            raise RequestError("too many requests wait; try again soon", 429, code="queue_full", retry_after=1)
        self.waiting += 1
        try:
            body = await _body(request, self.settings.limits)
            loop = asyncio.get_running_loop()
            asked, reply = await loop.run_in_executor(self._threads, self._answered, body, owner, arrived)
        finally:
            self.waiting -= 1
        if asked.in_parts:
            events = replies.events(reply, usage=asked.usage)
            return StreamingResponse(events, media_type="text/event-stream"), reply["vqttt"]
        return JSONResponse(reply), reply["vqttt"]

    def _answered(self, body: bytes, owner: str, arrived: float) -> tuple[Asked, replies.Object]:
        """Read and answer a request, in a thread of its own."""
        began = time.thread_time()  # work, not waiting for a processor
        asked = self._asked(body)
        read_at = time.thread_time()
        answered = self._answer(asked, owner, arrived)
        answered_at = time.thread_time()
        reply = replies.completion(asked, answered, self.model)
        self.metrics.count(reply["vqttt"])
        self.metrics.own.observe(time.thread_time() - answered_at + read_at - began)
        return asked, reply

    def _asked(self, body: bytes) -> Asked:
        """Read a request.

        Raises:
            RequestError: if it cannot be answered.
        """
        settings = self.settings
        asked = read(loads(body), settings.limits, settings.image_folder, conversations=self.model.independent)
        if asked.model not in (settings.name, "default"):
            raise RequestError(
                f"there is no model {asked.model!r}; it is {settings.name!r}", 404, "model", "model_not_found"
            )
        return asked

    def _answer(self, asked: Asked, owner: str, arrived: float) -> Answered:
        """Answer a request.

        Raises:
            RequestError: if there is no answer; whatever is raised below becomes one.
        """
        try:
            answered = self.engine.answer(asked, owner, arrived)
        except RequestError:
            raise
        except InputError as error:
            raise RequestError(str(error), param="messages") from error
        except ServerError as error:
            raise _down(in_a_line(error)) from error
        except Exception as error:  # a network may raise anything
            raise RequestError(f"the model cannot answer this: {in_a_line(error)}", 500, code="failed") from error
        if answered.error.startswith(REFUSED):
            raise RequestError(answered.error, code="upstream_refused")
        if unavailable(answered.error):
            raise _down(answered.error)
        if answered.error:
            raise RequestError(f"the model gave no answer: {answered.error}", 502, code="no_answer")
        return answered

    def _owner(self, request: Request) -> str:
        owner = self.settings.keys.owner(request.headers.get("authorization"))
        if owner is None:
            raise RequestError(
                "this server wants an API key, as Authorization: Bearer KEY", 401, code="invalid_api_key"
            )
        return owner


def _down(reason: str) -> RequestError:
    """Return the error of a server behind this one that cannot be asked now, and write down why."""
    _log.warning("%s", reason)  # it may say where that server is, which is not for clients
    words = "the server behind this one cannot be asked now; try again soon"
    return RequestError(words, 503, code="upstream_down", retry_after=5)


async def _body(request: Request, limits: Limits) -> bytes:
    """Read a request's body; a client that sends too much or too slowly is refused.

    Raises:
        RequestError: if it is.
    """
    too_large = RequestError(f"a request has at most {limits.body:,} bytes", 413, code="request_too_large")
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > limits.body:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body:
                    raise too_large
                parts.append(part)
    except ClientDisconnect:
        raise RequestError("the client went away", 400, code="disconnected") from None
    except TimeoutError:
        raise RequestError(
            f"the request was not complete after {limits.body_seconds} seconds", 408, code="request_timeout"
        ) from None
    return b"".join(parts)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status == 408:
        headers["Connection"] = "close"  # nobody waits for the rest
    return JSONResponse(replies.error(error), error.status, headers)


async def _unknown(_: Request, error: Exception) -> Response:
    """Return the errors of routing in OpenAI's form."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    refused = RequestError(str(error.detail), error.status_code, code=code)
    return JSONResponse(replies.error(refused), error.status_code, error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    """Return our own faults in OpenAI's form; uvicorn writes their traces to standard error."""
    return JSONResponse(
        replies.error(RequestError(f"the server failed: {type(error).__name__}", 500, code="failed")), 500
    )
