"""Provenance of results: versions, commit, device, hashes of weights and data."""

import hashlib
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vqttt import __version__
from vqttt.methods import MethodSpec, SavedConfig
from vqttt.models.base import Model
from vqttt.tasks.benchmarks import BENCHMARKS
from vqttt.tuning.objectives import find_objective
from vqttt.types import Sample

_PACKAGES = ("torch", "transformers", "numpy", "opencv-python-headless", "pillow", "scipy")

WHOLE = 2**30
"""The most bytes of image files of one task that are hashed whole, which takes a second or two."""

_PARTS, _PART = 16, 1 << 16
"""How many parts of a file are hashed where that would be too much, and the bytes of each."""


def describe_environment() -> dict[str, Any]:
    """Return versions, and for a source checkout its commit and whether it has changes."""
    commit, dirty = _source()
    return {
        "versions": {"vqttt": __version__, "python": platform.python_version()} | _versions(),
        "commit": commit,
        "dirty": dirty,
    }


def describe_device(types: Iterable[str]) -> dict[str, str]:
    """Return the machine, and the different types of the devices on which models run."""
    return {"type": " and ".join(dict.fromkeys(types)), "machine": platform.machine()}


def data_hash(samples: Sequence[Sample]) -> str:
    """Hash a task's questions and answers, without its images."""
    digest = hashlib.sha256()
    for sample in samples:
        described: tuple[object, ...] = (sample.id, sample.question, sample.answers, sample.choices)
        described += (sample.prompt, sample.rule) if sample.prompt or sample.rule else ()
        digest.update(repr(described).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def images_hash(task: str, samples: Sequence[Sample]) -> str:
    """Hash the files of the user's own that a task's images are in; empty if there are none.

    Files are hashed whole up to `WHOLE` bytes in all; beyond that, a file counts by its size, its ends and blocks
    evenly spread over it. The records have a hash of every whole image.

    Args:
        task: its name; with a path (`mmmu:PATH`) the tables there count as well.
        samples: of the task.
    """
    kind, _, path = task.partition(":")
    tables = _tables(Path(path)) if path and kind in BENCHMARKS else []
    files = list(dict.fromkeys(sample.file for sample in samples if sample.file is not None)) + tables
    whole = sum(map(_size, files)) <= WHOLE
    hashes = {file: _file_hash(file, whole) for file in files}
    parts = [(sample.id, hashes[sample.file]) for sample in samples if sample.file is not None]
    parts += [(file.name, hashes[file]) for file in tables]
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest() if parts else ""


def files_of_methods(methods: Mapping[str, MethodSpec], model: Model) -> dict[str, dict[str, str]]:
    """Hash the files that methods start from or compare with: by method and setting, their SHA-256.

    What a method saved (`tuned`) is not among them: `MethodSpec.settings` has its hash.
    """
    found = {}
    for name, spec in methods.items():
        config = spec.config.config if isinstance(spec.config, SavedConfig) else spec.config
        files = {"start": getattr(config, "start", ""), "clean_features": _clean_features(config, model)}
        if hashes := {setting: _file_hash(Path(file)) for setting, file in files.items() if file}:
            found[name] = hashes
    return found


def _clean_features(config: Any, model: Model) -> str:
    """Return the file with statistics of clean images that a method's objective uses; empty if it uses none."""
    objective = getattr(config, "objective", "")
    if not objective or not find_objective(objective).features:
        return ""
    return str(config.clean_features or getattr(model, "clean_features", None) or "")


def _tables(path: Path) -> list[Path]:
    """Return the files of a benchmark's table, in order: the one file, or those in a folder."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in (".parquet", ".arrow") and file.is_file())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # ValueError: a path with a zero byte
        return 0


def _file_hash(path: Path, whole: bool = True) -> str:
    """Hash a file's content, or a part of it that shows most changes; empty if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            if whole:
                return hashlib.file_digest(file, "sha256").hexdigest()
            size = path.stat().st_size
            digest.update(repr(size).encode())
            for start in range(0, size, max(size // _PARTS, _PART)):
                file.seek(start)
                digest.update(file.read(_PART))
            file.seek(max(size - _PART, 0))
            digest.update(file.read(_PART))
    except (OSError, ValueError):
        return ""
    return digest.hexdigest()


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
