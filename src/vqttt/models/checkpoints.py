"""Checkpoint folders as people have them: what is wrong with one, in one line, before anything is loaded."""

import json
import re
import struct
from pathlib import Path
from typing import Any

from vqttt.errors import ModelError

_INDEX = "model.safetensors.index.json"
_OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".npz")
_CONVERT = (
    "only safetensors are read, because other formats can run code when they are loaded; convert .bin files that you "
    "trust by transformers' `AutoModelForImageTextToText.from_pretrained(FOLDER).save_pretrained(FOLDER, "
    "safe_serialization=True)`"
)
_IMAGE_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
)
_POINTER = b"version https://git-lfs"
_OWN_FORMATS = {
    "internvl_chat": "InternVL in its own code's format; use the checkpoint whose name ends in -hf",
    "llava_llama": "LLaVA in its own code's format; use a checkpoint of llava-hf",
    "llava_mistral": "LLaVA in its own code's format; use a checkpoint of llava-hf",
    "llava_qwen": "LLaVA in its own code's format; use a checkpoint of llava-hf",
}
_SIGHT = ("vision_config", "vision", "visual", "vision_tower", "mm_vision_tower", "img_processor")
"""What a configuration has, under one of these names, if the model sees images."""


def is_hub_id(source: str) -> bool:
    """Return whether a text can be a Hugging Face id, `owner/name`."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", source) is not None


def check_folder(source: str) -> None:
    """Check that a checkpoint folder exists and has a configuration. An id on the Hub is left to transformers.

    Raises:
        ModelError: if it does not. The message says what is missing and what to do.
    """
    folder = Path(source)
    if not folder.exists():
        if is_hub_id(source):
            return
        raise ModelError(f"there is no folder {source}")
    if not folder.is_dir():
        raise ModelError(f"{source} is a file; a model is a folder with config.json, weights, tokenizer and processor")
    names = {file.name for file in folder.iterdir()}
    if not names:
        raise ModelError(f"{source} is not a model: the folder is empty")
    _check_adapter(folder, names)
    if "config.json" not in names or not (folder / "config.json").is_file():
        raise ModelError(f"{source} is not a model: the folder has no config.json")


def check_weights(source: str) -> None:
    """Check that a checkpoint folder has all its weights in safetensors. An id on the Hub is left to transformers.

    Raises:
        ModelError: if it does not. The message says what is missing and what to do.
    """
    folder = Path(source)
    if folder.is_dir():
        for name in _weight_files(folder, {file.name for file in folder.iterdir()}):
            _check_whole(folder / name)


def missing_parts(source: str) -> str:
    """Return what a folder lacks beside configuration and weights, as the end of an error's line; empty if nothing."""
    folder = Path(source)
    if not folder.is_dir():
        return ""
    names = {file.name for file in folder.iterdir()}
    parts = []
    if not names & set(_IMAGE_PROCESSORS):
        parts.append(f"no image processor ({' or '.join(_IMAGE_PROCESSORS)})")
    if not names & set(_TOKENIZERS):
        parts.append(f"no tokenizer ({_TOKENIZERS[0]} and tokenizer_config.json)")
    return f"the folder has {' and '.join(parts)}; take the files from where the model came from" if parts else ""


def unsupported(source: str, config: dict[str, Any], known: list[str]) -> ModelError:
    """Return the error for a configuration of no supported family.

    Args:
        source: the folder or id.
        config: its configuration.
        known: the supported families.
    """
    kind = config.get("model_type")
    families = f"supported families: {', '.join(known)}"
    if not kind:
        return ModelError(f"the config.json of {source} has no `model_type`, so its family is not known; {families}")
    if kind in _OWN_FORMATS:
        return ModelError(f"{source} is {_OWN_FORMATS[kind]}")
    blind = "" if any(name in config for name in _SIGHT) else ", which takes no images"
    return ModelError(f"{source} is a {kind!r} model{blind}; {families}")


def _check_adapter(folder: Path, names: set[str]) -> None:
    """Check that a folder has no adapter (LoRA): transformers would load it, and its base model in place of the folder.

    Raises:
        ModelError: if it has.
    """
    if "adapter_config.json" not in names:
        return
    if "model.safetensors" in names or _INDEX in names:
        raise ModelError(
            f"{folder} has an adapter (LoRA) beside its weights; merge the two by peft's `merge_and_unload`, or take "
            "adapter_config.json out of the folder to use the weights alone"
        )
    base = _read(folder / "adapter_config.json").get("base_model_name_or_path") or "its base model"
    raise ModelError(
        f"{folder} has only an adapter (LoRA) for {base}; merge the two by peft's "
        "`PeftModel.from_pretrained(base, folder).merge_and_unload()`, save the result with the base model's "
        "processor, and give that folder"
    )


def _weight_files(folder: Path, names: set[str]) -> list[str]:
    """Return the names of the files with a checkpoint's weights.

    Raises:
        ModelError: if there are none, or some are missing.
    """
    if "model.safetensors" in names:
        return ["model.safetensors"]
    if _INDEX in names:
        listed = _read(folder / _INDEX).get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise ModelError(f"{folder / _INDEX} lists no weights; its `weight_map` is missing")
        shards = sorted(set(map(str, listed.values())))
        missing = [shard for shard in shards if shard not in names]
        if missing:
            raise ModelError(f"{folder} lacks {len(missing)} of {len(shards)} files with weights, first {missing[0]}")
        return shards
    others = sorted(name for name in names if name.endswith(_OTHER_WEIGHTS) and name != "training_args.bin")
    shards = sorted(name for name in names if name.endswith(".safetensors") and name.startswith("model"))
    if shards:
        raise ModelError(f"{folder} has {shards[0]}, but neither model.safetensors nor {_INDEX}, which lists the parts")
    if others:
        raise ModelError(f"{folder} has its weights in {others[0]}: {_CONVERT}")
    raise ModelError(f"{folder} has no weights: model.safetensors is missing")


def _check_whole(file: Path) -> None:
    """Check that a safetensors file has as many bytes as its header says.

    Raises:
        ModelError: if it does not.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        if stream.read(len(_POINTER)) == _POINTER:
            raise ModelError(f"{file} is a Git LFS pointer in place of the weights; run `git lfs pull` in its folder")
    header = read_header(file)
    if not header:
        raise ModelError(f"{file} is not a safetensors file, or its beginning is damaged; download it again")
    try:
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        needed = end + header_bytes(file)
    except (KeyError, IndexError, TypeError) as error:
        raise ModelError(f"{file} is damaged: its header does not say where each tensor is") from error
    if size != needed:
        raise ModelError(f"{file} has {size:,} bytes where its header says {needed:,}; download it again")


def header_bytes(file: Path) -> int:
    """Return the size in bytes of a safetensors file's header, with the 8 bytes that give its length."""
    with file.open("rb") as stream:
        return 8 + int(struct.unpack("<Q", stream.read(8))[0])


def read_header(file: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: each tensor's type and shape; empty if the file is broken."""
    with file.open("rb") as stream:
        try:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, 100 << 20)))
        except (struct.error, ValueError, RecursionError):
            return {}
    return header if isinstance(header, dict) else {}


def _read(file: Path) -> dict[str, Any]:
    """Return the content of a JSON file.

    Raises:
        ModelError: if it is not a JSON object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not valid JSON: {' '.join(str(error).split())[:120]}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} must hold a JSON object")
    return content
