"""CogVLM and CogVLM2, which vqttt implements."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.support.small_families.tokens import build_tokenizer, text_config
from vqttt.models.cogvlm import CogVLM2Config, CogVLMConfig, CogVLMForCausalLM, CogVLMProcessor

VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "num_hidden_layers": 3,
    "image_size": 32,
    "patch_size": 8,
    "num_positions": 17,
}


def cogvlm(kind: type[CogVLMConfig], **more: Any) -> tuple[Any, Any]:
    """Build one of the two. CogVLM2 has fewer key and value heads than query heads."""
    tokenizer = build_tokenizer()
    sizes = text_config(tokenizer)
    sizes["num_multi_query_heads"] = sizes.pop("num_key_value_heads")
    config = kind(vision_config=VISION, **(sizes | more))
    return CogVLMForCausalLM(config), CogVLMProcessor(tokenizer, config)


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "cogvlm": partial(cogvlm, CogVLMConfig),
    "cogvlm2": partial(cogvlm, CogVLM2Config, num_attention_heads=4),
}
