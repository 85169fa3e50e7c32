"""Vision features: mean and spread over tokens by block, of the images at hand and, stored, of clean ones.

The file of clean statistics is made from any clean images without labels. Whoever uses it is not source-free.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Inputs, TunableModel, forward_hooks
from vqttt.types import Image

BLOCKS = 3
"""How many vision blocks are looked at, from the shallowest."""

_KINDS = ("means", "spreads")


@dataclass(frozen=True, kw_only=True)
class FeatureStatistics:
    """Mean and spread over tokens of vision features, by block; each list has a tensor (rows, width) a block."""

    means: list[Tensor]
    spreads: list[Tensor]


@contextmanager
def watched(model: TunableModel, inputs: Inputs) -> Iterator[FeatureStatistics]:
    """Within the block, a forward pass fills the statistics yielded: one row a sample, one tensor a vision block."""
    statistics = FeatureStatistics(means=[], spreads=[])
    owner = model.row_owner(inputs)
    share = torch.nn.functional.one_hot(owner, inputs.count).float()
    share = share / share.sum(0).clamp_min(1)

    def keep(module: nn.Module, arguments: Any, output: Any) -> None:
        tokens = (output[0] if isinstance(output, tuple) else output).float()
        if tokens.ndim == 2:  # packed: a row is a token
            means = share.to(tokens).mT @ tokens
            spreads = ((share.to(tokens).mT @ tokens.square()) - means.square()).clamp_min(1e-12).sqrt()
        else:
            tokens = tokens.flatten(1, -2)
            means, spreads = share.to(tokens).mT @ tokens.mean(1), share.to(tokens).mT @ tokens.std(1)
        statistics.means.append(means)
        statistics.spreads.append(spreads)

    with forward_hooks([(block, keep) for block in list(model.vision_blocks)[:BLOCKS]]):
        yield statistics


@torch.no_grad()
def measure_clean(
    model: TunableModel, images: Sequence[Image], questions: Sequence[str], batch: int = 16
) -> tuple[FeatureStatistics, FeatureStatistics]:
    """Return the means over clean images of their features' means and spreads, and the deviations between images.

    What is asked of the images does not matter: the vision encoder does not see it.
    """
    found = []
    for start in range(0, len(images), batch):
        inputs = model.encode(images[start : start + batch], questions[start : start + batch])
        with watched(model, inputs) as statistics:
            model.answer_logits(inputs)
        found.append(statistics)
    by_block = {
        kind: [torch.cat(parts) for parts in zip(*(getattr(f, kind) for f in found), strict=True)] for kind in _KINDS
    }
    centre = {kind: [tensor.mean(0, keepdim=True) for tensor in tensors] for kind, tensors in by_block.items()}
    deviation = {kind: [tensor.std(0, keepdim=True) + 1e-3 for tensor in tensors] for kind, tensors in by_block.items()}
    return FeatureStatistics(**centre), FeatureStatistics(**deviation)


def save_clean(path: Path, clean: tuple[FeatureStatistics, FeatureStatistics]) -> None:
    """Write clean statistics as safetensors."""
    names = ("centre", "deviation")
    save_file(
        {
            f"{name}.{kind}.{block}": tensor.contiguous()
            for name, part in zip(names, clean, strict=True)
            for kind in _KINDS
            for block, tensor in enumerate(getattr(part, kind))
        },
        path,
    )


def load_clean(path: Path, model: TunableModel) -> tuple[FeatureStatistics, FeatureStatistics]:
    """Read clean statistics.

    Raises:
        InputError: if the file is not there or is not of this kind.
    """
    try:
        tensors = {name: tensor.to(model.device) for name, tensor in load_file(path).items()}
        blocks = range(len(tensors) // 4)
        centre, deviation = (
            FeatureStatistics(**{kind: [tensors[f"{name}.{kind}.{block}"] for block in blocks] for kind in _KINDS})
            for name in ("centre", "deviation")
        )
    except (OSError, KeyError, SafetensorError) as error:
        raise InputError(
            f"{path} has no statistics of clean features: {error}; `vqttt clean-features` makes it"
        ) from error
    return centre, deviation
