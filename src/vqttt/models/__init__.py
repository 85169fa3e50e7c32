"""Models by name: those that ship, and the families of transformers that a Hugging Face id or folder may be of."""

import importlib
from collections.abc import Callable
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vqttt.errors import InputError, ModelError, UnknownNameError, VQTTTError
from vqttt.models.loading import LoadOptions, check_memory
from vqttt.registry import Registry

if TYPE_CHECKING:
    from vqttt.models.base import Model, TunableModel

__all__ = ["CLEAN_FEATURES", "EMBEDDED", "FAMILIES", "MODELS", "LoadOptions", "family_class", "load_model"]

EMBEDDED = Path(__file__).resolve().parent.parent / "embedded"

CLEAN_FEATURES = "clean_features.safetensors"
"""The file in a checkpoint folder that holds statistics of clean images' features."""

MODELS: Registry[Callable[[], "Model"]] = Registry("model")
FAMILIES: Registry[Any] = Registry("model family", group="vqttt.families")
"""A configuration's `model_type` to the class behind the seam, as `module:Class`, imported when it is needed.

Another package's family is the class itself, a `HuggingFaceModel`, by an entry point in `vqttt.families`.
"""

for _family, _place, _summary in (
    ("llava", "llava:Llava", "LLaVA-1.5 and whatever else loads as transformers' LLaVA"),
    ("llava_next", "llava_next:LlavaNext", "LLaVA-NeXT (1.6), over Vicuna, Mistral and others"),
    ("llava_onevision", "llava_next:LlavaOneVision", "LLaVA-OneVision"),
    ("idefics", "idefics:Idefics", "IDEFICS, after Flamingo"),
    ("idefics2", "idefics2:Idefics2", "Idefics2"),
    ("idefics3", "idefics2:Idefics2", "Idefics3"),
    ("smolvlm", "idefics2:Idefics2", "SmolVLM and SmolVLM2"),
    ("qwen2_vl", "qwen:QwenVL", "Qwen2-VL"),
    ("qwen2_5_vl", "qwen:QwenVL", "Qwen2.5-VL"),
    ("qwen3_vl", "qwen:QwenVL", "Qwen3-VL"),
    ("internvl", "internvl:InternVL", "InternVL 2.5 and 3, in transformers' own form (`-hf`)"),
    ("paligemma", "paligemma:PaliGemma", "PaliGemma and PaliGemma 2"),
    ("gemma3", "gemma3:Gemma3", "Gemma 3, the sizes that see"),
    ("mllama", "mllama:Mllama", "Llama 3.2 Vision"),
    ("cogvlm", "cogvlm:CogVLM", "CogVLM, written here: its remote code is not run"),
    ("cogvlm2", "cogvlm:CogVLM", "CogVLM2, likewise"),
):
    FAMILIES.add(_family, f"vqttt.models.{_place}", f"any folder or Hugging Face id of this type: {_summary}")


def family_class(model_type: str) -> Any:
    """Return the class behind the seam for a configuration's `model_type`.

    Raises:
        UnknownNameError: if the family is not supported.
        PluginError: if another package offers it but it cannot be imported.
    """
    entry = FAMILIES[model_type]
    if not isinstance(entry, str):
        return entry
    module, _, member = entry.partition(":")
    return getattr(importlib.import_module(module), member)


@MODELS.register("embedded", "a small LLaVA that ships with vqttt; nothing to download")
def _embedded() -> "Model":
    return _from_pretrained("embedded", str(EMBEDDED), LoadOptions())


@MODELS.register("fake", "a few hundred weights that name colours; for trying out and testing")
def _fake() -> "Model":
    from vqttt.models.fake import FakeTunableModel

    return FakeTunableModel()


@MODELS.register("fake-plain", "names colours; its insides cannot be reached, as those of a served model")
def _fake_plain() -> "Model":
    from vqttt.models.fake import FakeModel

    return FakeModel()


def load_model(name: str, options: LoadOptions | None = None) -> "Model":
    """Load a model.

    Args:
        name: a registered name, a checkpoint folder, or a Hugging Face id such as `llava-hf/llava-1.5-7b-hf`.
        options: how to load a folder or id; registered names have none.

    Raises:
        InputError: if there are options for a registered name.
        MissingExtraError: if the options need a package that is not installed.
        ModelError: if the folder or id is not a model, of a family that is not supported, or too large for the memory.
        UnknownNameError: if the name is none of the three.
    """
    chosen = options or LoadOptions()
    if name in MODELS:
        if chosen != LoadOptions():
            raise InputError(f"the model {name!r} is loaded in one way alone; options are for folders and Hub ids")
        return MODELS[name]()
    if not Path(name).exists() and "/" not in name:
        raise UnknownNameError("model", name, MODELS)
    return _from_pretrained(name, name, chosen)


def _from_pretrained(name: str, source: str, options: LoadOptions) -> "Model":
    if Path(source).exists() and not (Path(source) / "config.json").is_file():
        raise ModelError(f"{source} is not a model: a checkpoint folder with a config.json is wanted")
    from transformers.utils import logging

    getLogger("huggingface_hub").setLevel("ERROR")  # an unreachable Hub is said once, by us
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]

    arguments = options.arguments()
    try:
        family = _model_type(source, options)
        if family not in FAMILIES:
            raise ModelError(f"{source} is a {family!r} model; supported families: {', '.join(FAMILIES)}")
        kind = family_class(family)
        check_memory(source, options)
        network, processor, found = kind.load(source, **arguments)
    except VQTTTError:
        raise
    except Exception as error:  # whatever transformers and its many parts may raise over a folder that is broken
        hint = "" if Path(source).exists() else "; without the Hub, give a folder that holds the checkpoint"
        raise ModelError(f"cannot load {source} as a model: {' '.join(str(error).split())[:300]}{hint}") from error
    if found["missing_keys"] or found["mismatched_keys"]:
        missing = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
        raise ModelError(f"{source} lacks weights, among them {missing[0]}; the checkpoint is not complete")
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise ModelError(f"{source} has no processor for images and text; the checkpoint is not complete")
    if "device_map" not in arguments:
        network = network.to(options.target)
    model: TunableModel = kind(name, network, processor)
    clean_features = Path(source) / CLEAN_FEATURES
    if clean_features.is_file():
        model.clean_features = clean_features
    return model


def _model_type(source: str, options: LoadOptions) -> str:
    from transformers import PreTrainedConfig

    from vqttt.models.cogvlm.config import family_of

    config = PreTrainedConfig.get_config_dict(source, revision=options.revision or None)[0]
    return str(config.get("model_type") or family_of(config))
