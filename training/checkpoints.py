"""Checkpoints of a training run: weights, optimisers and the loss curve, so that it can be stopped and resumed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn


class Checkpoints:
    """The newest two checkpoints of a run, and its curve in `curve.jsonl`."""

    def __init__(
        self, folder: Path, config: Any, modules: nn.Module, optimisers: Mapping[str, torch.optim.Optimizer]
    ) -> None:
        """Keep checkpoints in `folder`; `config`, a dataclass, is stored with them and must agree to resume."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.config = folder, asdict(config)
        self.modules, self.optimisers = modules, optimisers
        self.curve = folder / "curve.jsonl"

    def log(self, row: Mapping[str, float]) -> None:
        """Append a row to the curve; it has a `step`."""
        with self.curve.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def save(self, step: int) -> None:
        """Write a checkpoint, and drop all but the last two."""
        # The language model's head is the embedding of its words, which is stored once.
        state = {f"modules.{k}": v for k, v in self.modules.state_dict().items() if not k.endswith("lm_head.weight")}
        for name, optimiser in self.optimisers.items():
            for index, values in optimiser.state_dict()["state"].items():
                state |= {f"{name}.{index}.{k}": torch.as_tensor(v) for k, v in values.items()}
        partial = self.folder / "checkpoint.part"
        whole = {k: v.contiguous().clone() for k, v in state.items()}
        save_file(whole, partial, metadata={"config": json.dumps(self.config)})
        partial.rename(self.folder / f"checkpoint-{step:06d}.safetensors")
        self._drop(keep=2)

    def resume(self) -> int:
        """Return to the newest checkpoint, if there is one; return its step, or 0."""
        found = self._found()
        if not found:
            self.curve.unlink(missing_ok=True)
            return 0
        newest, step = found[-1], int(found[-1].stem.split("-")[1])
        with safe_open(newest, "pt") as file:
            made_by = json.loads(file.metadata()["config"])
        assert made_by == self.config, f"{newest} was made with {made_by}; move {self.folder} away to start again"
        # Steps after the checkpoint are repeated, so drop their rows.
        rows = [json.loads(line) for line in self.curve.read_text().splitlines()] if self.curve.exists() else []
        kept = {row["step"]: row for row in rows if row["step"] <= step}
        self.curve.write_text("".join(json.dumps(row) + "\n" for row in kept.values()))
        self._load(load_file(newest))
        return step

    def clear(self) -> None:
        """Drop all checkpoints, once the weights have been written where they belong."""
        self._drop(keep=0)

    def _load(self, state: Mapping[str, torch.Tensor]) -> None:
        weights = {k.removeprefix("modules."): v for k, v in state.items() if k.startswith("modules.")}
        self.modules.load_state_dict(weights, strict=False)
        for name, optimiser in self.optimisers.items():
            kept = optimiser.state_dict()
            for key, value in state.items():
                if key.startswith(f"{name}."):
                    _, index, field = key.split(".")
                    kept["state"].setdefault(int(index), {})[field] = value
            optimiser.load_state_dict(kept)

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoint-*.safetensors"))

    def _drop(self, keep: int) -> None:
        found = self._found()
        for old in found[: len(found) - keep]:
            old.unlink()
