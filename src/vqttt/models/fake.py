"""Fake models that name a colour, one for each interface: code that uses models is tested on them in milliseconds."""

import hashlib
import zlib
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from vqttt.images.files import as_image
from vqttt.models.base import Inputs, Model, Shown
from vqttt.models.batch import as_shown, listed
from vqttt.models.content import check_finite
from vqttt.models.generation import ListedGeneration
from vqttt.models.questions import without_markers
from vqttt.models.tunable import ImageContent, LogitGeneration, TunableModel
from vqttt.types import Image

WORDS = ("red", "green", "blue", "yes", "no")
_SIDE, _WIDTH = 16, 8


class _Block(nn.Module):
    """Attention over patches, with the two projections that LoRA needs."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(_WIDTH, _WIDTH)
        self.v_proj = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, rows: Tensor) -> Tensor:
        weights = (self.q_proj(rows) @ rows.mT / _WIDTH**0.5).softmax(-1)
        out: Tensor = rows + 0.1 * weights @ self.v_proj(rows)
        return out


class _Network(nn.Module):
    """Patch embedding, three blocks and a head."""

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
    """Answers one word: usually the colour, red, green or blue, with the largest mean in the image."""

    def __init__(self, name: str = "fake") -> None:
        """Draw the weights from a fixed seed, without touching torch's global generator."""
        self.name = name
        with torch.random.fork_rng(devices=[]):
            self.network: _Network = _Network()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
            for channel in range(3):  # the sum of each colour channel goes straight to the logit of its word
                self.network.patches.weight[channel, channel] += 1 / 16
                self.network.head.weight[channel, channel] += 4.0
        self.freeze()

    def encode(self, images: Sequence[Image], questions: Sequence[str]) -> Inputs:
        """Subsample images to 16 x 16 pixels; replace each question by a checksum."""
        pixels = np.stack([_shrink(image) for image in images]).astype(np.float32) / 127.5 - 1
        ids = torch.tensor([[zlib.crc32(question.encode()) % 97] for question in map(without_markers, questions)])
        return Inputs(
            tensors={"pixel_values": torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), "input_ids": ids},
            count=len(questions),
        )

    def pixels(self, inputs: Inputs) -> ImageContent:
        """Return the images, one per sample."""
        pixels = inputs.tensors["pixel_values"]
        return ImageContent(pixels, torch.arange(len(pixels)), None)

    def with_pixels(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Replace the images."""
        return inputs.with_tensors(pixel_values=pixels)

    def to_image(self, pixels: Tensor) -> Image:
        """Scale from -1 to 1 back to 0 to 255."""
        check_finite(pixels)
        levels = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return cast("Image", levels.permute(1, 2, 0).numpy())

    def to_pixels(self, image: Image) -> Tensor:
        """Scale to -1 to 1."""
        return torch.tensor(image).permute(2, 0, 1) / 127.5 - 1

    @property
    def vision_blocks(self) -> Sequence[nn.Module]:
        """The three blocks."""
        return list(self.network.blocks)

    def lora_targets(self, block: nn.Module) -> dict[str, nn.Linear]:
        """Return the projections `q` and `v`."""
        assert isinstance(block, _Block), block
        return {"q": block.q_proj, "v": block.v_proj}

    def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
        """Return the logits of the five words, (N, 1, 5), repeated over the positions of given answers."""
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
        """Return one of the five words."""
        return WORDS[token]

    def piece(self, token: int) -> str:
        """Return one of the five words."""
        return WORDS[token]

    def answer_tokens(self, text: str) -> list[int]:
        """Return one token per word; an unknown word becomes a known one, chosen by checksum."""
        words = text.lower().split()
        return [WORDS.index(w) if w in WORDS else zlib.crc32(w.encode()) % len(WORDS) for w in words]


class FakeModel(Model):
    """Answers one word: the colour, red, green or blue, with the largest mean in the image. It cannot be tuned."""

    def __init__(self, name: str = "fake-plain") -> None:
        """Store the name."""
        self.name = name

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> ListedGeneration:
        """Answer one colour and list the log-probabilities of all three; answer `no` to a question without image."""
        texts, likeliest = [], []
        for shown, _ in zip(as_shown(images), questions, strict=True):
            own = listed(shown)
            levels = np.mean([image.mean((0, 1)) for image in own], 0) / 32 if own else np.zeros(3)
            logprobs = levels - np.logaddexp.reduce(levels)
            texts.append(WORDS[int(levels.argmax())] if own else "no")
            likeliest.append([sorted(logprobs.tolist(), reverse=True)])
        return ListedGeneration(texts=texts, chosen=[[of[0][0]] for of in likeliest], likeliest=likeliest)

    def fingerprint(self) -> str:
        """Return a hash of its words, for it has no weights."""
        return hashlib.sha256(" ".join(WORDS).encode()).hexdigest()


def _shrink(image: Image) -> Image:
    """Subsample an image to 16 x 16 pixels."""
    image = as_image(image)
    rows, columns = (np.arange(_SIDE) * size // _SIDE for size in image.shape[:2])
    small: Image = image[rows][:, columns]
    return small
