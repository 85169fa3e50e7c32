"""Every error that vqttt raises on purpose.

VQTTTError                  the base; the command line prints it as one line and exits with status 2
├── InputError              a file or value from the user that cannot be used
│   ├── ImageError          an image that cannot be read, or is too small or too large
│   ├── UnknownNameError    a name that is not registered; the message suggests the nearest known names
│   └── UnsupportedError    a request that no model here can answer, such as one about a video
├── ModelError              a folder or id that is not a supported model
├── MissingExtraError       an optional package is not installed; the message gives the install command
├── PluginError             another package's entry point whose name is taken, that fails, or returns the wrong thing
├── ServerError             a model's server that cannot be reached, keeps failing, or refuses; ends a run, not a sample
│   └── RequestsSpentError  as many requests as were allowed have been sent
├── RunFolderError          an output folder that holds another study, or cannot be written
└── EngineError             a worker that failed or was lost too often, or a cluster that cannot be reached
"""

import difflib
from collections.abc import Iterable

_NOTHING = ("clean", "none", "no", "nothing", "off", "original", "identity", "untuned", "baseline")
"""What people call an image that is not degraded, not restored, or not tuned on; two of these are our names."""


class VQTTTError(Exception):
    """Base of all errors whose message is written for the user."""


class InputError(VQTTTError):
    """A file or value from the user that cannot be used."""


class ImageError(InputError):
    """An image that cannot be read, or whose size is out of bounds."""


class UnknownNameError(InputError):
    """A name that a registry does not hold."""

    def __init__(self, kind: str, name: str, known: Iterable[str], more: str = "") -> None:
        """Compose the message.

        Args:
            kind: what `name` should name, such as "degradation".
            name: the unknown name.
            known: the names to choose from; the message lists the nearest first.
            more: what else can be given, in words.
        """
        self.kind, self.name = kind, name
        names = list(known)
        near = _nearest(name, names)
        rest = [known_name for known_name in names if known_name not in near]
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        super().__init__(f"unknown {kind} {name!r}; {hint}known: {', '.join(near + rest)}{more and f'; {more}'}")


def _nearest(name: str, known: list[str]) -> list[str]:
    """Return up to three known names that were meant: those of the same meaning, or else those spelt like it."""
    if name.lower() in _NOTHING:
        return [one for one in known if one in _NOTHING]
    return difflib.get_close_matches(name, known, n=3, cutoff=0.5)


class UnsupportedError(InputError):
    """A request of a kind that no model here can answer."""


class ModelError(VQTTTError):
    """A folder or id that is not a supported model."""


class MissingExtraError(VQTTTError):
    """An optional package that is not installed."""


class PluginError(VQTTTError):
    """An entry point of another package whose name is taken, that fails, or that returns the wrong thing."""


class ServerError(VQTTTError):
    """A model's server that no request can be sent to any more: the run ends here, and can be resumed."""


class RequestsSpentError(ServerError):
    """As many requests as the user allowed have been sent."""


class RunFolderError(VQTTTError):
    """A run folder that holds a different study, or that cannot be written."""


class EngineError(VQTTTError):
    """A worker that failed or was lost too often, or a cluster that cannot be reached or has no room."""


def in_a_line(error: BaseException) -> str:
    """Describe an error in one line: one of ours by its message, any other by its type and message."""
    words = " ".join(str(error).split())
    if isinstance(error, VQTTTError):
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
