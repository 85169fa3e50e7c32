"""`vqttt serve`: answer for others."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqttt.cli.model_options import ModelOptions, with_model_options
from vqttt.cli.options import Settings as MethodSettings
from vqttt.cli.options import Tuned, check_one_model, chosen_method, say_scope
from vqttt.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from vqttt.models.base import Model

_LIMITS = "Limits"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

CONCURRENCY = 64
"""Requests that a proxy sends at a time, unless told otherwise: many clients ask it at once."""


@with_model_options(concurrency=CONCURRENCY)
def serve(
    model: Annotated[
        str,
        typer.Option(
            help="Registered name, checkpoint folder or Hugging Face id; with --upstream, the name there.",
            callback=check_one_model,
        ),
    ] = "embedded",
    upstream: Annotated[
        str | None, typer.Option(help="Stand in front of this server, such as http://localhost:8000/v1.")
    ] = None,
    method: Annotated[str, typer.Option(help="Method of requests that name none; see `vqttt list methods`.")] = (
        "vq-select"
    ),
    set_: MethodSettings = None,
    tuned: Tuned = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 8080,
    keys: Annotated[
        Path | None, typer.Option(help="File with API keys, one on each line; VQTTT_API_KEYS adds to them.")
    ] = None,
    allow_anyone: Annotated[
        bool, typer.Option("--allow-anyone", help="Listen beyond this machine although there are no keys.")
    ] = False,
    images: Annotated[
        Path | None, typer.Option(help="Folder whose files requests may name as images. Default: none.")
    ] = None,
    streams: Annotated[
        Path | None, typer.Option(help="Folder in which streams survive a restart. Default: they do not.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Most samples in a pass.", rich_help_panel=_LIMITS)] = 32,
    queue: Annotated[int, typer.Option(help="Most requests at a time.", rich_help_panel=_LIMITS)] = 256,
    tokens: Annotated[int, typer.Option(help="Most tokens of an answer.", rich_help_panel=_LIMITS)] = 1024,
    body_mb: Annotated[int, typer.Option(help="Most MiB of a request.", rich_help_panel=_LIMITS)] = 32,
    megapixels: Annotated[
        int, typer.Option(help="Most megapixels of a request's images.", rich_help_panel=_LIMITS)
    ] = 40,
    most_streams: Annotated[int, typer.Option(help="Most streams in memory.", rich_help_panel=_LIMITS)] = 1000,
    stream_mb: Annotated[int, typer.Option(help="Most MiB of all streams together.", rich_help_panel=_LIMITS)] = 2048,
    stream_seconds: Annotated[
        int, typer.Option(help="Time after which a stream that is not used is forgotten.", rich_help_panel=_LIMITS)
    ] = 3600,
    *,
    options: ModelOptions,
) -> None:
    """Serve a model, or stand in front of a served one, with OpenAI's chat interface and answers made better.

    A request may choose its method: "vqttt": {"method": "vq-select", "tries": 2, "stream": "camera-7"}.
    """
    spec = chosen_method(method, set_, tuned)
    if images is not None and not images.is_dir():
        raise InputError(f"{images} is not a folder of images")
    try:
        from vqttt.serving.app import Server, Settings
        from vqttt.serving.listening import serve as run
    except ImportError as error:
        raise MissingExtraError(f"vqttt serve needs {error.name}: pip install 'vqttt[serve]'") from error
    from vqttt.serving.keys import Keys
    from vqttt.serving.limits import Limits

    known = Keys.read(keys)
    if host not in _LOOPBACK and not known and not allow_anyone:
        raise InputError(f"{host} is open to other machines; give --keys FILE, or --allow-anyone if that is meant")
    limits = Limits(
        batch=batch,
        queue=queue,
        tokens=tokens,
        body=body_mb * 2**20,
        pixels=megapixels * 1_000_000,
        streams=most_streams,
        stream_memory=stream_mb * 2**20,
        stream_seconds=stream_seconds,
    )
    loaded = _loaded(model, upstream, options)
    say_scope(loaded)
    settings = Settings(name=model, limits=limits, keys=known, image_folder=images, stream_folder=streams)
    server = Server(loaded, spec, settings)
    who = "anyone on this machine" if host in _LOOPBACK else "anyone"
    may = "whoever has a key" if known else who
    say = f"by {spec.name}, for {may}"
    run(server.app(), host, port, limits.body_seconds, lambda url: typer.echo(f"{model} at {url}, {say}", err=True))


def _loaded(model: str, upstream: str | None, options: ModelOptions) -> "Model":
    from vqttt.models.served.options import PREFIX

    if upstream is None and not model.startswith(PREFIX):
        return options.load_model(model)
    served = {"concurrency": CONCURRENCY, **options.served}
    if upstream is not None:
        if "base_url" in served:
            raise InputError("--upstream and --base-url both name the server behind this one; give --upstream")
        served["base_url"] = upstream
    return replace(options, served=served).load_model(PREFIX + model.removeprefix(PREFIX))
