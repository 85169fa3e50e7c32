"""Families whose text attends to the images by cross-attention: IDEFICS, Llama 3.2 Vision."""

from collections.abc import Callable
from typing import Any

from transformers import (
    IdeficsConfig,
    IdeficsForVisionText2Text,
    IdeficsImageProcessor,
    IdeficsProcessor,
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaImageProcessor,
    MllamaProcessor,
)

from tests.support.small_families.flat import SIDE, VISION
from tests.support.small_families.tokens import build_tokenizer, chat, text_config


def idefics() -> tuple[Any, Any]:
    """IDEFICS, with a resampler."""
    tokenizer = build_tokenizer("<fake_token_around_image>", "<end_of_utterance>", image_token="<image>")
    processor = IdeficsProcessor(IdeficsImageProcessor(image_size=SIDE), tokenizer)
    config = IdeficsConfig(
        **text_config(tokenizer),
        vision_config={**{k: v for k, v in VISION.items() if k != "hidden_size"}, "embed_dim": 32},
        use_resampler=True,
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
        },
        alpha_initializer="ones",
        qk_layer_norms=True,
    )
    return IdeficsForVisionText2Text(config), processor


def mllama() -> tuple[Any, Any]:
    """Llama 3.2 Vision."""
    tokenizer = build_tokenizer("<|python_tag|>", image_token="<|image|>")
    processor = MllamaProcessor(
        MllamaImageProcessor(size={"height": SIDE, "width": SIDE}), tokenizer, chat_template=chat("<|image|>")
    )
    vision = {k: v for k, v in VISION.items() if k != "num_attention_heads"}
    config = MllamaConfig(
        vision_config={
            **vision,
            "attention_heads": 2,
            "num_global_layers": 1,
            "intermediate_layers_indices": [0, 1],
            "vision_output_dim": 96,
        },
        text_config=text_config(tokenizer, num_hidden_layers=3, cross_attention_layers=[1]),
        image_token_index=tokenizer.image_token_id,
    )
    return MllamaForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {"idefics": idefics, "mllama": mllama}
