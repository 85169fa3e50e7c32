"""Train twins of the embedded MLLM: `python -m training.twins` (`make train-twins`).

A twin goes on training from the weights of `embedded`, on images of one quality (see `qualities`). Twins of the same
seed see the same scenes, questions, order and number of steps; only what was done to the images differs. So a
difference between twins is due to the quality of their training images. `plain`, whose images are left as they are,
shows what the additional training alone does.
"""

import argparse
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoProcessor

from training import twin_data
from training.answers import Answers, Turn
from training.blueprint import save
from training.checkpoints import Checkpoints
from training.features import measure_features
from training.qualities import QUALITIES
from vqttt.models import EMBEDDED, TWINS

ROOT = Path(__file__).resolve().parent.parent
SEEDS = {"soft": (0, 1, 2), "web": (0,), "plain": (0,), "noisy": (0,), "dark": (0,)}
"""The seeds of each quality that are trained by default; those of seed 0 in `TWINS` ship with the package."""

EVERY = 100
"""Steps between two checkpoints."""


@dataclass(frozen=True, kw_only=True)
class TwinConfig:
    """Everything that determines a twin's weights."""

    quality: str
    seed: int = 0
    batch: int = 32
    turns: int = 4
    steps: int = 400
    warmup: int = 20
    rate: float = 1e-3

    @property
    def name(self) -> str:
        """The name of the twin's folders."""
        return f"{self.quality}-{self.seed}"


class TwinTrainer:
    """A twin in training; `run` starts, or resumes from the newest checkpoint."""

    def __init__(self, config: TwinConfig, data: Path, folder: Path) -> None:
        """Prepare training; `folder` holds the checkpoints and the curve."""
        torch.set_flush_denormal(True)
        self.config = config
        self.processor = AutoProcessor.from_pretrained(EMBEDDED)
        self.model = AutoModelForImageTextToText.from_pretrained(EMBEDDED, dtype=torch.float32).train()
        self.answers = Answers(self.model, self.processor)
        self.adam = torch.optim.AdamW(self.model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
        self.checkpoints = Checkpoints(folder, config, self.model, {"adam": self.adam})
        self.pixels, self.turns = twin_data.load(data, config.quality, config.seed, config.batch * config.steps)

    def run(self) -> None:
        """Train to the last step, and log the curve."""
        steps, began = self.config.steps, time.time()
        first = self.checkpoints.resume()
        self.model.tie_weights()
        for step in range(first, steps):
            loss = self._step(step)
            if (step + 1) % 20 == 0 or step + 1 == steps:
                self.checkpoints.log({"step": step + 1, "answer": round(loss, 4)})
            if (step + 1) % EVERY == 0:
                self.checkpoints.save(step + 1)
                left = (time.time() - began) / (step + 1 - first) * (steps - step - 1)
                print(f"{self.config.name}: step {step + 1}/{steps}, loss {loss:.3f}, {left:.0f} s left", flush=True)

    def _step(self, step: int) -> float:
        c = self.config
        for group in self.adam.param_groups:
            group["lr"] = c.rate * min(1.0, (step + 1) / c.warmup, (c.steps - step) / c.steps)
        pixels, rows = self._batch(step)
        features = self.model.model.get_image_features(pixel_values=pixels, return_dict=True).pooler_output
        loss = self.answers.loss(torch.stack(list(features)), rows)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.adam.step()
        self.model.zero_grad(set_to_none=True)
        return loss.item()

    def _batch(self, step: int) -> tuple[Tensor, list[list[Turn]]]:
        part = slice(step * self.config.batch, (step + 1) * self.config.batch)
        rng = np.random.default_rng([self.config.seed, step])
        rows = [
            [self.answers.turn(*asked[pick]) for pick in rng.permutation(len(asked))[: self.config.turns]]
            for asked in self.turns[part]
        ]
        pixels = torch.from_numpy(self.pixels[part]).permute(0, 3, 1, 2).float()
        return (pixels / 255 - 0.5) / 0.25, rows


def train(config: TwinConfig, work: Path, out: Path) -> Path:
    """Train a twin unless it is there; return its checkpoint folder.

    Args:
        config: what to train.
        work: folder of data and checkpoints.
        out: folder that gets a folder for the twin.
    """
    folder = out / config.name
    if (folder / "model.safetensors").exists():
        return folder
    torch.set_num_threads(1)  # one twin per core is faster than one twin on all
    torch.manual_seed(config.seed)
    trainer = TwinTrainer(config, work / "data", work / config.name)
    trainer.run()
    write(trainer, folder)
    trainer.checkpoints.clear()
    return folder


def write(trainer: TwinTrainer, folder: Path) -> None:
    """Write the twin's checkpoint folder, with its curve; it appears whole or not at all."""
    partial_folder = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial_folder, ignore_errors=True)
    save(trainer.model, trainer.processor, partial_folder)
    measure_features(partial_folder, QUALITIES[trainer.config.quality])
    shutil.copy(trainer.checkpoints.curve, partial_folder / "curve.jsonl")
    shutil.rmtree(folder, ignore_errors=True)
    partial_folder.rename(folder)


def main() -> None:
    """Make the data, train what is missing, and copy the twins that ship into the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quality", action="append", choices=QUALITIES, help="only this one; may be repeated")
    parser.add_argument("--seed", action="append", type=int, help="only this one; may be repeated")
    parser.add_argument("--workers", type=int, default=2, help="twins trained at a time, each on one core [2]")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "twins", help="data and checkpoints")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "twins", help="trained twins [runs/twins]")
    arguments = parser.parse_args()
    configs = [
        TwinConfig(quality=quality, seed=seed)
        for quality in arguments.quality or SEEDS
        for seed in arguments.seed or SEEDS[quality]
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for config in configs:
        if not (arguments.out / config.name).exists():
            count = config.batch * config.steps
            twin_data.build(arguments.work / "data", config.quality, config.seed, count, arguments.workers)
    with ProcessPoolExecutor(arguments.workers) as pool:
        made = list(pool.map(partial(train, work=arguments.work, out=arguments.out), configs))
    for config, folder in zip(configs, made, strict=True):
        if config.seed == 0 and config.quality in TWINS:
            shutil.copytree(folder, TWINS[config.quality], dirs_exist_ok=True)
            print(f"{folder} -> {TWINS[config.quality]}")


if __name__ == "__main__":
    main()
