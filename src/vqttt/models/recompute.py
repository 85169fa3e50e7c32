"""What a gradient step keeps in memory: of which passes, and of which layers.

Activations can be computed again in the backward pass instead of being stored (Chen et al. 2016).
Unlike transformers' own checkpointing this keeps the cache, so one forward pass can begin an answer and carry a
gradient; and it leaves alone what adapters hook into, so the backward pass may come after they are taken off.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import Cache
from transformers.modeling_layers import GradientCheckpointingLayer


@contextmanager
def recomputed(network: nn.Module) -> Iterator[None]:
    """Within the block, passes that gradients go through store only what enters each layer of a network.

    These are the layers of the language model and of the vision encoder. A layer is left as it is while there are hooks
    inside it, as those of LoRA. Answers and gradients are the same, up to rounding.
    """
    layers = _outermost(network)
    before = [vars(layer).get("forward") for layer in layers]  # accelerate puts its own there
    try:
        for layer in layers:
            layer.forward = _storing_little(layer, layer.forward)
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            if own is None:
                del layer.forward
            else:
                layer.forward = own


@contextmanager
def first_pass_traced(network: nn.Module) -> Iterator[None]:
    """Within the block, gradients pass through the network's first forward pass and through none after it.

    Each later pass of a generation would keep a copy of the keys and values of all tokens.
    """
    traces, passes = torch.is_grad_enabled(), count()

    def switch(*_: Any) -> None:
        torch.set_grad_enabled(traces and next(passes) == 0)

    handle = network.register_forward_pre_hook(switch)
    try:
        with torch.set_grad_enabled(traces):  # restores the mode in the end
            yield
    finally:
        handle.remove()


def _outermost(module: nn.Module) -> list[Any]:
    """Return the layers in a module, without those inside another."""
    if isinstance(module, GradientCheckpointingLayer):
        return [module]
    return [layer for child in module.children() for layer in _outermost(child)]


def _storing_little(layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*given: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled() or _hooked(layer):
            return forward(*given, **named)
        first = [(given, named)]  # popped, so that the cache does not live as long as the graph
        again = (
            tuple(map(_without_cache, given)),
            {name: _without_cache(value) for name, value in named.items()},
        )

        def body() -> Any:
            own, options = first.pop() if first else again
            return forward(*own, **options)

        return checkpoint(body, use_reentrant=False, preserve_rng_state=False)  # dropout is off

    return run


def _without_cache(value: Any) -> Any:
    """Return None for a cache: it was empty before the first run, and the second must not add to it."""
    return None if isinstance(value, Cache) else value


def _hooked(layer: nn.Module) -> bool:
    """Tell whether something hooks into a layer; transformers' own hooks do nothing in a backward pass."""
    hooks = (hook for part in layer.modules() if part is not layer for hook in part._forward_hooks.values())
    return any(not getattr(hook, "__module__", "").startswith("transformers.") for hook in hooks)
