"""The command line: parse, call, print. An error meant for the user becomes one line and exit status 2; where the
input is in order but there is no answer, the status is 1.

Heavy packages are imported inside the commands, so that `--help` answers at once.
"""

import re
import sys
from typing import Annotated

import typer

from vqttt.cli.analysis import analyse
from vqttt.cli.images import degrade, quality, restore
from vqttt.cli.lists import install, list_
from vqttt.cli.models import check
from vqttt.cli.once import Command
from vqttt.cli.options import FailedError
from vqttt.cli.output import tolerate_any_text
from vqttt.cli.questions import answer
from vqttt.cli.runs import compare, report
from vqttt.cli.serving import serve
from vqttt.cli.studies import study
from vqttt.cli.tuning import bench, clean_features, tune
from vqttt.errors import VQTTTError

__all__ = ["app", "main"]

_INTERRUPTED = 130
"""The exit status that tells a shell that a command was interrupted; typer returns it."""

app = typer.Typer(
    name="vqttt",
    help="Measure what image quality does to multimodal LLMs, and tune them at test time to answer better.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models = typer.Typer(help="See whether a model works with vqttt.", no_args_is_help=True)
restorers = typer.Typer(help="Install restorers whose weights do not ship with vqttt.", no_args_is_help=True)

for command in (study, report, compare, answer, analyse, degrade, restore, quality, tune, clean_features, bench, serve):
    app.command(cls=Command)(command)
app.command(name="list", cls=Command)(list_)
restorers.command(cls=Command)(install)
models.command(cls=Command)(check)
app.add_typer(models, name="models")
app.add_typer(restorers, name="restorers")


def _print_version(wanted: bool) -> None:
    if wanted:
        from vqttt import __version__

        typer.echo(f"vqttt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None: ...


# Without a callback, typer would make a group of one command into that command, without its name.
@restorers.callback()
def _restorers() -> None: ...


def main() -> None:
    """Run the command line."""
    tolerate_any_text()
    try:
        code = app(standalone_mode=False)
    except VQTTTError as error:
        _stop(str(error))
    except FailedError as error:
        _stop(str(error), status=1)
    except OSError as error:
        _stop(f"{error.filename or 'cannot write'}: {error.strerror or error}; files written so far are kept")
    except Exception as error:
        if not hasattr(error, "format_message"):  # a usage error of the parser has this method
            raise
        if message := error.format_message():  # empty if the parser has printed the help already
            _stop(re.sub(r"^(Invalid value[^:]*: )Value error, ", r"\1", message))  # drops words of the parser's own
        sys.exit(2)
    if code == _INTERRUPTED:
        typer.echo("stopped; run the same command again to resume, or `vqttt study --resume FOLDER`", err=True)
    sys.exit(code or 0)


def _stop(message: str, status: int = 2) -> None:
    typer.echo(f"vqttt: {' '.join(message.split())}", err=True)
    sys.exit(status)
