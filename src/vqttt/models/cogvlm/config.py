# mypy: allow-untyped-calls
"""Configurations of CogVLM and CogVLM2, with the fields and defaults of the published checkpoints.

A published `config.json` has no `model_type`: it names remote code instead, which is never run here. CogVLM2's does not
mention its grouped queries either. So a published configuration is recognised by its architecture and vocabulary size.
"""

from typing import Any

from transformers import PreTrainedConfig

_ARCHITECTURE = "CogVLMForCausalLM"
_LLAMA_3_VOCABULARY = 128_256


class CogVLMVisionConfig(PreTrainedConfig):
    """Configuration of the vision tower, EVA2-CLIP-E."""

    model_type = "cogvlm_vision"
    base_config_key = "vision_config"

    dropout_prob: float = 0.0
    hidden_act: str = "gelu"
    hidden_size: int = 1792
    image_size: int = 490
    in_channels: int = 3
    intermediate_size: int = 15360
    layer_norm_eps: float = 1e-6
    num_heads: int = 16
    num_hidden_layers: int = 63
    num_positions: int = 1226
    patch_size: int = 14


class CogVLMConfig(PreTrainedConfig):
    """CogVLM (Wang et al. 2023, arXiv 2311.03079): Vicuna with visual experts; defaults as in `cogvlm-chat-hf`.

    Four fields are not in the published files, whose code hard-wires them. CogVLM and CogVLM2 differ in them:
    `num_multi_query_heads` (number of key and value heads; None for as many as query heads), `rope_theta`,
    `vision_expert_bias` (whether the fused projection of image tokens has a bias), and `downsample` (stride of a
    convolution over the patch grid; 1 for no convolution).
    """

    model_type = "cogvlm"
    sub_configs = {"vision_config": CogVLMVisionConfig}  # noqa: RUF012
    attribute_map = {"num_key_value_heads": "num_multi_query_heads"}  # noqa: RUF012

    vision_config: dict[str, Any] | CogVLMVisionConfig | None = None
    vocab_size: int = 32_000
    hidden_size: int = 4096
    intermediate_size: int = 11_008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_multi_query_heads: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0
    template_version: str = "chat"
    vision_expert_bias: bool = False
    downsample: int = 1
    use_cache: bool = True
    tie_word_embeddings: bool = False
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    pad_token_id: int | None = 0

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in the fields that depend on others."""
        if not isinstance(self.vision_config, CogVLMVisionConfig):
            self.vision_config = CogVLMVisionConfig(**(self.vision_config or self._vision_defaults()))
        if self.num_multi_query_heads is None:
            self.num_multi_query_heads = self.num_attention_heads
        super().__post_init__(**kwargs)

    @staticmethod
    def _vision_defaults() -> dict[str, Any]:
        return {}

    @property
    def image_tokens(self) -> int:
        """Number of tokens per image: its downsampled patches, a begin-of-image and an end-of-image token."""
        vision: Any = self.vision_config
        grid = int(vision.image_size // vision.patch_size // self.downsample)
        return grid**2 + 2


class CogVLM2Config(CogVLMConfig):
    """CogVLM2 (Hong et al. 2024, arXiv 2408.16500): Llama 3; defaults as in `cogvlm2-llama3-chat-19B`."""

    model_type = "cogvlm2"

    vocab_size: int = _LLAMA_3_VOCABULARY
    intermediate_size: int = 14_336
    num_multi_query_heads: int | None = 8
    max_position_embeddings: int = 8192
    rope_theta: float = 500_000.0
    vision_expert_bias: bool = True
    downsample: int = 2
    bos_token_id: int | None = 128_000
    eos_token_id: int | list[int] | None = 128_001
    pad_token_id: int | None = 128_002

    @staticmethod
    def _vision_defaults() -> dict[str, Any]:
        return {"image_size": 1344, "num_positions": 9217}


def family_of(published: dict[str, Any]) -> str | None:
    """Return `cogvlm` or `cogvlm2` for the configuration of a published checkpoint, and None for any other."""
    if _ARCHITECTURE not in (published.get("architectures") or []):
        return None
    return "cogvlm2" if published.get("vocab_size", 0) >= _LLAMA_3_VOCABULARY else "cogvlm"


def read_config(published: dict[str, Any]) -> CogVLMConfig:
    """Build the configuration from the content of a `config.json`, published or saved by this package."""
    family = published.get("model_type") or family_of(published)
    kind = CogVLM2Config if family == "cogvlm2" else CogVLMConfig
    fields = {key: value for key, value in published.items() if key not in ("auto_map", "model_type")}
    return kind(**fields)
