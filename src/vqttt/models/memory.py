"""The memory of a device or of this process: how much was in use at most, and giving back what a failed pass held."""

import gc
import traceback
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")


def start_peak(device: str) -> float | None:
    """Start to look for the most memory in use.

    Args:
        device: `cuda`, or any other type for the memory of this process.

    Returns:
        What is in use, in MiB; None where the system does not report it.
    """
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _resident("VmRSS")


def peak_memory(device: str) -> float | None:
    """Return the most memory in use since `start_peak`, in MiB; None where the system does not report it."""
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else _resident("VmHWM")


def release_memory() -> None:
    """Free what nothing refers to any more, such as a model."""
    gc.collect()
    _give_back()


def release_pass(error: BaseException) -> None:
    """Free what a failed pass held: the local variables of the frames that its exception went through.

    Frames often refer to their exception, and it to them. A collection of garbage would find such circles, but takes a
    fifth of a second, and many samples may fail.
    """
    left, seen = [error], set[int]()
    while left:
        one = left.pop()
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        left += [more for more in (one.__cause__, one.__context__) if more is not None and id(more) not in seen]
    _give_back()


def _give_back() -> None:
    """Give memory that is free back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _resident(name: str) -> float | None:
    if not _STATUS.is_file():
        return None
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
