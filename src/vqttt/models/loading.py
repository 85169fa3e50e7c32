"""How to load a checkpoint: number format, device, attention, quantisation and revision; and whether it fits."""

from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from vqttt.errors import InputError, MissingExtraError, ModelError
from vqttt.models.checkpoints import read_header

_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_DTYPES = {"auto": "", "float32": "F32", "bfloat16": "BF16", "float16": "F16"}
_ATTENTION = ("", "eager", "sdpa", "flash_attention_2")
_SPREAD = ("auto", "balanced", "sequential")


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How to load a checkpoint. Adapters are in float32 whatever these options are.

    Attributes:
        dtype: number format of the weights: `float32`, `bfloat16`, `float16`, or `auto` for that of the checkpoint.
        device: a device such as `cpu` or `cuda:1`; or `auto`, `balanced` or `sequential`, with which accelerate spreads
            the layers over all devices. Empty: the first GPU, or the CPU if there is none.
        attention: `eager`, `sdpa` or `flash_attention_2`; empty for transformers' default.
        bits: 8 or 4 to quantise the weights with bitsandbytes; 0 to leave them as they are.
        revision: branch, tag or commit of a Hugging Face id; empty for the default branch.
        thinking: whether the model is to reason before it answers, if its chat template has a switch for that. What
            it reasons is not scored; it needs many new tokens.
    """

    dtype: str = "auto"
    device: str = ""
    attention: str = ""
    bits: int = 0
    revision: str = ""
    thinking: bool = False

    def __post_init__(self) -> None:
        """Reject unknown values."""
        for name, known in (("dtype", tuple(_DTYPES)), ("attention", _ATTENTION), ("bits", (0, 4, 8))):
            if getattr(self, name) not in known:
                choices = ", ".join(str(one) for one in known if one != "")
                raise InputError(f"{name} {getattr(self, name)!r} is not known; known: {choices}")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of transformers' `from_pretrained`.

        Raises:
            MissingExtraError: if the options need a package that is not installed.
        """
        arguments: dict[str, Any] = {"dtype": self.dtype}
        if self.attention == "flash_attention_2":
            _need("flash_attn", "attention flash_attention_2", "pip install flash-attn, or attention sdpa")
        if self.attention:
            arguments["attn_implementation"] = self.attention
        if self.spread:
            _need("accelerate", f"device {self.device}", "pip install 'vqttt[large]'")
            arguments["device_map"] = self.device
        if self.bits:
            _need("bitsandbytes", f"bits {self.bits}", "pip install 'vqttt[large]'")
            from transformers import BitsAndBytesConfig

            quantization: Any = BitsAndBytesConfig
            arguments["quantization_config"] = quantization(load_in_4bit=self.bits == 4, load_in_8bit=self.bits == 8)
            arguments.setdefault("device_map", {"": self.target})
        if self.revision:
            arguments["revision"] = self.revision
        return arguments

    @property
    def spread(self) -> bool:
        """Whether the layers may be on several devices."""
        return self.device in _SPREAD

    @property
    def target(self) -> str:
        """The device of all layers, if they are not spread."""
        import torch

        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")


def _need(package: str, option: str, remedy: str) -> None:
    """Raise `MissingExtraError` unless a package is installed."""
    if find_spec(package) is None:
        raise MissingExtraError(f"{option} needs {package}: {remedy}")


def check_memory(source: str, options: LoadOptions) -> None:
    """Check, before anything is loaded, that the weights fit into memory.

    Raises:
        ModelError: if they do not. The message gives the memory that is needed and free, and what to do.
    """
    if options.spread:
        return  # layers that do not fit on one device go to the next, and finally to disk
    needed, free = weight_bytes(source, options), free_bytes(options.target)
    if needed is not None and free is not None and needed > free:
        raise ModelError(
            f"{source} needs about {needed / 1e9:.1f} GB for its weights, but only {free / 1e9:.1f} GB is free on "
            f"{options.target}; try dtype bfloat16, bits 8 or 4, or device auto"
        )


def weight_bytes(source: str, options: LoadOptions) -> int | None:
    """Return the memory in bytes that the weights of a folder or Hub id will take; None if it is not known.

    Counted from the headers of the safetensors files; no weights are read or downloaded.
    """
    counts: dict[str, int] = {}
    if Path(source).is_dir():
        for file in Path(source).glob("*.safetensors"):
            for entry in read_header(file).values():
                if "dtype" in entry:
                    counts[entry["dtype"]] = counts.get(entry["dtype"], 0) + prod(entry["shape"])
    else:
        from huggingface_hub import get_safetensors_metadata

        try:
            found = get_safetensors_metadata(source, revision=options.revision or None)
            counts = {str(stored): count for stored, count in found.parameter_count.items()}
        except Exception:  # loading the weights meets the same error next, and reports it
            return None
    if not counts:
        return None
    if options.bits:
        return sum(counts.values()) * options.bits // 8
    dtype = _DTYPES[options.dtype]
    return sum(count * _BYTES.get(dtype or stored, 2) for stored, count in counts.items())


def free_bytes(device: str) -> int | None:
    """Return the free memory of a device in bytes; None if the system does not report it.

    Raises:
        ModelError: if the device is a GPU and there is none.
    """
    import torch

    if device.startswith("cuda"):
        if not torch.cuda.is_available():
            raise ModelError(f"there is no device {device}: PyTorch finds no GPU; use device cpu")
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if device != "cpu" or not meminfo.is_file():
        return None
    available = dict(line.split(":", 1) for line in meminfo.read_text().splitlines()).get("MemAvailable")
    return int(available.split()[0]) * 1024 if available else None
