"""Find a network's vision blocks and their query, key and value projections by the names that transformers uses."""

from dataclasses import dataclass

from torch import nn

_TOWERS = ("vision_tower", "vision_model", "visual")
_TARGETS = {
    "q": ("q_proj", "query", "query_proj", "wq", "to_q", "q"),
    "k": ("k_proj", "key", "key_proj", "wk", "to_k", "k"),
    "v": ("v_proj", "value", "value_proj", "wv", "to_v", "v"),
}
_FUSED = ("qkv", "query_key_value", "qkv_proj", "wqkv")
_OUTPUT = ("out_proj", "o_proj", "proj", "dense", "wo", "to_out")


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
    """Return a block's projections by the names `q`, `k` and `v`: separate linears, or parts of a fused one.

    The parts come in this order. The query is as wide as the input of the attention's output projection; the rest is
    shared by key and value, which may have fewer heads.
    """
    linears = {_name(path): m for path, m in block.named_modules() if isinstance(m, nn.Linear)}
    for name in _FUSED:
        if name in linears:
            whole = linears[name].out_features
            query = next((linears[out].in_features for out in _OUTPUT if out in linears), whole // 3)
            other = (whole - query) // 2
            widths = {"q": (0, query), "k": (query, other), "v": (query + other, other)}
            return {short: Part(linears[name], start, width) for short, (start, width) in widths.items()}
    return {short: linears[name] for short, names in _TARGETS.items() for name in names if name in linears}


def _name(path: str) -> str:
    """Return the name of a linear; that of its wrapper if it is only called `linear`."""
    names = path.removesuffix(".linear").rsplit(".", 1)
    return names[-1]
