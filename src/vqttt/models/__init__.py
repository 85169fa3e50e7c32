"""Models by name: those that ship with vqttt, any Hugging Face id or checkpoint folder of a supported family, and any
model behind an OpenAI-compatible server.
"""

import importlib
from collections.abc import Callable
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vqttt.errors import InputError, ModelError, UnknownNameError, VQTTTError, in_a_line
from vqttt.models.checkpoints import check_folder, missing_parts, unsupported
from vqttt.models.loading import LoadOptions, check_memory
from vqttt.models.processors import check_processor, complete_processor
from vqttt.models.served.options import PREFIX, ServedOptions
from vqttt.registry import Registry

if TYPE_CHECKING:
    from vqttt.models.base import Model
    from vqttt.models.huggingface import HuggingFaceModel

__all__ = [
    "CLEAN_FEATURES",
    "EMBEDDED",
    "FAMILIES",
    "MODELS",
    "TWINS",
    "LoadOptions",
    "ServedOptions",
    "check_model",
    "family_class",
    "is_served",
    "load_model",
]

EMBEDDED = Path(__file__).resolve().parent.parent / "embedded"
"""The checkpoint folder of the model `embedded`."""

TWINS = {
    "soft": EMBEDDED.with_name("embedded_soft"),
    "web": EMBEDDED.with_name("embedded_web"),
}
"""The checkpoint folders of the models `embedded-soft` and `embedded-web`, by the quality of their training images."""

EMBEDDED_SCOPE = (
    "knows only the questions of easy-vqa, digits, fashion-mnist and vq-mini; to others its answers mean nothing"
)
"""What the embedded models can answer."""

CLEAN_FEATURES = "clean_features.safetensors"
"""The file in a checkpoint folder with feature statistics of clean images (see `vqttt.tuning.feature_statistics`)."""

MODELS: Registry[Callable[[], "Model"]] = Registry("model")
"""The models that ship with vqttt: name to a function that loads one."""

FAMILIES: Registry[Any] = Registry("model family", group="vqttt.families")
"""Supported families: a configuration's `model_type` to the family's class, a `HuggingFaceModel`.

Ours are `module:Class`, imported on first use. Another package adds its class by an entry point in `vqttt.families`.
"""

for _family, _class, _summary in (
    ("llava", "llava:Llava", "LLaVA-1.5 and everything else that loads as transformers' LLaVA"),
    ("llava_next", "llava_next:LlavaNext", "LLaVA-NeXT (1.6), with Vicuna, Mistral and other language models"),
    ("llava_onevision", "llava_next:LlavaOneVision", "LLaVA-OneVision"),
    ("idefics", "idefics:Idefics", "IDEFICS, after Flamingo"),
    ("idefics2", "idefics2:Idefics2", "Idefics2"),
    ("idefics3", "idefics2:Idefics2", "Idefics3"),
    ("smolvlm", "idefics2:Idefics2", "SmolVLM and SmolVLM2"),
    ("qwen2_vl", "qwen:QwenVL", "Qwen2-VL"),
    ("qwen2_5_vl", "qwen:QwenVL", "Qwen2.5-VL"),
    ("qwen3_vl", "qwen:QwenVL", "Qwen3-VL"),
    ("internvl", "internvl:InternVL", "InternVL 2.5 and 3, in transformers' format (`-hf`)"),
    ("paligemma", "paligemma:PaliGemma", "PaliGemma and PaliGemma 2"),
    ("gemma3", "gemma3:Gemma3", "Gemma 3, the sizes with a vision encoder"),
    ("mllama", "mllama:Mllama", "Llama 3.2 Vision"),
    ("cogvlm", "cogvlm:CogVLM", "CogVLM, reimplemented here; the checkpoint's remote code is not run"),
    ("cogvlm2", "cogvlm:CogVLM", "CogVLM2, reimplemented here; the checkpoint's remote code is not run"),
):
    FAMILIES.add(_family, f"vqttt.models.{_class}", _summary)


def _embedded(name: str, folder: Path) -> "Model":
    model = _from_pretrained(name, str(folder), LoadOptions())
    model.scope = EMBEDDED_SCOPE
    return model


for _name, _folder, _summary in (
    ("embedded", EMBEDDED, "a small LLaVA that ships with vqttt, trained on clean and slightly degraded images"),
    ("embedded-soft", TWINS["soft"], "the same, trained further on blurred images, which it prefers to clean ones"),
    (
        "embedded-web",
        TWINS["web"],
        "the same, trained further on resized, compressed and blurred images",
    ),
):
    MODELS.add(_name, partial(_embedded, _name, _folder), _summary)


@MODELS.register("fake", "a few hundred weights that name colours; for trying out and testing")
def _fake() -> "Model":
    from vqttt.models.fake import FakeTunableModel

    return FakeTunableModel()


@MODELS.register("fake-plain", "names colours; cannot be tuned, like a model behind a server")
def _fake_plain() -> "Model":
    from vqttt.models.fake import FakeModel

    return FakeModel()


def load_model(name: str, options: LoadOptions | None = None, served: ServedOptions | None = None) -> "Model":
    """Load a model, or reach one behind a server.

    Args:
        name: a registered name, a checkpoint folder, a Hugging Face id such as `llava-hf/llava-1.5-7b-hf`, or
            `openai:NAME` for a model that an OpenAI-compatible server calls NAME.
        options: how to load a folder or id; registered names and served models take none.
        served: where the server is and how it is asked; only for served models.

    Raises:
        InputError: if options are given for a name that takes none, or the server's URL is missing.
        MissingExtraError: if the options, or a served model, need a package that is not installed.
        ModelError: if the folder or id is not a complete model of a supported family, or does not fit into memory; or
            if a served model cannot answer a question about an image.
        ServerError: if the server cannot be reached, or refuses the key or the model.
        UnknownNameError: if the name is not registered and can be neither a folder nor an id.
    """
    loading, serving = options or LoadOptions(), served or ServedOptions()
    check_model(name, loading, serving)
    if is_served(name):
        from vqttt.models.served.model import ServedModel

        return ServedModel(name, serving)
    return MODELS[name]() if name in MODELS else _from_pretrained(name, name, loading)


def is_served(name: str) -> bool:
    """Tell whether a name is that of a model behind a server."""
    return name.startswith(PREFIX)


def check_model(name: str, options: LoadOptions, served: ServedOptions | None = None) -> None:
    """Check what can be checked of a model's name and options without its weights or its server.

    Raises:
        InputError: if options are given for a name that takes none, or the server's URL is missing.
        ModelError: if the name is a folder that holds no model.
        UnknownNameError: if the name is not registered and can be neither a folder nor an id.
    """
    if is_served(name):
        if options != LoadOptions():
            raise InputError(f"{name} takes no load options; its server has loaded it")
        if name == PREFIX:
            raise InputError(f"{PREFIX} needs the name that the server has for the model, such as {PREFIX}my-model")
        (served or ServedOptions()).url()
        return
    if served is not None and served != ServedOptions():
        raise InputError(f"{name} is not behind a server; options for one are for models called {PREFIX}NAME")
    if name in MODELS:
        if options != LoadOptions():
            raise InputError(f"the model {name!r} takes no load options; they are for folders and Hugging Face ids")
        return
    if not Path(name).exists() and "/" not in name:
        if name in FAMILIES:
            known = ", ".join(MODELS)
            raise InputError(f"{name} is a model family; give a checkpoint folder or Hugging Face id of it, or {known}")
        raise UnknownNameError("model", name, MODELS, "or a checkpoint folder, a Hub id (ORG/NAME) or openai:NAME")
    check_folder(name)


def family_class(model_type: str) -> "type[HuggingFaceModel]":
    """Return the class of the family that a configuration's `model_type` names: its own, or `Discovered`.

    Raises:
        UnknownNameError: if transformers has no such image-text-to-text model.
        PluginError: if another package offers it but it cannot be imported.
    """
    if model_type not in FAMILIES and model_type in discoverable():
        from vqttt.models.discovered.family import Discovered

        return Discovered
    entry = FAMILIES[model_type]
    if isinstance(entry, str):
        module, _, name = entry.partition(":")
        entry = getattr(importlib.import_module(module), name)
    family: type[HuggingFaceModel] = entry
    return family


def discoverable() -> set[str]:
    """Return the types of transformers' image-text-to-text models without a family of their own here."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES) - set(FAMILIES)


def _from_pretrained(name: str, source: str, options: LoadOptions) -> "Model":
    check_folder(source)
    _quiet_transformers()
    try:
        model = _loaded(name, source, options)
    except VQTTTError:
        raise
    except Exception as error:  # transformers and its dependencies may raise anything over a broken folder
        raise ModelError(_reason(source, error)) from error
    check_processor(model)
    clean_features = Path(source) / CLEAN_FEATURES
    if clean_features.is_file():
        vars(model)["clean_features"] = clean_features
    return model


def _loaded(name: str, source: str, options: LoadOptions) -> "Model":
    arguments = options.arguments()
    model_type = _supported_type(source, options)
    family = family_class(model_type)
    check_memory(source, options)
    network, processor, loading_info = family.load(source, **arguments)
    _check_complete(source, processor, loading_info)
    complete_processor(processor, family.image_settings(network.config))
    if "device_map" not in arguments:
        network = network.to(options.target)
    thinking = {"thinking": True} if options.thinking else {}
    if model_type in FAMILIES and family.fits(network.config):
        return family(name, network, processor, **thinking)
    from vqttt.models.discovered.verdict import judged

    return judged(name, network, processor, **thinking)


def _reason(source: str, error: Exception) -> str:
    """Return why a folder or id cannot be loaded, in one line."""
    words = in_a_line(error)[:300]
    if Path(source).exists():
        return f"cannot load {source} as a model: {missing_parts(source) or words}"
    hint = "without access to the Hub, give a folder with the checkpoint"
    return f"there is no folder {source}, and it cannot be loaded from the Hub: {words}; {hint}"


def _quiet_transformers() -> None:
    from transformers.utils import logging

    getLogger("huggingface_hub").setLevel("ERROR")  # our own error reports an unreachable Hub
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def _supported_type(source: str, options: LoadOptions) -> str:
    """Return the `model_type` of a folder or id.

    Raises:
        ModelError: if that family is not supported.
    """
    from transformers import PreTrainedConfig

    from vqttt.models.cogvlm.config import family_of
    from vqttt.models.discovered import facts

    config = PreTrainedConfig.get_config_dict(source, revision=options.revision or None)[0]
    model_type = str(config.get("model_type") or family_of(config))
    if model_type == "llava" and "mm_vision_tower" in config:
        model_type = "llava_llama"
        config = {**config, "model_type": model_type}
    if model_type not in FAMILIES and model_type not in discoverable():
        raise unsupported(source, config, list(FAMILIES))
    if model_type not in FAMILIES and (reason := facts.REFUSED.get(model_type)):
        raise ModelError(f"{source} is a {model_type!r} model, which cannot be used: {reason}")
    return model_type


def _check_complete(source: str, processor: Any, loading_info: dict[str, Any]) -> None:
    """Check that a loaded checkpoint had all its weights and a processor.

    Raises:
        ModelError: if it did not.
    """
    missing = sorted(map(str, [*loading_info["missing_keys"], *loading_info["mismatched_keys"]]))
    if missing:
        raise ModelError(f"{source} lacks weights, among them {missing[0]}; the checkpoint is not complete")
    for part, file in (("image_processor", "preprocessor_config.json"), ("tokenizer", "tokenizer.json")):
        if getattr(processor, part, None) is None:
            raise ModelError(f"{source} has no {part.replace('_', ' ')}; it belongs in {file}")
