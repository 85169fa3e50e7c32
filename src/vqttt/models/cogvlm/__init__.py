"""CogVLM (Wang et al. 2023, arXiv 2311.03079) and CogVLM2 (Hong et al. 2024, arXiv 2408.16500).

Neither is in transformers, and the code in their checkpoints does not run with its current version. They are
implemented here as an ordinary `PreTrainedModel` with the published configuration and tensor names.
"""

from vqttt.models.cogvlm.config import CogVLM2Config, CogVLMConfig, CogVLMVisionConfig, family_of
from vqttt.models.cogvlm.family import CogVLM
from vqttt.models.cogvlm.network import CogVLMForCausalLM
from vqttt.models.cogvlm.processor import CogVLMProcessor

__all__ = [
    "CogVLM",
    "CogVLM2Config",
    "CogVLMConfig",
    "CogVLMForCausalLM",
    "CogVLMProcessor",
    "CogVLMVisionConfig",
    "family_of",
]
