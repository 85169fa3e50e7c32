# mypy: allow-untyped-calls
"""CogVLM as an ordinary `PreTrainedModel`; generation, cache, saving and loading are those of transformers."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel, initialization
from transformers.cache_utils import Cache, DynamicCache
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from vqttt.models.cogvlm.config import CogVLMConfig
from vqttt.models.cogvlm.language import (
    LANGUAGE,
    VISION,
    DecoderLayer,
    Rotary,
    VisualExpertAttention,
    expert_mask,
    positions_of,
)
from vqttt.models.cogvlm.vision import EVA2CLIP, PatchEmbedding


class CogVLMPreTrainedModel(PreTrainedModel):
    """The base class of the model with and without its head."""

    config_class = CogVLMConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["DecoderLayer", "VisionBlock"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_attention_backend = True
    _keys_to_ignore_on_load_missing = [r"rotary_emb\.inv_freq"]  # noqa: RUF012 (computed if the checkpoint lacks it)
    _can_record_outputs = {"hidden_states": DecoderLayer, "attentions": VisualExpertAttention}  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Rotary):
            initialization.copy_(module.inv_freq, module.frequencies())
        parameters = {PatchEmbedding: ("cls_embedding",), EVA2CLIP: ("boi", "eoi")}
        for name in parameters.get(type(module), ()):
            initialization.normal_(getattr(module, name), std=self.config.initializer_range)


class CogVLMModel(CogVLMPreTrainedModel):
    """Vision tower, adapter and language model, without the head."""

    def __init__(self, config: CogVLMConfig) -> None:
        """Build with random weights."""
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([DecoderLayer(config, n) for n in range(config.num_hidden_layers)])
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.vision = EVA2CLIP(config)
        self.post_init()

    def embed(self, input_ids: Tensor, kinds: Tensor, pixel_values: Tensor | None) -> Tensor:
        """Embed tokens (N, L), with the images (P, 3, S, S), in order, at the positions of kind `VISION`.

        Raises:
            ValueError: if there are more or fewer such positions than the images need.
        """
        embedded: Tensor = self.embed_tokens(input_ids)
        positions = kinds == VISION
        images = embedded.new_empty(0, embedded.shape[-1])
        if pixel_values is not None:
            images = self.vision(pixel_values).flatten(0, 1).to(embedded)
        if len(images) != positions.sum():
            raise ValueError(f"the images take {len(images)} tokens, but {int(positions.sum())} are marked as theirs")
        return embedded.masked_scatter(positions[..., None], images) if len(images) else embedded

    @capture_outputs  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: Cache | None = None,
        use_cache: bool | None = None,
        **options: Any,
    ) -> BaseModelOutputWithPast:
        """Run the model; see `CogVLMForCausalLM.forward`."""
        kinds = torch.full_like(input_ids, LANGUAGE) if token_type_ids is None else token_type_ids
        if position_ids is None:
            if cache is not None and cache.get_seq_length():
                raise ValueError("with a filled cache, position_ids are needed, because image tokens share positions")
            position_ids = positions_of(kinds, attention_mask, self.config.image_tokens)
        if cache is None and (self.config.use_cache if use_cache is None else use_cache):
            cache = DynamicCache(config=self.config)
        x = self.embed(input_ids, kinds, pixel_values)
        # Without position_ids: transformers would take shared positions for several sequences packed into one.
        mask = create_causal_mask(config=self.config, inputs_embeds=x, attention_mask=attention_mask, cache=cache)
        expert = expert_mask(kinds, self.config.image_tokens)
        image = expert if expert.any() else None  # once for all layers, because a GPU must wait for it
        for layer in self.layers:
            x = layer(x, image, position_ids, mask, cache, **options)
        return BaseModelOutputWithPast(last_hidden_state=self.norm(x), cache=cache)


class CogVLMForCausalLM(CogVLMPreTrainedModel, GenerationMixin):
    """CogVLM or CogVLM2, depending on the configuration."""

    def __init__(self, config: CogVLMConfig) -> None:
        """Build with random weights."""
        super().__init__(config)
        self.model = CogVLMModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: Cache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Predict the next token at every position.

        Args:
            input_ids: (N, L); the ids at image positions are not used.
            pixel_values: all images, (P, 3, image_size, image_size), normalised.
            token_type_ids: (N, L), 1 at the `config.image_tokens` positions of each image, else 0.
            attention_mask: (N, L), or longer with a cache; 0 on padding.
            position_ids: (N, L); optional unless the cache is filled.
            cache: keys and values of the tokens before.
            use_cache: whether to return a cache.
            logits_to_keep: number of positions, from the end, to predict at; 0 for all.
            kwargs: other arguments of transformers' attention functions.
        """
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            use_cache=use_cache,
            **kwargs,
        )
        return CausalLMOutputWithPast(
            logits=self.lm_head(outputs.last_hidden_state[:, -logits_to_keep:]),
            cache=outputs.cache,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,  # without this name, transformers' `generate` would reject forward's arguments
    ) -> dict[str, Any]:
        """Add the positions, which depend on the whole sequence, to the inputs that transformers prepares."""
        kinds = torch.full_like(input_ids, LANGUAGE) if token_type_ids is None else token_type_ids
        kwargs["position_ids"] = positions_of(kinds, attention_mask, self.config.image_tokens)
        prepared: dict[str, Any] = super().prepare_inputs_for_generation(
            input_ids, token_type_ids=kinds, attention_mask=attention_mask, **kwargs
        )
        return prepared
