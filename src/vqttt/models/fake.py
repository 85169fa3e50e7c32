"""Models that name a colour, to test everything above the seams in milliseconds: one of each seam."""

import hashlib
import zlib
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from vqttt.models.base import ImageContent, Inputs, LogitGeneration, Model, Shown, TunableModel
from vqttt.models.generation import ListedGeneration
from vqttt.types import Image

WORDS = ("red", "green", "blue", "yes", "no")
_SIDE, _WIDTH = 16, 8


class _Block(nn.Module):
    """Attention over patches, cut to what LoRA needs to find."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(_WIDTH, _WIDTH)
        self.v_proj = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, rows: Tensor) -> Tensor:
        weights = (self.q_proj(rows) @ rows.mT / _WIDTH**0.5).softmax(-1)
        out: Tensor = rows + 0.1 * weights @ self.v_proj(rows)
        return out


class _Network(nn.Module):
    """Patches, three blocks, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, _WIDTH, 4, 4)
        self.blocks = nn.ModuleList([_Block(), _Block(), _Block()])
        self.head = nn.Linear(_WIDTH, len(WORDS))

    def forward(self, pixels: Tensor) -> Tensor:
        rows = self.patches(pixels).flatten(2).mT
        for block in self.blocks:
            rows = block(rows)
        logits: Tensor = self.head(rows.mean(1))
        return logits


class FakeTunableModel(TunableModel):
    """Answers one word: mostly the strongest of the image's mean red, green and blue."""

    def __init__(self, name: str = "fake") -> None:
        """Draw the weights from a fixed seed, without touching torch's global generator."""
        self.name = name
        with torch.random.fork_rng(devices=[]):
            self.network: _Network = _Network()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
            for channel in range(3):  # channel sums pass straight through to the first three words
                self.network.patches.weight[channel, channel] += 1 / 16
                self.network.head.weight[channel, channel] += 4.0
        self.freeze()

    def encode(self, images: Sequence[Image], questions: Sequence[str]) -> Inputs:
        """Encode by striding down to 16 x 16 px; a question becomes a checksum."""
        pixels = np.stack([_shrink(image) for image in images]).astype(np.float32) / 127.5 - 1
        ids = torch.tensor([[zlib.crc32(question.encode()) % 97] for question in questions])
        return Inputs(
            tensors={"pixel_values": torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), "input_ids": ids},
            count=len(questions),
        )

    def pixels(self, inputs: Inputs) -> ImageContent:
        """View the images."""
        pixels = inputs.tensors["pixel_values"]
        return ImageContent(pixels, torch.arange(len(pixels)), None)

    def with_pixels(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Show other images."""
        return inputs.with_tensors(pixel_values=pixels)

    def to_image(self, pixels: Tensor) -> Image:
        """Undo the scaling to -1 .. 1."""
        levels = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return cast("Image", levels.permute(1, 2, 0).numpy())

    def to_pixels(self, image: Image) -> Tensor:
        """Scale to -1 .. 1."""
        return torch.tensor(image).permute(2, 0, 1) / 127.5 - 1

    @property
    def vision_blocks(self) -> Sequence[nn.Module]:
        """Three blocks."""
        return list(self.network.blocks)

    def lora_targets(self, block: nn.Module) -> dict[str, nn.Linear]:
        """Find `q` and `v`."""
        assert isinstance(block, _Block), block
        return {"q": block.q_proj, "v": block.v_proj}

    def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
        """Return (N, 1, 5) logits, repeated over the positions of given answers."""
        logits: Tensor = self.network(inputs.tensors["pixel_values"])[:, None]
        return logits if answers is None else logits.expand(-1, answers.shape[1], -1)

    @torch.no_grad()
    def generate(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        """Answer one word."""
        logits = self.answer_logits(inputs)
        tokens = logits.argmax(-1)
        return LogitGeneration(
            texts=[WORDS[int(token)] for token in tokens[:, 0]],
            tokens=tokens,
            mask=torch.ones_like(tokens, dtype=torch.bool),
            logits=logits,
        )

    def word(self, token: int) -> str:
        """Return one of the five."""
        return WORDS[token]

    def answer_tokens(self, text: str) -> list[int]:
        """Return a token a word; a word that it does not know is one of its own, by checksum."""
        words = text.lower().split()
        return [WORDS.index(w) if w in WORDS else zlib.crc32(w.encode()) % len(WORDS) for w in words]


class FakeModel(Model):
    """Answers one word, the strongest of the image's mean red, green and blue; its insides cannot be reached."""

    def __init__(self, name: str = "fake-plain") -> None:
        """Take a name."""
        self.name = name

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> ListedGeneration:
        """Answer one word, and list the log-probabilities of all three; `no` for a question without an image."""
        texts, likeliest = [], []
        for shown, _ in zip(images, questions, strict=True):
            own = [shown] if isinstance(shown, np.ndarray) else list(shown)
            levels = np.mean([image.mean((0, 1)) for image in own], 0) / 32 if own else np.zeros(3)
            logprobs = levels - np.logaddexp.reduce(levels)
            texts.append(WORDS[int(levels.argmax())] if own else "no")
            likeliest.append([sorted(logprobs.tolist(), reverse=True)])
        return ListedGeneration(texts=texts, chosen=[[of[0][0]] for of in likeliest], likeliest=likeliest)

    def fingerprint(self) -> str:
        """Return a hash of what it can answer."""
        return hashlib.sha256(" ".join(WORDS).encode()).hexdigest()


def _shrink(image: Image) -> Image:
    rows, columns = (np.arange(_SIDE) * size // _SIDE for size in image.shape[:2])
    small: Image = image[rows][:, columns]
    return small
