"""Small models with random weights, one for each family, in its real configuration, network and processor classes."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from tests.support.small_families import cogvlm, crossed, flat, idefics, qwen, tiled
from tests.support.small_families.tokens import generation_config
from vqttt.models import family_class
from vqttt.models.huggingface import HuggingFaceModel

BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    **flat.BUILDERS,
    **tiled.BUILDERS,
    **idefics.BUILDERS,
    **qwen.BUILDERS,
    **crossed.BUILDERS,
    **cogvlm.BUILDERS,
}


@lru_cache
def small(name: str, dtype: torch.dtype = torch.float32) -> HuggingFaceModel:
    """Build the small model of a family, with weights scaled so that its answers differ between images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network, processor = BUILDERS[name]()
        with torch.no_grad():
            for path, parameter in network.named_parameters():
                if not parameter.any() and parameter.ndim >= 2:
                    parameter.normal_(std=0.1)
                elif parameter.ndim >= 2:
                    parameter.mul_(4)
                elif "gate" in path or "alpha" in path:  # gates start at 0, which blocks out images
                    parameter.fill_(0.5)
        head = network.get_output_embeddings().weight.data
        head.mul_(4)
        # No special tokens in answers but the end: teacher forcing would take an image token for an image. A logit of
        # zero is never the largest of so many.
        special = [token for token in processor.tokenizer.all_special_ids if token != processor.tokenizer.eos_token_id]
        head[[token for token in special if token < len(head)]] = 0
    network.generation_config = generation_config(processor.tokenizer)
    return family_class(network.config.model_type)(name, network.to(dtype), processor)
