"""The vision encoder of a network, found by looking at which modules an image passes through, and when."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vqttt.models.base import Inputs, Part
from vqttt.models.blocks import find_targets

if TYPE_CHECKING:
    from vqttt.models.discovered.family import Discovered

IMAGE = "image"
Rule = Callable[["Discovered", Inputs], Tensor]


def _of_images(model: "Discovered", inputs: Inputs) -> Tensor:
    """One row an image or tile with content."""
    return torch.cat([owner[area > 0] for owner, area in _areas(model, inputs)])


def _of_planes(model: "Discovered", inputs: Inputs) -> Tensor:
    """One row an image or tile, padding included."""
    return torch.cat([owner for owner, _ in _areas(model, inputs)])


def _of_given(model: "Discovered", inputs: Inputs) -> Tensor:
    """One row an image that was given."""
    return inputs.owner


def _of_groups(model: "Discovered", inputs: Inputs) -> Tensor:
    """One row an image with all its tiles, padding included."""
    owners = [place.owner for place in model.places(inputs).values()]
    return torch.cat([owner.flatten(0, -2)[:, 0] for owner in owners if owner.ndim > 2] or [inputs.owner])


def _of_rows(model: "Discovered", inputs: Inputs) -> Tensor:
    """One row a row of the packed patches, padding included."""
    return torch.cat([place.owner.flatten() for place in model.places(inputs).values()])


def _areas(model: "Discovered", inputs: Inputs) -> list[tuple[Tensor, Tensor]]:
    return [place.areas() for place in model.places(inputs).values()]


RULES: dict[str, Rule] = {
    "image or tile": _of_images,
    "image or tile, or padding": _of_planes,
    IMAGE: _of_given,
    "image with all its tiles": _of_groups,
}
"""What a vision block's input may have one row for, if it has a row of tokens for each."""

PACKED, ROW = "patch", "patch, or padding"
"""What it may have one row for if all tokens of a batch are in one row."""

SHARES = (1, 4)
"""Rows a patch of the processor, where there are more rows beside: one, or four smaller patches."""


@dataclass(frozen=True)
class Vision:
    """A vision encoder.

    Attributes:
        path: of the blocks, in the network.
        blocks: shallowest first.
        targets: the projections of each block that LoRA may adapt, by `q`, `k` and `v`.
        rows: what a block's input has one row for: a name in `RULES`, or `PACKED` or `ROW`.
        share: if `PACKED`, rows a patch, or a pixel of an image or tile.
        extra: if `PACKED`, more rows an image or tile, such as that of a class token.
    """

    path: str
    blocks: Sequence[nn.Module]
    targets: Mapping[nn.Module, Mapping[str, nn.Linear | Part]]
    rows: str
    share: float = 0.0
    extra: int = 0

    def row_owner(self, model: "Discovered", inputs: Inputs) -> Tensor:
        """Return the sample that each row of a block's input belongs to."""
        if self.rows in RULES:
            return RULES[self.rows](model, inputs)
        if self.rows == ROW:
            return _of_rows(model, inputs)
        owner, area = _areas(model, inputs)[0]
        return owner.repeat_interleave((area * self.share).round().long() + self.extra)


@dataclass
class _Seen:
    """A list of modules of one class, as they were called."""

    path: str
    modules: list[nn.Module]
    shapes: list[list[tuple[int, ...]]]

    def attending(self) -> "_Seen":
        """Return the part of the list that has attention."""
        kept = [n for n, module in enumerate(self.modules) if find_targets(module)]
        return _Seen(self.path, [self.modules[n] for n in kept], [self.shapes[n] for n in kept])


def find_vision(model: "Discovered") -> Vision:
    """Find a model's vision encoder by a forward pass with images whose gradient is followed.

    It is the first list of modules with attention that sees the image; without any, the longest list. Some models have
    none at all: their language model sees the patches.
    """
    inputs = model.probe()
    lists = _called(model, inputs)
    if not lists:
        return Vision(path="", blocks=[], targets={}, rows=IMAGE)
    attending = [one.attending() for one in lists if one.attending().modules]
    seen = next(iter(attending), max(lists, key=lambda one: len(one.modules)))
    rows, share, extra = _rows(model, inputs, seen.shapes[0][0])
    if len(set(seen.shapes[0])) > 1:  # the encoder runs several times, on rows of different kinds
        rows = ""
    targets = {block: find_targets(block) for block in seen.modules}
    return Vision(seen.path, seen.modules, targets, rows=rows, share=share, extra=extra)


class _ReachedError(Exception):
    """The language model was reached; it need not run."""


def _called(model: "Discovered", inputs: Inputs) -> list[_Seen]:
    """Return the lists of modules outside of the language model that an image passes through, in order."""
    network = model.network
    decoder = network.get_decoder() if hasattr(network, "get_decoder") else None
    text: set[nn.Module] = set() if decoder is None or decoder is network else set(decoder.modules())
    elements = {
        child: re.sub(r"\.\d+(?=\.)", ".*", path)
        for path, module in network.named_modules()
        if isinstance(module, nn.ModuleList | nn.Sequential)
        for child in module
        if child not in text
    }
    found: dict[str, _Seen] = {}

    def note(module: nn.Module, arguments: Any, named: Any, output: Any) -> None:
        first = next((x for x in (*arguments, *named.values()) if isinstance(x, Tensor)), None)
        if first is None or not first.requires_grad:
            return
        seen = found.setdefault(elements[module], _Seen(elements[module], [], []))
        if module not in seen.modules:
            seen.modules.append(module)
            seen.shapes.append([])
        seen.shapes[seen.modules.index(module)].append(tuple(first.shape))

    def stop(*_: Any) -> None:
        raise _ReachedError

    handles = [module.register_forward_hook(note, with_kwargs=True) for module in elements]
    handles += [decoder.register_forward_pre_hook(stop)] if decoder is not None and text else []
    try:
        leaf = model.pixels(inputs).pixels.clone().requires_grad_()
        model.answer_logits(model.with_pixels(inputs, leaf))
    except _ReachedError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())


def _rows(model: "Discovered", inputs: Inputs, shape: tuple[int, ...]) -> tuple[str, float, int]:
    """Return what a vision block's input of a shape has one row for, and `share` and `extra` (see `Vision`).

    The name is empty if it is not known.
    """
    if len(shape) > 2 and shape[0] > 1:
        return next((name for name, rule in RULES.items() if len(rule(model, inputs)) == shape[0]), ""), 0.0, 0
    count, (_, area) = shape[-2], _areas(model, inputs)[0]
    share = count / int(area.sum())
    if torch.equal((area * share).round(), area * share):
        return PACKED, share, 0
    if len(_of_rows(model, inputs)) == count:
        return ROW, 0.0, 0
    pairs = [((count - int(area.sum() * share)) / len(area), share) for share in SHARES]
    extra, share = min(((extra, share) for extra, share in pairs if extra >= 1 and extra == int(extra)), default=(0, 0))
    return (PACKED, share, int(extra)) if extra else ("", 0.0, 0)
