"""What adapters change inside the vision encoder: the outputs of linears (LoRA) and of norms."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LoRA:
    """LoRA of one linear, or of one part of a fused linear.

    Attributes:
        module: the linear.
        offset: first output that it changes; not 0 in a fused linear.
        down: (sets, rank, inputs), random at the start.
        up: (sets, outputs, rank), zero at the start.
    """

    module: nn.Linear
    offset: int
    down: Tensor
    up: Tensor

    def change(self, x: Tensor, output: Tensor, rows: Tensor | None) -> Tensor:
        """Return what LoRA adds to the module's output.

        Args:
            x: the module's input, (rows, ..., inputs).
            output: the module's output.
            rows: the set that each row uses, (rows,); None if there is one set.
        """
        down, up = self.down.to(x), self.up.to(x)  # the network's dtype and device may differ
        if rows is None:
            own = (x @ down[0].mT) @ up[0].mT
        elif x.ndim == 2:  # packed: consecutive rows use the same set
            chosen, lengths = torch.unique_consecutive(rows, return_counts=True)
            runs = zip(torch.split(x, lengths.tolist()), chosen.tolist(), strict=True)
            own = torch.cat([(run @ down[n].mT) @ up[n].mT for run, n in runs])
        else:
            own = ((x.flatten(1, -2) @ down[rows].mT) @ up[rows].mT).view(*x.shape[:-1], -1)
        rest = output.shape[-1] - own.shape[-1]
        return nn.functional.pad(own, (self.offset, rest - self.offset)) if rest else own


@dataclass(frozen=True)
class NormChange:
    """Changes to the weight and the bias of one norm, (sets, width) each, zero at the start."""

    module: nn.Module
    weight: Tensor
    bias: Tensor

    def change(self, x: Tensor, output: Tensor, rows: Tensor | None) -> Tensor:
        """Return what the changes add to the norm's output; arguments as for `LoRA.change`."""
        if x.ndim == 4 and "2d" in type(self.module).__name__:  # channels come before rows and columns
            return self._change(x.movedim(1, -1), output.movedim(1, -1), rows).movedim(-1, 1)
        return self._change(x, output, rows)

    def _change(self, x: Tensor, output: Tensor, rows: Tensor | None) -> Tensor:
        shifts = (shift.to(x.device) for shift in (self.weight, self.bias))  # the model may be on several devices
        weight, bias = (shift[:1] if rows is None else shift[rows] for shift in shifts)
        broad = (len(weight), *[1] * (x.ndim - 2), -1)
        wide = x.float()
        if isinstance(self.module, nn.LayerNorm):
            normal = nn.functional.layer_norm(wide, self.module.normalized_shape, eps=self.module.eps)
        else:  # RMSNorm
            normal = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-6)
        return (normal * weight.view(broad) + bias.view(broad)).to(output.dtype)


def change_hook(part: LoRA | NormChange, rows: Tensor | None) -> Any:
    """Return a forward hook that adds a change to its module's output.

    Args:
        part: the change.
        rows: the set that each row of the module's input uses, (rows,); None if there is one set.
    """

    def add(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = arguments[0]
        own = None if rows is None else rows.to(x.device)
        if own is not None and x.ndim == 3 and len(x) == 1 < len(own) == x.shape[1]:  # all tokens packed in one row
            return output + part.change(x[0], output[0], own)[None]
        if own is not None and len(own) != len(x):  # the block cut each row into equally many windows
            own = own.repeat_interleave(len(x) // len(own))
        return output + part.change(x, output, own)

    return add
