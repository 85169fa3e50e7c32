"""Train the embedded MLLM from scratch: `python -m training.train`.

Three ideas make a small model learn this quickly:

- A linear head on every image token predicts what the token covers. Generated scenes provide these labels for free. At
  first this loss trains the vision tower alone, because a language model learns nothing from an untrained tower. The
  head is discarded after training.
- Several questions are packed behind one image, so it is encoded once. Each attends only to the image and itself.
- The patch embedding starts as the lowest frequencies of a cosine transform instead of noise (see `blueprint`).
"""

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training import data
from training.answers import Answers, Turn
from training.blueprint import SIDE, build_model, build_processor, save
from training.checkpoints import Checkpoints
from training.muon import Muon

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that determines the trained weights, given the data."""

    width: int = 128
    vision_layers: int = 5
    text_layers: int = 3
    batch: int = 48
    turns: int = 6
    steps: int = 6000
    vision_steps: int = 2000
    late_step: int = 4500
    warmup: int = 200
    decay: float = 0.25
    rate: float = 2e-3
    patch_weight: float = 1.0
    seed: int = 0


class Trainer:
    """The model with its patch head, the optimisers and the data. `run` trains, and resumes from a checkpoint."""

    def __init__(self, config: Config, folder: Path) -> None:
        """Prepare training. `folder` holds the data, the checkpoints and the loss curve."""
        self.config = config
        torch.set_flush_denormal(True)  # sharp attention produces denormal numbers, which slow a CPU down
        torch.manual_seed(config.seed)
        self.processor = build_processor(data.vocabulary())
        self.model = build_model(
            self.processor, width=config.width, vision_layers=config.vision_layers, text_layers=config.text_layers
        )
        self.patch_head = nn.Linear(config.width, data.LABELS)
        self.modules = nn.ModuleDict({"model": self.model, "patch_head": self.patch_head})
        matrices = [p for n, p in self.modules.named_parameters() if p.ndim == 2 and ".layers." in n]
        chosen = {id(p) for p in matrices}
        others = [p for p in self.modules.parameters() if id(p) not in chosen]
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.01)
        self.checkpoints = Checkpoints(folder, config, self.modules, {"muon": self.muon, "adam": self.adam})
        self.answers = Answers(self.model, self.processor)
        self.sources = {}
        for name in data.SOURCES:
            pixels, coverage, turns = data.load(folder / "data", name)
            self.sources[name] = (pixels, coverage, [[self.answers.turn(*turn) for turn in asked] for asked in turns])
        self.relations = [
            [self.answers.turn(*turn) for turn in data.relations(i)] for i in range(data.SOURCES["vq-mini"])
        ]

    def run(self) -> None:
        """Train from the newest checkpoint, if there is one, to the last step. Append to the loss curve."""
        first = step = self.checkpoints.resume()
        self.model.tie_weights()
        began = time.time()
        while step < self.config.steps:
            losses = self._step(step)
            step += 1
            if step % 50 == 0:
                row = {
                    "step": step,
                    **{k: round(v, 4) for k, v in losses.items()},
                    "seconds": round(time.time() - began, 1),
                }
                self.checkpoints.log(row)
                left = (time.time() - began) / (step - first) * (self.config.steps - step)
                print(
                    f"step {step}/{self.config.steps} answer {losses['answer']:.3f} patch {losses['patch']:.3f} "
                    f"{left / 60:.0f} min left",
                    flush=True,
                )
            if step % 500 == 0:
                self.checkpoints.save(step)
        self.checkpoints.save(step)

    def _rate(self, step: int) -> float:
        """Return the rate: warm-up (again when the language model joins), constant, then linear decay to zero."""
        c = self.config
        since = step - c.vision_steps if step >= c.vision_steps else step
        return c.rate * min(1.0, (since + 1) / c.warmup, (c.steps - step) / (c.decay * c.steps))

    def _step(self, step: int) -> dict[str, float]:
        rng = np.random.default_rng([self.config.seed, step])
        vision_only = step < self.config.vision_steps
        pixels, coverage, rows = self._batch(rng, step)
        rate = self._rate(step)
        for group in (*self.muon.param_groups, *self.adam.param_groups):
            group["lr"] = rate
        if vision_only:
            self.model.model.vision_tower(pixels)
            answer_loss = torch.zeros(())
        else:
            features = self.model.model.get_image_features(pixel_values=pixels, return_dict=True).pooler_output
            answer_loss = self.answers.loss(torch.stack(list(features)), rows)
        patch_loss = self._patch_loss(coverage)
        (answer_loss + self.config.patch_weight * patch_loss).backward()
        nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
        self.muon.step()
        self.adam.step()
        self.modules.zero_grad(set_to_none=True)
        return {"answer": answer_loss.item(), "patch": patch_loss.item(), "rate": rate}

    def _batch(self, rng: np.random.Generator, step: int) -> tuple[Tensor, Tensor, list[list[Turn]]]:
        pixels, coverage, rows = [], [], []
        late = step >= self.config.late_step
        shares = data.LATE_SHARE if late else data.SHARE
        if step < self.config.vision_steps:
            shares = {"vq-mini": 1.0}
        for name, share in shares.items():
            scenes, cover, turns = self.sources[name]
            chosen = rng.integers(len(scenes), size=round(share * self.config.batch))
            pixels.append(scenes[chosen])
            if cover is not None:
                coverage.append(cover[chosen])
            for index in chosen:
                asked = turns[index]
                picks = rng.permutation(len(asked))[: self.config.turns if name != "digits" else 2]
                rows.append([asked[pick] for pick in picks])
                if late and name == "vq-mini":  # hardest to learn: they need more examples
                    more = self.relations[index]
                    rows[-1] += [more[pick] for pick in rng.permutation(len(more))[:3]]
        images = torch.from_numpy(np.concatenate(pixels)).permute(0, 3, 1, 2).float()
        return (images / 255 - 0.5) / 0.25, torch.from_numpy(np.concatenate(coverage)).float() / 255, rows

    def _patch_loss(self, coverage: Tensor) -> Tensor:
        """Return the patch head's cross-entropy. A small part of an object outweighs the empty rest of a cell."""
        contents = len(data.drawing.CONTENTS)
        logits = self.patch_head(self._vision_states[: len(coverage)])
        loss = torch.zeros(())
        for predicted, covered in (
            (logits[..., :contents], coverage[..., :contents]),
            (logits[..., contents:], coverage[..., contents:]),
        ):
            share = torch.cat([covered[..., :1] * 0.1 + 1e-3, covered[..., 1:]], dim=-1)
            share = share / share.sum(-1, keepdim=True)
            loss = loss - (share * predicted.log_softmax(-1)).sum(-1).mean()
        return loss

    def watch_vision(self) -> None:
        """Keep the vision tower's last hidden states of each forward pass, for the patch head."""

        def keep(module: nn.Module, arguments: tuple, output: object) -> None:
            self._vision_states = (output[0] if isinstance(output, tuple) else output)[:, 1:]

        list(self.model.model.vision_tower.encoder.layers)[-1].register_forward_hook(keep)


def main() -> None:
    """Make the data, train, and write the checkpoint folder into the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "embedded", help="data, checkpoints, loss curve")
    parser.add_argument("--out", type=Path, default=ROOT / "src" / "vqttt" / "embedded", help="checkpoint to write")
    parser.add_argument("--steps", type=int, default=Config.steps)
    parser.add_argument("--width", type=int, default=Config.width)
    parser.add_argument("--rate", type=float, default=Config.rate)
    arguments = parser.parse_args()
    config = Config(steps=arguments.steps, width=arguments.width, rate=arguments.rate)
    data.build(arguments.work / "data")
    trainer = Trainer(config, arguments.work)
    trainer.watch_vision()
    size = sum(p.numel() for p in trainer.model.parameters())
    print(f"{size / 1e6:.2f} M parameters, input {SIDE} px; {asdict(config)}", flush=True)
    trainer.run()
    save(trainer.model, trainer.processor, arguments.out)
    (ROOT / "training" / "curve.jsonl").write_text((arguments.work / "curve.jsonl").read_text())


if __name__ == "__main__":
    main()
