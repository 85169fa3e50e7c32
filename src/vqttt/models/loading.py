"""How a checkpoint is loaded: number format, device, attention, quantisation, revision, and whether it will fit."""

import json
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from vqttt.errors import InputError, MissingExtraError, ModelError

_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_DTYPES = {"auto": "", "float32": "F32", "bfloat16": "BF16", "float16": "F16"}
_ATTENTION = ("", "eager", "sdpa", "flash_attention_2")
_SPREAD = ("auto", "balanced", "sequential")


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How to load a checkpoint; the adapters on top are in float32 whatever is chosen here.

    Attributes:
        dtype: of the weights: `float32`, `bfloat16`, `float16`, or `auto`, as they are stored.
        device: such as `cpu` or `cuda:1`; `auto`, `balanced` and `sequential` spread the layers over what there is
            (by accelerate). Empty: the first GPU, or else the CPU.
        attention: `eager`, `sdpa` or `flash_attention_2`; empty for transformers' choice.
        bits: 8 or 4 to quantise the weights by bitsandbytes; 0 for not at all.
        revision: of a Hugging Face id: a branch, tag or commit; empty for the newest.
    """

    dtype: str = "auto"
    device: str = ""
    attention: str = ""
    bits: int = 0
    revision: str = ""

    def __post_init__(self) -> None:
        """Reject what is not known."""
        for name, known in (("dtype", tuple(_DTYPES)), ("attention", _ATTENTION), ("bits", (0, 4, 8))):
            if getattr(self, name) not in known:
                choices = ", ".join(str(one) for one in known if one != "")
                raise InputError(f"{name} {getattr(self, name)!r} is not known; known: {choices}")

    def arguments(self) -> dict[str, Any]:
        """Return them as arguments of transformers' `from_pretrained`.

        Raises:
            MissingExtraError: if a package that they need is not installed.
        """
        given: dict[str, Any] = {"dtype": self.dtype}
        if self.attention == "flash_attention_2":
            _need("flash_attn", "attention flash_attention_2", "pip install flash-attn, or attention sdpa")
        if self.attention:
            given["attn_implementation"] = self.attention
        if self.spread:
            _need("accelerate", f"device {self.device}", "pip install 'vqttt[large]'")
            given["device_map"] = self.device
        if self.bits:
            _need("bitsandbytes", f"bits {self.bits}", "pip install 'vqttt[large]'")
            from transformers import BitsAndBytesConfig

            four = self.bits == 4
            given["quantization_config"] = BitsAndBytesConfig(load_in_4bit=four, load_in_8bit=not four)  # type: ignore[no-untyped-call]
            given.setdefault("device_map", {"": self.target})
        if self.revision:
            given["revision"] = self.revision
        return given

    @property
    def spread(self) -> bool:
        """Whether layers go to several devices."""
        return self.device in _SPREAD

    @property
    def target(self) -> str:
        """The one device that all goes to."""
        import torch

        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")


def _need(package: str, asked: str, remedy: str) -> None:
    if find_spec(package) is None:
        raise MissingExtraError(f"{asked} needs {package}: {remedy}")


def check_memory(source: str, options: LoadOptions) -> None:
    """See before anything is loaded that the weights fit.

    Raises:
        ModelError: if they do not; the message says how much they need, how much is free, and what to do.
    """
    if options.spread:
        return  # what does not fit on one device goes to the next, and in the end to the disk
    needed, free = weight_bytes(source, options), free_bytes(options.target)
    if needed is not None and free is not None and needed > free:
        raise ModelError(
            f"{source} needs about {needed / 1e9:.1f} GB for its weights, and {free / 1e9:.1f} GB is free on "
            f"{options.target}; ask for dtype bfloat16, for bits 8 or 4, or for device auto"
        )


def weight_bytes(source: str, options: LoadOptions) -> int | None:
    """Return how many bytes the weights of a folder or Hub id will take; None where that cannot be told.

    They are counted from the headers of the safetensors files, without reading or downloading a weight.
    """
    counts: dict[str, int] = {}
    if Path(source).is_dir():
        for file in Path(source).glob("*.safetensors"):
            for entry in _header(file).values():
                if "dtype" in entry:
                    counts[entry["dtype"]] = counts.get(entry["dtype"], 0) + prod(entry["shape"])
    else:
        from huggingface_hub import get_safetensors_metadata

        try:
            found = get_safetensors_metadata(source, revision=options.revision or None)
            counts = {str(stored): count for stored, count in found.parameter_count.items()}
        except Exception:  # the same hub is asked for the weights next, and its answer then is the one to report
            return None
    if not counts:
        return None
    if options.bits:
        return sum(counts.values()) * options.bits // 8
    wanted = _DTYPES[options.dtype]
    return sum(count * _BYTES.get(wanted or stored, 2) for stored, count in counts.items())


def _header(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        try:
            (length,) = struct.unpack("<Q", stream.read(8))
            header: dict[str, Any] = json.loads(stream.read(min(length, 100 << 20)))
        except (struct.error, ValueError):
            return {}  # broken, as will be said where it is loaded
    return header


def free_bytes(device: str) -> int | None:
    """Return how much memory is free on a device; None where the system does not tell."""
    import torch

    if device.startswith("cuda"):
        if not torch.cuda.is_available():
            raise ModelError(f"device {device} is not there: PyTorch sees no GPU; ask for device cpu")
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if device != "cpu" or not meminfo.is_file():
        return None
    available = dict(line.split(":", 1) for line in meminfo.read_text().splitlines()).get("MemAvailable")
    return int(available.split()[0]) * 1024 if available else None
