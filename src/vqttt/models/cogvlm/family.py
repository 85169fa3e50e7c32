"""CogVLM and CogVLM2 as a model family. Their checkpoints are loaded from safetensors only, without remote code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedConfig

from vqttt.errors import ModelError
from vqttt.models.batch import Inputs
from vqttt.models.checkpoints import check_weights
from vqttt.models.cogvlm.config import CogVLMConfig, read_config
from vqttt.models.cogvlm.language import VISION
from vqttt.models.cogvlm.network import CogVLMForCausalLM
from vqttt.models.cogvlm.processor import CogVLMProcessor
from vqttt.models.decoder import square
from vqttt.models.huggingface import HuggingFaceModel

VICUNA = "lmsys/vicuna-7b-v1.5"
"""The model whose tokenizer CogVLM uses; its own checkpoints have none."""

_HUB = ("revision", "cache_dir", "token", "local_files_only")


class CogVLM(HuggingFaceModel):
    """CogVLM and CogVLM2; images have one size."""

    nested = True

    @staticmethod
    def load(source: str, tokenizer: str | None = None, **options: Any) -> tuple[Any, CogVLMProcessor, dict[str, Any]]:
        """Load a checkpoint, published or saved by this package.

        Args:
            source: a checkpoint folder or Hugging Face id.
            tokenizer: a folder or id with the tokenizer. None for the checkpoint's own; a CogVLM on the Hub may use
                Vicuna's.
            options: arguments of transformers' `from_pretrained`, such as `dtype` and `revision`.

        Returns:
            the network, its processor, and transformers' loading info, which lists missing weights.

        Raises:
            ModelError: if there is no tokenizer.
        """
        check_weights(source)
        hub: dict[str, Any] = {key: options[key] for key in _HUB if key in options}
        config = read_config(PreTrainedConfig.get_config_dict(source, **hub)[0])
        words = _load_tokenizer(source, tokenizer, config, hub)
        loaded: Any = CogVLMForCausalLM.from_pretrained(
            source, config=config, use_safetensors=True, output_loading_info=True, **options
        )
        network, loading_info = loaded
        return network, CogVLMProcessor(words, config), loading_info

    @property
    def vision_blocks(self) -> Sequence[nn.Module]:
        """The blocks of the vision tower."""
        network: Any = self.network
        return list(network.model.vision.transformer.layers)

    def image_keys(self, inputs: Inputs) -> Tensor:
        """Mark the prompt's image tokens."""
        return inputs.tensors["token_type_ids"] == VISION

    def token_grid(self, tokens: Tensor) -> Tensor | None:
        """Return the patches, without the begin-of-image and end-of-image tokens around them."""
        return square(tokens[1:-1])


def _load_tokenizer(source: str, given: str | None, config: CogVLMConfig, hub: dict[str, Any]) -> Any:
    """Load the given tokenizer, or the checkpoint's own, or for a CogVLM on the Hub Vicuna's.

    Raises:
        ModelError: if there is none.
    """
    borrowed = config.model_type == "cogvlm" and not Path(source).exists()
    places = [given] if given else [source, *([VICUNA] if borrowed else [])]
    reasons = []
    for place in places:
        try:
            # Without `config`, transformers would read the checkpoint's and fail on the remote code that it names.
            return AutoTokenizer.from_pretrained(place, config=config, **(hub if place == source else {}))
        except Exception as error:  # transformers and its dependencies may raise anything over missing files
            reasons.append(f"{place} ({' '.join(str(error).split())[:100]})")
    raise ModelError(
        f"no tokenizer at {' or '.join(reasons)}; put its files (for CogVLM those of {VICUNA}; CogVLM2 has its own) "
        f"into the folder {source}, or pass the folder or id that has them as `tokenizer`"
    )
