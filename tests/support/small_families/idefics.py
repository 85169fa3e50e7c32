"""Families that mark padding by zeros: Idefics2, Idefics3, SmolVLM."""

from collections.abc import Callable
from functools import partial
from typing import Any

from transformers import (
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2ImageProcessor,
    Idefics2Processor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)

from tests.support.small_families.flat import SIDE, VISION
from tests.support.small_families.tokens import build_tokenizer, chat, text_config


def idefics2() -> tuple[Any, Any]:
    """Idefics2."""
    tokenizer = build_tokenizer("<fake_token_around_image>", "<image>", "<end_of_utterance>")
    processor = Idefics2Processor(
        Idefics2ImageProcessor(size={"shortest_edge": 24, "longest_edge": 48}),
        tokenizer,
        image_seq_len=4,
        chat_template=chat("<image>"),
    )
    config = Idefics2Config(
        vision_config={**VISION, "image_size": 48},
        perceiver_config={
            "hidden_size": 32,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "num_key_value_heads": 2,
        },
        text_config={"model_type": "mistral", **text_config(tokenizer)},
        image_token_id=processor.image_token_id,
    )
    return Idefics2ForConditionalGeneration(config), processor


def tiling(config: Any, network: Any, images: Any, processor: Any, text: str) -> tuple[Any, Any]:
    """Idefics3 and SmolVLM: an overview and tiles, every tile of one size."""
    tags = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = build_tokenizer(
        "<fake_token_around_image>",
        "<image>",
        "<end_of_utterance>",
        "<global-img>",
        *tags,
        fake_image_token="<fake_token_around_image>",
        image_token="<image>",
        end_of_utterance_token="<end_of_utterance>",
        global_image_token="<global-img>",
    )
    cutting = images(size={"longest_edge": 2 * SIDE}, max_image_size={"longest_edge": SIDE})
    more = {"video_processor": SmolVLMVideoProcessor()} if processor is SmolVLMProcessor else {}
    cut = processor(cutting, tokenizer, image_seq_len=4, chat_template=chat("<image>"), **more)
    built = config(
        vision_config=VISION,
        text_config={"model_type": text, **text_config(tokenizer)},
        image_token_id=cut.image_token_id,
        scale_factor=2,
    )
    return network(built), cut


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "idefics2": idefics2,
    "idefics3": partial(
        tiling, Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessor, Idefics3Processor, "llama"
    ),
    "smolvlm": partial(
        tiling, SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMImageProcessor, SmolVLMProcessor, "llama"
    ),
}
