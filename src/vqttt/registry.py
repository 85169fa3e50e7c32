"""A named collection of like things: degradations, methods, tasks, models."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from vqttt.errors import UnknownNameError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Names to entries, in the order of registration.

    Every entry has a one-line summary, which `vqttt list` prints. Duplicates are rejected; an unknown name raises
    `UnknownNameError` with the nearest known names first.
    """

    def __init__(self, kind: str) -> None:
        """Start an empty registry of `kind` (singular, as it should read in an error message)."""
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._summaries: dict[str, str] = {}

    def add(self, name: str, entry: T, summary: str) -> None:
        """Register `entry` under `name`.

        Raises:
            ValueError: if the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
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
        """Return the entry called `name`; raise `UnknownNameError` for any other."""
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether `name` is registered."""
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order of registration."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._entries)
