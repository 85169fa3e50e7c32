"""From a published npm package, on disk or downloaded, to a weights file in the cache."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors.numpy import save

from vqttt.errors import InputError, MissingExtraError
from vqttt.images.restorers.maxim import Variant
from vqttt.images.restorers.maxim.conversion import convert

_MODELS = PurePosixPath("package/models")
_PATIENCE = 1800
"""How long a download may take, in seconds."""


def install_package(variant: Variant, path: Path, package: Path | None = None) -> None:
    """Write the weights in a package to `path`; on failure no file is left behind.

    Args:
        variant: the package to expect.
        path: the weights file to write; its folder is created.
        package: the package's tarball; without it, npm downloads one.

    Raises:
        MissingExtraError: if npm is needed and not installed.
        InputError: if the package cannot be downloaded, read or used, or `path` cannot be written.
    """
    content = _fetch(variant) if package is None else _read(package)
    check(variant, content, "the download" if package is None else str(package))
    graph, shards = unpack(content)
    weights = convert(graph, shards)
    # A single entry: safetensors writes several in random order, so the file would differ from time to time.
    metadata = {"source": f"{variant.package}@{variant.version} sha256:{variant.sha256}"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".installing-") as folder:
            Path(folder, path.name).write_bytes(save(weights, metadata))  # `save_file` makes it the owner's alone
            Path(folder, path.name).replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; set VQTTT_CACHE to another folder") from error


def check(variant: Variant, content: bytes, origin: str) -> None:
    """Raise `InputError` unless `content` is the variant's tarball, by its SHA-256."""
    found = hashlib.sha256(content).hexdigest()
    if found != variant.sha256:
        wanted = f"{variant.package} {variant.version}"
        raise InputError(f"{origin}: not the package {wanted}: its SHA-256 is {found}, not {variant.sha256}")


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the graph, and the weight shards by name, from a tarball; nothing is written to disk.

    Raises:
        InputError: if it holds no readable model.
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
        raise InputError(
            f"no model in the package can be read ({error!r}); give a package downloaded by npm"
        ) from error
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
            f"npm, which downloads {wanted}, is not installed: install Node.js, "
            f"or run 'npm pack {wanted}' on another computer and pass the file with --package FILE"
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
            last = " ".join(complaint.split())[-300:] or "no file was written"
            raise InputError(f"npm could not download {wanted}: {last}; or pass its file with --package FILE")
        return packed[0].read_bytes()
