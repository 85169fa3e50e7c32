"""Small models of random weights, one for each family: its real classes of configuration, network and processor."""

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
    """Build one behind the seam; weights are loud enough that answers differ between images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network, processor = BUILDERS[name]()
        with torch.no_grad():
            for path, parameter in network.named_parameters():
                if not parameter.any() and parameter.ndim >= 2:
                    parameter.normal_(std=0.1)
                elif parameter.ndim >= 2:
                    parameter.mul_(4)
                elif "gate" in path or "alpha" in path:  # a model that is born blind
                    parameter.fill_(0.5)
        network.get_output_embeddings().weight.data.mul_(4)
    network.generation_config = generation_config(processor.tokenizer)
    return family_class(network.config.model_type)(name, network.to(dtype), processor)
