# mypy: allow-untyped-calls
"""CogVLM's vision: the EVA2-CLIP-E tower and the adapter that turns its patches into language-model tokens.

Module names match the tensor names of the published checkpoints.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from vqttt.models.cogvlm.config import CogVLMConfig, CogVLMVisionConfig


class PatchEmbedding(nn.Module):
    """Embedding of the patches and of a class token before them, with learned positions."""

    def __init__(self, config: CogVLMVisionConfig) -> None:
        """Build for images of the configured size."""
        super().__init__()
        self.proj = nn.Conv2d(config.in_channels, config.hidden_size, config.patch_size, config.patch_size)
        self.cls_embedding = nn.Parameter(torch.zeros(1, config.hidden_size))
        self.position_embedding = nn.Embedding(config.num_positions, config.hidden_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed images (P, 3, S, S) as (P, 1 + patches, width)."""
        patches = self.proj(pixels).flatten(2).mT
        tokens = torch.cat([self.cls_embedding.expand(len(patches), 1, -1), patches], dim=1)
        embedded: Tensor = tokens + self.position_embedding.weight
        return embedded


class Attention(nn.Module):
    """Self-attention among the tokens of an image; one linear computes query, key and value, in this order."""

    def __init__(self, config: CogVLMVisionConfig) -> None:
        """Build the fused projection and the output projection."""
        super().__init__()
        self.heads = config.num_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.output_dropout = nn.Dropout(config.dropout_prob)

    def forward(self, x: Tensor) -> Tensor:
        """Map (P, L, width) to the same shape."""
        q, k, v = self.query_key_value(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = self.output_dropout(self.dense(mixed))
        return out


class MLP(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, config: CogVLMVisionConfig) -> None:
        """Build both."""
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        out: Tensor = self.fc2(self.activation(self.fc1(x)))
        return out


class VisionBlock(GradientCheckpointingLayer):
    """A block with norms after its attention and its MLP, inside the residual branches."""

    def __init__(self, config: CogVLMVisionConfig) -> None:
        """Build attention, MLP and norms."""
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = Attention(config)
        self.mlp = MLP(config)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (P, L, width) to the same shape."""
        x = x + self.input_layernorm(self.attention(x))
        out: Tensor = x + self.post_attention_layernorm(self.mlp(x))
        return out


class Transformer(nn.Module):
    """The stack of blocks."""

    def __init__(self, config: CogVLMVisionConfig) -> None:
        """Build all blocks."""
        super().__init__()
        self.layers = nn.ModuleList([VisionBlock(config) for _ in range(config.num_hidden_layers)])

    def forward(self, x: Tensor) -> Tensor:
        """Map (P, L, width) to the same shape."""
        for layer in self.layers:
            x = layer(x)
        return x


class GLU(nn.Module):
    """The adapter: a projection to the language model's width, norm, GELU, and a gated linear unit."""

    def __init__(self, config: CogVLMConfig, width: int) -> None:
        """Build for patches of `width`."""
        super().__init__()
        self.linear_proj = nn.Linear(width, config.hidden_size, bias=False)
        self.norm1 = nn.LayerNorm(config.hidden_size)
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.dense_h_to_4h = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.dense_4h_to_h = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., vision width) to (..., language width)."""
        x = functional.gelu(self.norm1(self.linear_proj(x)))
        out: Tensor = self.dense_4h_to_h(functional.silu(self.gate_proj(x)) * self.dense_h_to_4h(x))
        return out


class EVA2CLIP(nn.Module):
    """Vision tower and adapter: images in, tokens of the language model out."""

    def __init__(self, config: CogVLMConfig) -> None:
        """Build tower and adapter, and the convolution over the patch grid if the configuration has one."""
        super().__init__()
        vision = config.vision_config
        assert isinstance(vision, CogVLMVisionConfig), vision
        self.patch_embedding = PatchEmbedding(vision)
        self.transformer = Transformer(vision)
        self.linear_proj = GLU(config, vision.hidden_size)
        self.grid = vision.image_size // vision.patch_size
        self.conv: nn.Conv2d | None = None
        if config.downsample > 1:
            self.conv = nn.Conv2d(vision.hidden_size, vision.hidden_size, config.downsample, config.downsample)
        self.boi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.eoi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map images (P, 3, S, S) to (P, image tokens, width): begin of image, patches row by row, end of image."""
        patches = self.transformer(self.patch_embedding(pixels))[:, 1:]
        if self.conv is not None:
            patches = self.conv(patches.mT.unflatten(2, (self.grid, self.grid))).flatten(2).mT
        boi, eoi = (mark.expand(len(patches), -1, -1) for mark in (self.boi, self.eoi))
        return torch.cat([boi, self.linear_proj(patches), eoi], dim=1)
