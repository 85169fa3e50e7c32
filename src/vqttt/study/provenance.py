"""Provenance of results: versions, commit, device, hashes of weights and data."""

import hashlib
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vqttt import __version__
from vqttt.models.base import Model
from vqttt.types import Sample

_PACKAGES = ("torch", "transformers", "numpy", "opencv-python-headless", "pillow", "scipy")


def describe_environment(model: Model) -> dict[str, Any]:
    """Return versions, weights and device, and for a source checkout its commit and whether it has changes."""
    commit, dirty = _source()
    return {
        "versions": {"vqttt": __version__, "python": platform.python_version()} | _versions(),
        "commit": commit,
        "dirty": dirty,
        "weights": model.fingerprint(),
        "device": {"type": model.device_type, "machine": platform.machine()},
    }


def data_hash(samples: Sequence[Sample]) -> str:
    """Hash a task's questions and answers; of image files of the user's own, the size and both ends.

    The records have a hash of every whole image.
    """
    digest = hashlib.sha256()
    for sample in samples:
        described: tuple[object, ...] = (sample.id, sample.question, sample.answers, sample.choices)
        described += (sample.prompt, sample.rule) if sample.prompt or sample.rule else ()
        digest.update(repr(described).encode())
        if sample.file is not None:
            digest.update(_ends(sample.file))
    return digest.hexdigest()


def _ends(path: Path, most: int = 1 << 16) -> bytes:
    """Return a file's size and its first and last `most` bytes; empty if it cannot be read.

    Most changes to an image show in them, and reading them is cheap.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            first = file.read(most)
            file.seek(max(size - most, 0))
            return repr(size).encode() + first + file.read(most)
    except (OSError, ValueError):  # ValueError: a path with a zero byte
        return b""


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _source() -> tuple[str, bool]:
    def git(*arguments: str) -> str:
        folder = Path(__file__).resolve().parent
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except OSError:
        return "", False
