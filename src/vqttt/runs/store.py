"""Whole files by name, in a folder of this machine or of anything that fsspec can reach (`s3://bucket/run`)."""

import os
import uuid
from pathlib import Path
from typing import Any

from vqttt.errors import InputError, MissingExtraError, RunFolderError

PART = ".part"
"""Suffix of files that are still being written."""


class LocalStore:
    """A folder of this machine. Writes are atomic: even after a power failure, a file is the old or the new one."""

    def __init__(self, path: Path) -> None:
        """Store the path of a folder, which need not exist yet."""
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, and create its parent folders."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)

    def exists(self, name: str) -> bool:
        """Tell whether a file exists."""
        return (self.path / name).is_file()

    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""
        (self.path / name).unlink(missing_ok=True)

    def names(self, folder: str = "") -> list[str]:
        """Return the sorted names in this folder or a subfolder; none if it does not exist.

        Raises:
            RunFolderError: if it is a file.
        """
        path = self.path / folder
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path} is in use but is not a run folder; choose another --out")
        return sorted(entry.name for entry in path.iterdir()) if path.exists() else []


class RemoteStore:
    """A folder in an object store, with the same methods. Failures of the store are raised as `RunFolderError`."""

    def __init__(self, url: str) -> None:
        """Point at a folder, which need not exist yet.

        Raises:
            InputError: if fsspec does not know this kind of address.
            MissingExtraError: if the package for this kind of address is not installed.
        """
        from fsspec.core import url_to_fs

        self.url = url.rstrip("/")
        try:
            self.files, self.root = url_to_fs(self.url)
        except ImportError as error:
            raise MissingExtraError(f"{url}: {error}") from error
        except ValueError as error:
            raise InputError(f"{url}: {error}; give a folder, or an address that fsspec supports") from error

    def __str__(self) -> str:
        return self.url

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        content: bytes = self._do("cat_file", name)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file as a whole."""
        self._do("makedirs", str(Path(name).parent), exist_ok=True)
        self._do("pipe_file", name, content)

    def exists(self, name: str) -> bool:
        """Tell whether a file exists."""
        self.files.invalidate_cache()  # other workers write here too
        return bool(self._do("isfile", name))

    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""
        if self.exists(name):
            self._do("rm_file", name)

    def names(self, folder: str = "") -> list[str]:
        """Return the sorted names in this folder or a subfolder; none if it does not exist."""
        self.files.invalidate_cache()
        if not self._do("isdir", folder):
            return []
        found = self._do("ls", folder, detail=False)
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def _do(self, action: str, name: str, *arguments: Any, **options: Any) -> Any:
        path = "/".join(filter(None, (self.root.rstrip("/"), name.removeprefix("."))))
        try:
            return getattr(self.files, action)(path, *arguments, **options)
        except Exception as error:  # each service raises errors of its own
            raise RunFolderError(f"{self.url}/{name}: {type(error).__name__}: {error}") from error


Store = LocalStore | RemoteStore


def is_remote(path: Path | str) -> bool:
    """Tell whether a path is an address outside this machine's disks."""
    return isinstance(path, str) and "://" in path and not path.startswith("file://")


def open_store(path: Path | str) -> Store:
    """Return the store for a path or address; raises as `RemoteStore` does."""
    if isinstance(path, str) and is_remote(path):
        return RemoteStore(path)
    return LocalStore(Path(str(path).removeprefix("file://")))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is always the old or the whole new one, even if two processes write it at once."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{PART}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
