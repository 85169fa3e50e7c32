"""Where results come from: versions, commit, device, hashes of weights and data."""

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
    """Describe what runs: versions, commit and dirty flag of the source tree if it is one, weights, device."""
    commit, dirty = _source()
    return {
        "versions": {"vqttt": __version__, "python": platform.python_version()} | _versions(),
        "commit": commit,
        "dirty": dirty,
        "weights": model.fingerprint(),
        "device": {"type": model.device.type, "machine": platform.machine()},
    }


def data_hash(samples: Sequence[Sample]) -> str:
    """Hash a task's questions and answers, and of images that are a user's own files the size and both ends.

    All of every image is hashed in the records.
    """
    digest = hashlib.sha256()
    for sample in samples:
        told: tuple[object, ...] = (sample.id, sample.question, sample.answers, sample.choices)
        told += (sample.prompt, sample.rule) if sample.prompt or sample.rule else ()
        digest.update(repr(told).encode())
        if sample.file is not None:
            digest.update(_ends(sample.file))
    return digest.hexdigest()


def _ends(path: Path, most: int = 1 << 16) -> bytes:
    """Return what tells a changed file at little cost, its size and its first and last bytes; of none, nothing."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            first = file.read(most)
            file.seek(max(size - most, 0))
            return repr(size).encode() + first + file.read(most)
    except (OSError, ValueError):  # a name with a zero byte is no name
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
