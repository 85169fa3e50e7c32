"""Named collections: degradations, methods, tasks, models."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vqttt.errors import InputError, PluginError, UnknownNameError, in_a_line

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Names to entries, in the order of registration.

    Every entry has a one-line summary, which `vqttt list` prints. Duplicates are rejected; an unknown name raises
    `UnknownNameError` with the nearest known names first.

    Another installed package adds an entry by an entry point in the registry's `group`: a name, and the object that it
    stands for, whose docstring's first line is the summary. The object is imported when it is first used.
    """

    def __init__(
        self,
        kind: str,
        group: str = "",
        reserved: tuple[str, ...] = (),
        renamed: Mapping[str, str] | None = None,
        take: Callable[[Any], T] | None = None,
        documented: Callable[[T], Any] | None = None,
    ) -> None:
        """Start an empty registry.

        Args:
            kind: what the entries are, in the singular, for error messages.
            group: the entry-point group of other packages' entries; empty if they cannot add any.
            reserved: names that no other package may use.
            renamed: names that entries had in earlier versions, and what they are called now.
            take: makes an entry of the object that is offered; raises TypeError if it cannot.
            documented: returns the object whose docstring an entry of another package is summarised by; by default the
                entry itself.
        """
        self.kind, self.group, self.reserved = kind, group, reserved
        self.renamed = renamed or {}
        self._take, self._documented = take, documented
        self._entries: dict[str, T] = {}
        self._summaries: dict[str, str] = {}

    @cached_property
    def _outside(self) -> dict[str, EntryPoint]:
        """The entry points of other packages; a name that is taken is an error."""
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group) if self.group else ():
            if point.name in self._entries or point.name in found or point.name in self.reserved:
                raise PluginError(
                    f"{_origin(point)} adds a {self.kind} {point.name!r}, but that name is taken; uninstall the package"
                )
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", point.name):
                raise PluginError(
                    f"{_origin(point)} adds a {self.kind} {point.name!r}; names may have only letters, digits and _ . -"
                )
            found[point.name] = point
        return found

    def add(self, name: str, entry: T, summary: str) -> None:
        """Register `entry` under `name`; it may be whatever another package may offer.

        Raises:
            ValueError: if the name is taken.
            TypeError: if no entry can be made of it.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = self._take(entry) if self._take else entry
        self._summaries[name] = summary

    def register(self, name: str, summary: str) -> Callable[[T], T]:
        """Register the decorated object under `name`."""

        def decorate(entry: T) -> T:
            self.add(name, entry, summary)
            return entry

        return decorate

    def summary(self, name: str) -> str:
        """Return the one-line summary of the entry called `name`."""
        self[name]
        return self._summaries[name]

    def __getitem__(self, name: str) -> T:
        """Return the entry called `name`.

        Raises:
            UnknownNameError: if there is none.
            InputError: if it is the old name of an entry.
            PluginError: if another package offers it but it cannot be used.
        """
        if name in self._entries:
            return self._entries[name]
        if name not in self._outside:
            if name in self.renamed:
                raise InputError(f"the {self.kind} {name!r} is now called {self.renamed[name]!r}")
            raise UnknownNameError(self.kind, name, self)
        point = self._outside[name]
        try:
            found = point.load()
            entry: T = self._take(found) if self._take else found
        except Exception as error:  # whatever another package's import happens to raise
            raise PluginError(f"the {self.kind} {name!r} of {_origin(point)} cannot be used: {error!r}") from error
        documented = self._documented(entry) if self._documented else entry
        self.add(name, entry, (inspect.getdoc(documented) or "").partition("\n")[0])
        return entry

    def call(self, name: str, *arguments: Any) -> NDArray[np.uint8]:
        """Call the entry `name`, a function that returns an image.

        Raises:
            PluginError: if it is another package's and fails, or does not return a uint8 array.
        """
        entry: Any = self[name]
        if name not in self._outside:
            made: NDArray[np.uint8] = entry(*arguments)
            return made
        origin = f"the {self.kind} {name!r} of {_origin(self._outside[name])}"
        try:
            made = entry(*arguments)
        except Exception as error:  # whatever another package's code happens to raise
            raise PluginError(f"{origin} failed: {in_a_line(error)}") from error
        if not isinstance(made, np.ndarray) or made.dtype != np.uint8:
            got = made.dtype if isinstance(made, np.ndarray) else type(made).__name__
            raise PluginError(f"{origin} returned {got}; it must return a uint8 array")
        return made

    def origin(self, name: str) -> str:
        """Return the package and version that `name` comes from; empty for our own entries."""
        point = self._outside.get(name)
        return f"{point.dist.name} {point.dist.version}" if point and point.dist else ""

    def __contains__(self, name: object) -> bool:
        """Tell whether `name` is known."""
        return name in self._entries or name in self._outside

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order of registration, those of other packages last."""
        return iter(dict.fromkeys((*self._entries, *self._outside)))

    def __len__(self) -> int:
        """Count the entries."""
        return len(dict.fromkeys((*self._entries, *self._outside)))


def _origin(point: EntryPoint) -> str:
    return f"the package {point.dist.name}" if point.dist else f"the entry point {point.value}"
