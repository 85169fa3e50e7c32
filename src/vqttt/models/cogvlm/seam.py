"""CogVLM and CogVLM2 behind the seam, and how their checkpoints are loaded: safetensors alone, no remote code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedConfig

from vqttt.errors import ModelError
from vqttt.models.batch import Inputs
from vqttt.models.cogvlm.config import CogVLMConfig, read_config
from vqttt.models.cogvlm.language import VISION
from vqttt.models.cogvlm.network import CogVLMForCausalLM
from vqttt.models.cogvlm.processor import CogVLMProcessor
from vqttt.models.decoder import square
from vqttt.models.huggingface import HuggingFaceModel

VICUNA = "lmsys/vicuna-7b-v1.5"
"""Whose tokenizer CogVLM uses; its checkpoints come without one."""

_HUB = ("revision", "cache_dir", "token", "local_files_only")


class CogVLM(HuggingFaceModel):
    """The seam of both: images of one size, through the EVA2-CLIP tower."""

    nested = True

    @staticmethod
    def load(source: str, tokenizer: str | None = None, **options: Any) -> tuple[Any, CogVLMProcessor, dict[str, Any]]:
        """Load a checkpoint folder or id, published or saved from here.

        Args:
            source: the checkpoint.
            tokenizer: a folder or id to take the tokenizer from, instead of the checkpoint's own or, for a CogVLM
                on the hub, Vicuna's.
            options: of transformers' `from_pretrained`, such as `dtype` and `revision`.

        Returns:
            the network, its processor, and transformers' account of missing weights.

        Raises:
            ModelError: if there is no tokenizer.
        """
        hub: dict[str, Any] = {key: options[key] for key in _HUB if key in options}
        config = read_config(PreTrainedConfig.get_config_dict(source, **hub)[0])
        words = _tokenizer(source, tokenizer, config, hub)
        loaded: Any = CogVLMForCausalLM.from_pretrained(
            source, config=config, use_safetensors=True, output_loading_info=True, **options
        )
        network, found = loaded
        return network, CogVLMProcessor(words, config), found

    @property
    def vision_blocks(self) -> Sequence[nn.Module]:
        """The tower's blocks."""
        network: Any = self.network
        return list(network.model.vision.transformer.layers)

    def image_keys(self, inputs: Inputs) -> Tensor:
        """Mark the prompt's places of an image."""
        return inputs.tensors["token_type_ids"] == VISION

    def token_grid(self, tokens: Tensor) -> Tensor | None:
        """The patches come between a begin and an end of image."""
        return square(tokens[1:-1])


def _tokenizer(source: str, given: str | None, config: CogVLMConfig, hub: dict[str, Any]) -> Any:
    """Load the tokenizer that was given, or the checkpoint's own, or from the hub Vicuna's."""
    borrowed = config.model_type == "cogvlm" and not Path(source).exists()
    places = [given] if given else [source, *([VICUNA] if borrowed else [])]
    reasons = []
    for place in places:
        try:
            # With a configuration, or transformers would look for one and stumble over the remote code it names.
            return AutoTokenizer.from_pretrained(place, config=config, **(hub if place == source else {}))
        except Exception as error:  # whatever transformers and its many parts may raise over files that are not there
            reasons.append(f"{place} ({' '.join(str(error).split())[:100]})")
    raise ModelError(
        f"no tokenizer at {' or '.join(reasons)}; put its files (CogVLM's are those of {VICUNA}, CogVLM2 has its own) "
        f"into the folder {source}, or say which folder or id has them as `tokenizer`"
    )
