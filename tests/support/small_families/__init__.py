"""Small models with random weights, one for each family, in its real configuration, network and processor classes."""

from collections.abc import Callable
from functools import lru_cache
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tests.support.small_families import (
    cogvlm,
    crossed,
    early,
    flat,
    idefics,
    llavas,
    native,
    packed,
    qwen,
    recent,
    resized,
    tiled,
    wrapped,
)
from tests.support.small_families.tokens import generation_config
from vqttt.models import FAMILIES, family_class
from vqttt.models.discovered import facts
from vqttt.models.discovered.family import Discovered
from vqttt.models.huggingface import HuggingFaceModel

BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    **flat.BUILDERS,
    **tiled.BUILDERS,
    **idefics.BUILDERS,
    **qwen.BUILDERS,
    **crossed.BUILDERS,
    **cogvlm.BUILDERS,
}
"""Families with a file of their own."""

OTHERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    name: builder
    for module in (llavas, packed, native, resized, early, recent, wrapped)
    for name, builder in module.BUILDERS.items()
    if name.split("/")[0] not in facts.REFUSED
}
"""Types whose layout is found by trying."""

ANSWERING = ("chameleon", "apertus1p5")
"""Those of them that answer and cannot be tuned."""


def small(name: str, dtype: torch.dtype = torch.float32) -> HuggingFaceModel:
    """Build the small model of a type, with weights scaled so that its answers differ between images."""
    return _built(name, dtype)  # `lru_cache` would keep a model with and a model without the default of its own


@lru_cache
def _built(name: str, dtype: torch.dtype) -> HuggingFaceModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network, processor = (BUILDERS | OTHERS)[name]()
        with torch.no_grad():
            for path, parameter in network.named_parameters():
                if not parameter.any() and parameter.ndim >= 2:
                    parameter.normal_(std=0.1)
                elif parameter.ndim >= 2:
                    parameter.mul_(4)
                elif "gate" in path or "alpha" in path:  # gates start at 0, which blocks out images
                    parameter.fill_(0.5)
            _fill_padding(network)
        head = _head(network)
        head.mul_(4)
        # No special tokens in answers but the end: teacher forcing would take an image token for an image. A logit of
        # zero is never the largest of so many.
        special = [token for token in processor.tokenizer.all_special_ids if token != processor.tokenizer.eos_token_id]
        head[[token for token in special if token < len(head)]] = 0
    network.generation_config = generation_config(processor.tokenizer)
    family = family_class(network.config.model_type)
    if network.config.model_type not in FAMILIES or not family.fits(network.config):
        return Discovered(name, _loaded(network, dtype), processor).look()
    return family(name, network.to(dtype), processor)


def _fill_padding(network: Any) -> None:
    """Give padding an embedding, as trained models have one: some norms have no gradient at zero."""
    for module in network.modules():
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
            module.weight[module.padding_idx] = module.weight.std(0)


def _loaded(network: Any, dtype: torch.dtype) -> Any:
    """The network in a dtype, as transformers loads it: some types keep a few weights in float32."""
    if dtype == torch.float32:
        return network
    with TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        return type(network).from_pretrained(folder, dtype=dtype)


def _head(network: Any) -> torch.Tensor:
    """The weights that project to the vocabulary."""
    head = network.get_output_embeddings()
    if head is None:
        head = next(
            module for path, module in network.named_modules() if path.endswith(("lm_head", "cls.predictions.decoder"))
        )
    weight: torch.Tensor = head.weight.data
    return weight
