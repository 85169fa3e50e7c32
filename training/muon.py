"""Muon (Jordan et al. 2024): momentum with orthogonalised updates, for the weight matrices of a transformer.

Matrices of the same shape are orthogonalised in one batch, in float32, which is fastest for a small model on a CPU.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Push the singular values of (N, rows, columns) matrices towards 1 by a quintic Newton-Schulz iteration."""
    a, b, c = _COEFFICIENTS
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    x = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrices.shape[-2] <= matrices.shape[-1] else x.mT


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised and scaled so that updates match AdamW's in size at the same rate."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float = 2e-3, momentum: float = 0.95, weight_decay: float = 0.05
    ):
        """Optimise `parameters`, all of them matrices."""
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Apply one update."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append(parameter)
            for shape, parameters in shapes.items():
                gradients = torch.stack([parameter.grad for parameter in parameters])
                buffers = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
                torch._foreach_lerp_(buffers, list(gradients), 1 - group["momentum"])
                updates = orthogonalise(torch.lerp(gradients, torch.stack(buffers), group["momentum"]))
                scale = 0.2 * max(shape) ** 0.5 * group["lr"]
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, list(updates), alpha=-scale)
