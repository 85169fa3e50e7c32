"""LLaVA-1.5 (Liu et al. 2023): one picture a question, pixels (N, 3, H, W) straight into the vision tower.

The vision tower may be any that transformers' LLaVA accepts; CLIP, SigLIP and DINOv2 name their linears as below.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.models.base import HuggingFaceModel, Inputs, Pictures

_TARGETS = {
    "q": ("q_proj", "query"),
    "k": ("k_proj", "key"),
    "v": ("v_proj", "value"),
}


class Llava(HuggingFaceModel):
    """The LLaVA seam."""

    def pixels(self, inputs: Inputs) -> Pictures:
        """View the pictures: one for each sample, no padding."""
        pixels = inputs.tensors["pixel_values"]
        return Pictures(pixels, torch.arange(len(pixels), device=pixels.device), None)

    def with_pixels(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Show other pictures."""
        return inputs.with_tensors(pixel_values=pixels)

    @property
    def vision_blocks(self) -> Sequence[nn.Module]:
        """The vision tower's blocks: its longest list of modules."""
        tower: Any = self.network.model
        lists = [list(module) for module in tower.vision_tower.modules() if isinstance(module, nn.ModuleList)]
        return max(lists, key=len)

    def lora_targets(self, block: nn.Module) -> dict[str, nn.Linear]:
        """Find the query, key and value projections of a block."""
        linears = {path.rsplit(".", 1)[-1]: m for path, m in block.named_modules() if isinstance(m, nn.Linear)}
        return {short: linears[name] for short, names in _TARGETS.items() for name in names if name in linears}
