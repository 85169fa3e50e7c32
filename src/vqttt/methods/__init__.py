"""Methods by name: VQ-TTT and what it is compared with, as peers."""

from collections.abc import Callable
from typing import Any

from vqttt.methods.base import Method
from vqttt.methods.none import NoTuning
from vqttt.methods.vq_ttt import VQTTT, VQTTTConfig
from vqttt.registry import Registry

__all__ = ["METHODS", "VQTTT", "Method", "NoTuning", "VQTTTConfig"]

METHODS: Registry[Callable[..., Method]] = Registry("method")
"""A name to a factory: (model, max_new_tokens=, seed=) -> Method."""

METHODS.add("none", NoTuning, "the model as it is")


@METHODS.register("vq-ttt", "one kernel and LoRA tuned along the stream by entropy (online)")
def _online(model: Any, **settings: Any) -> Method:
    return VQTTT(model, VQTTTConfig(online=True), **settings)


@METHODS.register("vq-ttt-episodic", "a kernel and LoRA for each image, reset after it")
def _episodic(model: Any, **settings: Any) -> Method:
    return VQTTT(model, VQTTTConfig(online=False, steps=1, kernel_rate=0.2, lora_rate=6e-3), **settings)
