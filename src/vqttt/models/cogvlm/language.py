# mypy: allow-untyped-calls
"""CogVLM's language model: a Llama in which image tokens have their own projections and MLP.

Module names match the tensor names of the published checkpoints.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import eager_attention_forward

from vqttt.models.cogvlm.config import CogVLMConfig

LANGUAGE, VISION = 0, 1
"""The values of `token_type_ids`."""


def positions_of(kinds: Tensor, mask: Tensor | None, image_tokens: int) -> Tensor:
    """Return the rotary positions (N, L) of tokens of the given kinds (N, L).

    All patches of an image share one position; the begin-of-image and end-of-image tokens have their own (paper,
    section 2). Padding takes no position, so the first real token is at 0.

    Args:
        kinds: `LANGUAGE` or `VISION` for each token.
        mask: (N, L), 0 on padding; None if there is no padding.
        image_tokens: number of tokens per image.
    """
    real = torch.ones_like(kinds, dtype=torch.bool) if mask is None else mask.bool()
    rank = _rank(kinds, image_tokens)
    stays = (rank > 1) & (rank < image_tokens - 1)
    return ((real & ~stays).cumsum(1) - 1).clamp(min=0)


def expert_mask(kinds: Tensor, image_tokens: int) -> Tensor:
    """Return which tokens (N, L) go to the visual expert: as published, an image's except its end-of-image token."""
    rank = _rank(kinds, image_tokens)
    return (rank >= 0) & (rank < image_tokens - 1)


def _rank(kinds: Tensor, image_tokens: int) -> Tensor:
    """Return the index of each token (N, L) within its image, from 0; -1 for text."""
    image = kinds == VISION
    return torch.where(image, (image.cumsum(1) - 1) % image_tokens, -1)


def by_expert(x: Tensor, image: Tensor | None, vision: nn.Module, language: nn.Module) -> Tensor:
    """Apply `vision` to the tokens x (N, L, width) where `image` (N, L) is True, and `language` to the others.

    `image` is None if all are text.
    """
    if image is None:
        out: Tensor = language(x)
        return out
    text = language(x[~image])
    out = text.new_empty(*x.shape[:2], text.shape[-1])
    out[~image] = text
    out[image] = vision(x[image])
    return out


class Rotary(nn.Module):
    """Rotary embedding over half-split heads; the frequencies are stored in the checkpoint and used as they are."""

    def __init__(self, width: int, theta: float) -> None:
        """Build for heads of `width`."""
        super().__init__()
        self.width, self.theta = width, theta
        self.inv_freq: Tensor
        self.register_buffer("inv_freq", self.frequencies())

    def frequencies(self) -> Tensor:
        """Return theta^(-2i / width), (width / 2,)."""
        return self.theta ** -(torch.arange(0, self.width, 2, dtype=torch.float32) / self.width)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Rotate x (N, heads, L, width) to positions (N, L); angles are computed in float32."""
        angles = positions[:, None, :, None].float() * self.inv_freq.float()
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        left, right = x.chunk(2, dim=-1)
        return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


class VisualExpertAttention(nn.Module):
    """Causal attention over all tokens, with separate projections for image tokens (paper, section 2)."""

    def __init__(self, config: CogVLMConfig, layer: int) -> None:
        """Build the attention of a layer, given by its number from 0."""
        super().__init__()
        heads, groups = config.num_attention_heads, config.num_multi_query_heads
        assert groups is not None
        self.config, self.layer, self.is_causal = config, layer, True
        self.head_dim = config.hidden_size // heads
        self.num_key_value_groups = heads // groups  # transformers' attention functions read this name
        self.widths = [heads * self.head_dim, groups * self.head_dim, groups * self.head_dim]
        bias = config.vision_expert_bias
        self.rotary_emb = Rotary(self.head_dim, config.rope_theta)
        self.vision_expert_query_key_value = nn.Linear(config.hidden_size, sum(self.widths), bias=bias)
        self.vision_expert_dense = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.language_expert_query_key_value = nn.Linear(config.hidden_size, sum(self.widths), bias=False)
        self.language_expert_dense = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(
        self,
        x: Tensor,
        image: Tensor | None,
        positions: Tensor,
        mask: Tensor | None,
        cache: Cache | None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Map x (N, L, width) to the same shape; also return the attention weights, if the implementation has them."""
        fused = by_expert(x, image, self.vision_expert_query_key_value, self.language_expert_query_key_value)
        q, k, v = (part.unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for part in fused.split(self.widths, -1))
        q, k = self.rotary_emb(q, positions), self.rotary_emb(k, positions)
        if cache is not None:
            k, v = cache.update(k, v, self.layer)
        attend: Callable[..., tuple[Tensor, Tensor | None]] = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        mixed, weights = attend(self, q, k, v, mask, scaling=self.head_dim**-0.5, dropout=0.0, **options)
        return by_expert(mixed.flatten(2), image, self.vision_expert_dense, self.language_expert_dense), weights


class MLP(nn.Module):
    """A gated linear unit, as in Llama."""

    def __init__(self, config: CogVLMConfig) -> None:
        """Build the three projections."""
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        out: Tensor = self.down_proj(self.activation(self.gate_proj(x)) * self.up_proj(x))
        return out


class VisualExpertMLP(nn.Module):
    """One MLP for text and one for image tokens (paper, section 2)."""

    def __init__(self, config: CogVLMConfig) -> None:
        """Build both."""
        super().__init__()
        self.language_mlp = MLP(config)
        self.vision_mlp = MLP(config)

    def forward(self, x: Tensor, image: Tensor | None) -> Tensor:
        """Map (N, L, width) to the same shape."""
        return by_expert(x, image, self.vision_mlp, self.language_mlp)


class DecoderLayer(GradientCheckpointingLayer):
    """A layer with norms before its attention and its MLP."""

    def __init__(self, config: CogVLMConfig, layer: int) -> None:
        """Build a layer, given by its number from 0."""
        super().__init__()
        self.self_attn = VisualExpertAttention(config, layer)
        self.mlp = VisualExpertMLP(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(
        self,
        x: Tensor,
        image: Tensor | None,
        positions: Tensor,
        mask: Tensor | None,
        cache: Cache | None,
        **options: Any,
    ) -> Tensor:
        """Map (N, L, width) to the same shape."""
        attended, _ = self.self_attn(self.input_layernorm(x), image, positions, mask, cache, **options)
        x = x + attended
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x), image)
        return out
