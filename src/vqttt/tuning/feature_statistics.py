"""Statistics of vision features: means and standard deviations over tokens, block by block.

Those of clean images can be stored in a file, made from any clean images without labels. A method that uses the file is
not source-free.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Inputs
from vqttt.models.tunable import TunableModel, forward_hooks
from vqttt.tuning.tuned_file import check_finite, save_tensors
from vqttt.types import Image

BLOCKS = 3
"""Number of vision blocks whose features are measured, from the shallowest."""


@dataclass(frozen=True, kw_only=True)
class FeatureStatistics:
    """Means and standard deviations of vision features over tokens.

    Attributes:
        means: one tensor (rows, width) per block; a row is a sample.
        spreads: the standard deviations, likewise.
    """

    means: list[Tensor]
    spreads: list[Tensor]


class CleanStatistics(NamedTuple):
    """How feature statistics vary over clean images; every tensor has one row.

    Attributes:
        centre: means over the images.
        deviation: standard deviations between the images.
    """

    centre: FeatureStatistics
    deviation: FeatureStatistics


_KINDS = ("means", "spreads")


@contextmanager
def collect_statistics(model: TunableModel, inputs: Inputs) -> Iterator[FeatureStatistics]:
    """Within the block, the forward pass of a batch adds its statistics to the value yielded, one row per sample."""
    statistics = FeatureStatistics(means=[], spreads=[])
    owner = model.row_owner(inputs)
    share = torch.nn.functional.one_hot(owner, inputs.count).float()
    share = share / share.sum(0).clamp_min(1)

    def keep(module: nn.Module, arguments: Any, output: Any) -> None:
        tokens = (output[0] if isinstance(output, tuple) else output).float()
        if tokens.ndim == 3 and len(tokens) == 1 < len(share):  # all tokens packed in one row
            tokens = tokens[0]
        if tokens.ndim == 2:  # packed: a row is a token
            means = share.to(tokens).mT @ tokens
            spreads = ((share.to(tokens).mT @ tokens.square()) - means.square()).clamp_min(1e-12).sqrt()
        else:
            tokens = tokens.flatten(1, -2)
            means, spreads = share.to(tokens).mT @ tokens.mean(1), share.to(tokens).mT @ tokens.std(1)
        statistics.means.append(means.to(model.device))  # the blocks may be on several devices
        statistics.spreads.append(spreads.to(model.device))

    with forward_hooks([(block, keep) for block in list(model.vision_blocks)[:BLOCKS]]):
        yield statistics


@torch.no_grad()
def measure_clean(
    model: TunableModel, images: Sequence[Image], questions: Sequence[str], batch: int = 16
) -> CleanStatistics:
    """Measure the feature statistics of clean images.

    Args:
        model: the model whose features are measured.
        images: clean images, at least two.
        questions: one per image; any text will do, because the vision encoder does not see it.
        batch: number of images per forward pass.
    """
    collected = []
    for start in range(0, len(images), batch):
        inputs = model.encode(images[start : start + batch], questions[start : start + batch])
        with collect_statistics(model, inputs) as statistics:
            model.answer_logits(inputs)
        collected.append(statistics)
    by_block = {
        kind: [torch.cat(parts) for parts in zip(*(getattr(s, kind) for s in collected), strict=True)]
        for kind in _KINDS
    }
    centre = {kind: [tensor.mean(0, keepdim=True) for tensor in tensors] for kind, tensors in by_block.items()}
    deviation = {kind: [tensor.std(0, keepdim=True) + 1e-3 for tensor in tensors] for kind, tensors in by_block.items()}
    return CleanStatistics(FeatureStatistics(**centre), FeatureStatistics(**deviation))


def save_clean(path: Path, clean: CleanStatistics) -> None:
    """Write clean statistics as safetensors, with keys such as `centre.means.0`."""
    tensors = {
        f"{name}.{kind}.{block}": tensor.contiguous()
        for name, part in clean._asdict().items()
        for kind in _KINDS
        for block, tensor in enumerate(getattr(part, kind))
    }
    save_tensors(path, tensors)


def load_clean(path: Path, model: TunableModel) -> CleanStatistics:
    """Read clean statistics that `save_clean` wrote, onto the model's device.

    Raises:
        InputError: if the file does not exist, does not hold clean statistics, or has numbers that are not finite.
    """
    try:
        tensors = {name: tensor.to(model.device) for name, tensor in load_file(path).items()}
        check_finite(path, tensors, "run `vqttt clean-features` again")
        blocks = range(len(tensors) // 4)
        return CleanStatistics(
            *(
                FeatureStatistics(**{kind: [tensors[f"{name}.{kind}.{block}"] for block in blocks] for kind in _KINDS})
                for name in CleanStatistics._fields
            )
        )
    except (OSError, KeyError, SafetensorError) as error:
        raise InputError(
            f"cannot read statistics of clean features from {path}: {error}; `vqttt clean-features` makes the file"
        ) from error
