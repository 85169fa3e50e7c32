"""The vision encoder of a network, found by looking at which modules an image passes through, and when."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Inputs
from vqttt.models.blocks import find_targets
from vqttt.models.discovered.pixels import IMAGE
from vqttt.models.tunable import Part

if TYPE_CHECKING:
    from vqttt.models.discovered.family import Discovered

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

_SEES = re.compile(r"(^|\.)(vision|visual|image)")
"""In the path of a module, says that it is of a vision encoder."""

SHARES = (1, 4)
"""Rows a patch of the processor, where there are more rows beside: one, or four smaller patches."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is found about a vision encoder, as plain values.

    Attributes:
        names: of the blocks, in the network, shallowest first.
        rows: what a block's input has one row for: a name in `RULES`, `PACKED` or `ROW`; empty if that is not known.
        share: if `PACKED`, rows a patch, or a pixel of an image or tile.
        extra: if `PACKED`, more rows an image or tile, such as that of a class token.
    """

    names: Sequence[str] = ()
    rows: str = IMAGE
    share: float = 0.0
    extra: int = 0


@dataclass(frozen=True)
class Vision:
    """A vision encoder.

    Attributes:
        seen: what was found about it.
        blocks: shallowest first.
        targets: the projections of each block that LoRA may adapt, by `q`, `k` and `v`.
    """

    seen: Seen
    blocks: Sequence[nn.Module]
    targets: Mapping[nn.Module, Mapping[str, nn.Linear | Part]]

    @classmethod
    def of(cls, network: nn.Module, seen: Seen) -> "Vision":
        """Return the encoder in a network about which that was found."""
        blocks = [network.get_submodule(name) for name in seen.names]
        return cls(seen, blocks, {block: find_targets(block) for block in blocks})

    def row_owner(self, model: "Discovered", inputs: Inputs) -> Tensor:
        """Return the sample that each row of a block's input belongs to.

        Raises:
            InputError: if that is not known.
        """
        rows = self.seen.rows
        if not rows:
            raise InputError(
                f"{model.name}: the vision encoder runs several times, so the rows of a sample are not known; use a "
                "method or objective that does not tell the samples of a batch apart by them"
            )
        if rows in RULES:
            return RULES[rows](model, inputs)
        if rows == ROW:
            return _of_rows(model, inputs)
        owner, area = _areas(model, inputs)[0]
        return owner.repeat_interleave((area * self.seen.share).round().long() + self.seen.extra)


@dataclass
class _List:
    """A list of modules, as an image passed through them.

    Attributes:
        modules: in the order of their calls.
        shapes: of the inputs of each call of each module.
    """

    modules: list[nn.Module]
    shapes: list[list[tuple[int, ...]]]

    def attending(self) -> "_List":
        """Return the part of the list that has attention."""
        return self._part([bool(find_targets(module)) for module in self.modules])

    def even(self) -> "_List":
        """Return the part of the list whose inputs have as many rows as the first; later ones may merge tokens."""
        counts = [shapes[0][0] if shapes[0][0] > 1 else shapes[0][-2] for shapes in self.shapes]
        return self._part([count == counts[0] for count in counts])

    def _part(self, kept: Sequence[bool]) -> "_List":
        return _List(list(compress(self.modules, kept)), list(compress(self.shapes, kept)))


def find_vision(model: "Discovered") -> Seen:
    """Find a model's vision encoder by a forward pass with images whose gradient is followed.

    It is the first list of modules with attention that sees the image. Some models have none: their encoder only has
    convolutions, or their language model sees the patches.
    """
    inputs = model.probe()
    attending = [own for one in _called(model, inputs) if (own := one.attending()).modules]
    if not attending:
        return Seen()
    chosen = attending[0].even()
    paths = {module: path for path, module in model.network.named_modules()}
    names = [paths[module] for module in chosen.modules]
    if len(set(chosen.shapes[0])) > 1:  # the encoder runs several times, on rows of different kinds
        return Seen(names=names, rows="")
    rows, share, extra = _rows(model, inputs, chosen.shapes[0][0])
    return Seen(names=names, rows=rows, share=share, extra=extra)


class _ReachedError(Exception):
    """The language model was reached; it need not run."""


def _called(model: "Discovered", inputs: Inputs) -> list[_List]:
    """Return the lists of modules outside of the language model that an image passes through, in order."""
    network = model.network
    decoder = network.get_decoder() if hasattr(network, "get_decoder") else None
    text = _text(network, decoder)
    elements = {
        child: re.sub(r"\.\d+(?=\.|$)", ".*", path)
        for path, module in network.named_modules()
        if isinstance(module, nn.ModuleList | nn.Sequential)
        for child in module
        if child not in text
    }
    found: dict[str, _List] = {}

    def note(module: nn.Module, arguments: Any, named: Any, output: Any) -> None:
        first = next((x for x in (*arguments, *named.values()) if isinstance(x, Tensor)), None)
        if first is None or not first.requires_grad:
            return
        seen = found.setdefault(elements[module], _List([], []))
        if module not in seen.modules:
            seen.modules.append(module)
            seen.shapes.append([])
        seen.shapes[seen.modules.index(module)].append(tuple(first.shape))

    def stop(*_: Any) -> None:
        raise _ReachedError

    handles = [module.register_forward_hook(note, with_kwargs=True) for module in elements]
    handles += [decoder.register_forward_pre_hook(stop)] if decoder in text else []
    try:
        leaf = model.pixels(inputs).pixels.clone().requires_grad_()
        model.answer_logits(model.with_pixels(inputs, leaf))
    except _ReachedError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())


def _text(network: nn.Module, decoder: nn.Module | None) -> set[nn.Module]:
    """Return the modules of a network's language model; its decoder alone, if that has no vision encoder inside."""
    if decoder is None or decoder is network:
        return set()
    sees = {part for path, module in decoder.named_modules() if _SEES.search(path) for part in module.modules()}
    return set(decoder.modules()) - sees - ({decoder} if sees else set())


def _rows(model: "Discovered", inputs: Inputs, shape: tuple[int, ...]) -> tuple[str, float, int]:
    """Return what a vision block's input of a shape has one row for, and `share` and `extra` (see `Seen`).

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
