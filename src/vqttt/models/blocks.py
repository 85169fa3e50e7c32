"""Find a network's vision blocks and their query, key and value projections by the names that transformers uses."""

from dataclasses import dataclass

from torch import nn

_TOWERS = ("vision_tower", "vision_model", "visual")
_TARGETS = {
    "q": ("q_proj", "query"),
    "k": ("k_proj", "key"),
    "v": ("v_proj", "value"),
}
_FUSED = ("qkv", "query_key_value")


@dataclass(frozen=True)
class Part:
    """One projection of a fused linear: its outputs from `start` to `start + out_features`."""

    linear: nn.Linear
    start: int
    out_features: int

    @property
    def in_features(self) -> int:
        """Width of the input, that of the whole linear."""
        return self.linear.in_features


def find_blocks(network: nn.Module) -> list[nn.Module]:
    """Return the vision encoder's blocks, shallowest first: its longest list of modules.

    Raises:
        ValueError: if the network has no vision encoder with a name that transformers uses.
    """
    towers = [module for path, module in network.named_modules() if path.rsplit(".", 1)[-1] in _TOWERS]
    lists = [list(module) for tower in towers[:1] for module in tower.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise ValueError(f"{type(network).__name__} has no vision encoder among {', '.join(_TOWERS)}")
    return max(lists, key=len)


def find_targets(block: nn.Module) -> dict[str, nn.Linear | Part]:
    """Return a block's projections by the names `q`, `k` and `v`: separate linears, or thirds of a fused one."""
    linears = {path.rsplit(".", 1)[-1]: m for path, m in block.named_modules() if isinstance(m, nn.Linear)}
    for name in _FUSED:
        if name in linears:
            width = linears[name].out_features // 3
            return {short: Part(linears[name], n * width, width) for n, short in enumerate(_TARGETS)}
    return {short: linears[name] for short, names in _TARGETS.items() for name in names if name in linears}
