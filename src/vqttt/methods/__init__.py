"""Methods by name: VQ-TTT and what it is compared with, as peers on the same seam.

Rates, steps and thresholds of all of them were chosen on development data by `python -m experiments.choose_settings`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vqttt.errors import InputError
from vqttt.methods.base import Method
from vqttt.methods.none import NoTuning
from vqttt.methods.option_likelihood import Likeliest
from vqttt.methods.vote import Vote, VoteConfig
from vqttt.methods.vq_ttt import VQTTT, VQTTTConfig
from vqttt.registry import Registry
from vqttt.tuning.adapters import AdapterConfig

__all__ = ["CONFIGS", "METHODS", "VQTTT", "Method", "NoTuning", "VQTTTConfig", "frozen", "savable"]

METHODS: Registry[Callable[..., Method]] = Registry("method")
"""A name to a factory: (model, max_new_tokens=, seed=) -> Method."""

CONFIGS: dict[str, VQTTTConfig] = {}
"""The settings of those methods that tune."""


def _add(name: str, config: VQTTTConfig, summary: str) -> None:
    CONFIGS[name] = config
    METHODS.add(name, lambda model, **settings: VQTTT(model, config, **settings), summary)


_NOTHING = AdapterConfig(kernel="none", lora_rank=0)
_LORA = AdapterConfig(kernel="none")
_BANK = VQTTTConfig(bank=True, steps=1, adapters=_LORA)
_ONLINE = replace(_BANK, restore=True, guard_ratio=0.7)
_GRADIENT = VQTTTConfig(steps=2, kernel_rate=0.06, lora_rate=3e-3)
_EPISODIC = replace(_GRADIENT, online=False, steps=1, kernel_rate=0.2, lora_rate=6e-3)
_NORMS = AdapterConfig(kernel="none", lora_rank=0, norms=True)
_TENT = replace(_GRADIENT, steps=1, before=True, gate=0.0, guard=False, norm_rate=1e-3, adapters=_NORMS)

METHODS.add("none", NoTuning, "the model as it is")
METHODS.add("likeliest", Likeliest, "no tuning; of a question's options the one whose letter is the likeliest answer")
_add(
    "vq-ttt",
    _ONLINE,
    "the image restored where that helps, a kernel predicted from its spectrum, and LoRA; tuned along the stream",
)
_add("vq-ttt-bank", _BANK, "the same without the restorer: kernels of the bank and LoRA alone")
_add(
    "vq-ttt-features",
    replace(_BANK, objective="entropy+0.1*feature-statistics"),
    "vq-ttt-bank with vision features like clean images'; not source-free",
)
_add("vq-ttt-static", _GRADIENT, "one mixture of blurs and LoRA tuned along the stream by gradients of entropy")
_add(
    "vq-ttt-conditional",
    replace(_GRADIENT, kernel_rate=0.01, lora_rate=1e-3, adapters=AdapterConfig(kernel="conditional")),
    "gains by band that each image gets from its spectrum, the predictor tuned by gradients of entropy",
)
_add("vq-ttt-episodic", _EPISODIC, "a mixture of blurs and LoRA for each image by one gradient step, reset after it")
METHODS.add(
    "vq-ttt-vote",
    lambda model, **settings: Vote(model, VoteConfig(temperature=0.25, gate=0.02), **settings),
    "for each image alone, all kernels of the bank vote, the more certain ones more; nothing outlives the image",
)
_add("kernel-only", replace(_BANK, steps=0, adapters=_NOTHING), "vq-ttt-bank without LoRA: forward passes alone")
_add("lora-only", replace(_GRADIENT, adapters=_LORA), "LoRA tuned along the stream by gradients of entropy")
_add(
    "lora-deep",
    replace(_GRADIENT, adapters=replace(_LORA, lora_blocks=-2, lora_rank=16)),
    "LoRA of rank 16 in the last two vision blocks, as LoRA-TTT has it",
)
_add("tent", _TENT, "the vision encoder's norms tuned along the stream by entropy (Wang et al. 2021)")
_add(
    "sar",
    replace(_TENT, margin=0.4, sharpness=0.05, floor=0.02),
    "tent on reliable samples, with sharpness-aware steps and a reset (Niu et al. 2023)",
)
_add(
    "memo",
    replace(_EPISODIC, objective="marginal-entropy", guard=False),
    "kernel and LoRA for each image by the entropy of its views' mean answer (Zhang et al. 2022)",
)
METHODS.add(
    "tta",
    lambda model, **settings: Vote(model, VoteConfig(gate=0.02), **settings),
    "all kernels of the bank vote, each with its confidence; no updates",
)


def savable(name: str) -> VQTTTConfig:
    """Return the settings of a method that learns something to save.

    Raises:
        InputError: if the method called `name` does not.
    """
    if name not in CONFIGS or not CONFIGS[name].online:
        known = ", ".join(name for name, config in CONFIGS.items() if config.online)
        raise InputError(f"{name!r} learns nothing that could be saved; these do: {known}")
    return CONFIGS[name]


def frozen(name: str, tuned: Path) -> Callable[..., Method]:
    """Return the factory of a method that applies what `VQTTT.save` wrote and learns nothing; raises as `savable`."""
    config = replace(savable(name), start=str(tuned), frozen=True)
    return lambda model, **settings: VQTTT(model, config, **settings)
