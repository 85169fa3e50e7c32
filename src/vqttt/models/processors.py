"""Processors that lack something which another file of the checkpoint has: it is taken from there."""

from typing import Any

import numpy as np

from vqttt.errors import ModelError, VQTTTError, in_a_line

_CLASS_TOKENS = {"clip_vision_model": 1, "dinov2": 1, "siglip_vision_model": 0, "sam_vision_model": 0}
"""How many tokens a vision encoder puts before those of the patches."""


def complete_processor(processor: Any, image_settings: dict[str, Any]) -> None:
    """Give a processor the settings that the network's configuration determines, and one chat template.

    Args:
        processor: changed in place.
        image_settings: see `HuggingFaceModel.image_settings`. They replace the processor's own, since a processor
            that differs would write more or fewer image tokens than the network makes.

    Raises:
        ModelError: if there are several chat templates and none is the default.
    """
    for name, value in image_settings.items():
        if hasattr(processor, name):
            setattr(processor, name, value)
    if hasattr(processor, "chat_template"):
        template = processor.chat_template or getattr(processor.tokenizer, "chat_template", None)
        processor.chat_template = _one_template(template)


def patch_settings(config: Any) -> dict[str, Any]:
    """Return the settings by which a processor counts patches, as LLaVA's and LLaVA-NeXT's do."""
    vision = config.vision_config
    settings = {
        "patch_size": getattr(vision, "patch_size", None),
        "vision_feature_select_strategy": config.vision_feature_select_strategy,
        "num_additional_image_tokens": _CLASS_TOKENS.get(vision.model_type),
    }
    return {name: value for name, value in settings.items() if value is not None}


def check_processor(model: Any) -> None:
    """Check that a model's processor can encode an image and a question.

    Raises:
        ModelError: if it cannot.
    """
    try:
        model.batch_of([np.full((64, 64, 3), 127, np.uint8)], ["What is this?"])
    except VQTTTError as error:
        raise ModelError(f"{model.name}: {in_a_line(error)}") from error
    except Exception as error:  # a processor may raise anything over a wrong setting
        reason = in_a_line(error)[:300]
        raise ModelError(f"{model.name}: its processor cannot encode an image and a question: {reason}") from error


def _one_template(template: Any) -> str | None:
    """Return the only chat template, or the default among named ones; None if there is none.

    Raises:
        ModelError: if there are several and none is the default.
    """
    if isinstance(template, list | tuple):
        template = {str(one["name"]): one["template"] for one in template}
    if not isinstance(template, dict):
        return None if template is None else str(template)
    if "default" in template or len(template) == 1:
        return str(template.get("default", next(iter(template.values()))))
    raise ModelError(f"of the chat templates {', '.join(template)}, none is named `default`; name the right one so")
