"""Export tuned LoRA in the format of `peft`, for use without vqttt.

As peft documents it, the format has two files: `adapter_config.json` and `adapter_model.safetensors`. The latter holds
`lora_A` (rank, inputs) and `lora_B` (outputs, rank) for each adapted module, by its path under `base_model.model.`.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.tuning.adapters import Adapters
from vqttt.tuning.layers import LoRA
from vqttt.tuning.tuned_file import save_tensors


def export_peft(adapters: Adapters, folder: Path) -> None:
    """Write the first set's LoRA as a folder that `peft.PeftModel.from_pretrained` loads onto the model's network.

    Kernel and norm changes cannot be written in this format; images must still be filtered by the kernel.

    Raises:
        InputError: if the adapters have no LoRA.
    """
    if not adapters.lora:
        raise InputError("these adapters have no LoRA (lora_rank is 0), and peft's format can hold nothing else")
    paths = {module: path for path, module in adapters.model.network.named_modules()}
    by_module: dict[nn.Linear, list[LoRA]] = {}
    for lora in adapters.lora:
        by_module.setdefault(lora.module, []).append(lora)
    tensors = {}
    for module, parts in by_module.items():
        down, up = _whole(module, parts)
        tensors[f"base_model.model.{paths[module]}.lora_A.weight"] = down
        tensors[f"base_model.model.{paths[module]}.lora_B.weight"] = up
    rank = len(next(iter(tensors.values())))
    config = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": adapters.model.name,
        # Full paths, because a pattern of layer numbers would match the language model's layers too. A list, because of
        # a regular expression peft keeps only the last names, where a mixture of experts has been fused.
        "target_modules": [paths[module] for module in by_module],
        "r": rank,
        "lora_alpha": rank,  # peft scales by alpha / r
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / "adapter_model.safetensors", tensors, {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


@torch.no_grad()
def _whole(module: nn.Linear, parts: list[LoRA]) -> tuple[Tensor, Tensor]:
    """Return A and B for a whole linear from the LoRA of its parts; their ranks add up."""
    down = torch.cat([part.down[0] for part in parts]).cpu().contiguous()
    up = torch.zeros(module.out_features, len(down))
    column = 0
    for part in parts:
        outputs, rank = part.up.shape[1:]
        up[part.offset : part.offset + outputs, column : column + rank] = part.up[0].cpu()
        column += rank
    return down, up
