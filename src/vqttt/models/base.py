"""The seam to a model family: all that test-time tuning needs of an MLLM, and nothing else.

A family that lives in transformers derives from `HuggingFaceModel` and says where its pictures and its vision blocks
are. Invariant, tested for every family: under identity adapters the logits equal plain transformers' bit for bit.
"""

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor, nn

from vqttt.types import Image


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """An encoded batch, ready for the model.

    Attributes:
        tensors: the keyword arguments of the model's forward; token tensors are left-padded, (N, L).
        count: number of samples, N.
        groups: each sample's type of question, where it is known; no model sees it.
        options: each sample's options, empty for an open question; the question has them as well, if a model is to see
            them.
    """

    tensors: dict[str, Tensor]
    count: int
    groups: tuple[str, ...] = ()
    options: tuple[tuple[str, ...], ...] = ()

    def with_tensors(self, **changed: Tensor) -> "Inputs":
        """Return the same batch with some tensors replaced."""
        return replace(self, tensors={**self.tensors, **changed})


class Pictures(NamedTuple):
    """The image content of a batch, viewed as pictures whatever layout the family uses.

    `pixels` is (P, 3, H, W), normalised; `owner` (P,) says which sample a picture belongs to; `mask`, (P, 1, H, W), is
    True where there is content and False on padding, which must stay what it was; None where nothing is padding.
    """

    pixels: Tensor
    owner: Tensor
    mask: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Greedy answers with the distributions they came from.

    Attributes:
        texts: N answers, without special tokens, stripped.
        tokens: (N, T), the end token included, padded on the right.
        mask: (N, T), True on an answer's tokens.
        logits: (N, T, V) in float32.
    """

    texts: list[str]
    tokens: Tensor
    mask: Tensor
    logits: Tensor

    def select(self, rows: Sequence[int]) -> "Generation":
        """Return some of the answers."""
        chosen = list(rows)
        return Generation(
            texts=[self.texts[n] for n in chosen],
            tokens=self.tokens[chosen],
            mask=self.mask[chosen],
            logits=self.logits[chosen],
        )


class Model(ABC):
    """An MLLM behind the seam; its own weights are frozen for good."""

    name: str
    network: nn.Module
    clean_features: Path | None = None
    """Statistics of clean pictures' features that came with the model (see `vqttt.features`), if any did."""

    @abstractmethod
    def encode(self, images: Sequence[Image], questions: Sequence[str]) -> Inputs:
        """Encode N pictures with a question each, by the family's stock processor and chat template."""

    @abstractmethod
    def pixels(self, inputs: Inputs) -> Pictures:
        """View the image content of `inputs` as pictures."""

    @abstractmethod
    def with_pixels(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Return `inputs` showing other pictures, shaped as `pixels(inputs).pixels` was; gradients pass."""

    @property
    @abstractmethod
    def vision_blocks(self) -> Sequence[nn.Module]:
        """The vision encoder's blocks, shallowest first."""

    @abstractmethod
    def lora_targets(self, block: nn.Module) -> dict[str, nn.Linear]:
        """Name the linears of a vision block that LoRA may adapt: `q` and `v` where they are apart."""

    def select(self, inputs: Inputs, rows: Sequence[int]) -> Inputs:
        """Return the batch of some samples of a batch; by default every tensor has a row a sample."""
        index = torch.tensor(rows, device=self.device)
        return Inputs(
            tensors={key: value[index] for key, value in inputs.tensors.items()},
            count=len(rows),
            groups=tuple(inputs.groups[n] for n in rows) if inputs.groups else (),
            options=tuple(inputs.options[n] for n in rows) if inputs.options else (),
        )

    def row_owner(self, inputs: Inputs) -> Tensor:
        """Say which sample each row of a vision block's input belongs to; by default a row is a picture."""
        return self.pixels(inputs).owner

    @abstractmethod
    def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
        """Return the logits at the answer's first position, (N, 1, V), or, given answers (N, T), at all T of them."""

    @abstractmethod
    def generate(self, inputs: Inputs, max_new_tokens: int) -> Generation:
        """Answer greedily."""

    def generate_with_gradient(self, inputs: Inputs, max_new_tokens: int) -> Generation:
        """Answer greedily; gradients pass through the logits at the answer's first position.

        A family that generates by transformers does it in one pass over the prompt; this does in two.
        """
        logits = self.answer_logits(inputs)
        answers = self.generate(inputs, max_new_tokens)
        return replace(answers, logits=torch.cat([logits, answers.logits[:, 1:]], dim=1))

    @abstractmethod
    def answer_tokens(self, text: str) -> list[int]:
        """Return the tokens of a text as an answer, without those that begin or end one."""

    @abstractmethod
    def to_image(self, pixels: Tensor) -> Image:
        """Turn a normalised picture (3, H, W) back into one to look at."""

    @abstractmethod
    def to_pixels(self, image: Image) -> Tensor:
        """Turn a picture to look at into a normalised one, (3, H, W); undoes `to_image` but for rounding."""

    def fingerprint(self) -> str:
        """Return a SHA-256 over the names and values of all weights."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().contiguous().cpu().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    def freeze(self) -> None:
        """Put the model in evaluation mode and stop gradients to its own weights."""
        self.network.eval().requires_grad_(False)


class HuggingFaceModel(Model):
    """What all families in transformers share: the processor, teacher forcing and generation."""

    def __init__(self, name: str, network: Any, processor: Any) -> None:
        """Wrap a loaded `network` and its `processor`."""
        self.name, self.network, self.processor = name, network, processor
        processor.tokenizer.padding_side = "left"
        self.freeze()

    def encode(self, images: Sequence[Image], questions: Sequence[str]) -> Inputs:
        """Encode N pictures with a question each (see `Model.encode`)."""
        batch = self.processor(
            # As Pillow pictures, for of a tiny array a processor may take the height for the channels.
            images=[PILImage.fromarray(image) for image in images],
            text=[self.prompt(question) for question in questions],
            return_tensors="pt",
            padding=True,
        )
        tensors = {key: value.to(self.device) for key, value in batch.items()}
        tensors["pixel_values"] = tensors["pixel_values"].to(next(self.network.parameters()).dtype)
        return Inputs(tensors=tensors, count=len(questions))

    def prompt(self, question: str) -> str:
        """Put a question about one picture into the model's chat template."""
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
        return str(self.processor.apply_chat_template(chat, add_generation_prompt=True))

    def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
        """Run one forward pass that projects to the vocabulary only where the answer is (see `Model.answer_logits`)."""
        tensors = inputs.tensors
        keep = 1
        if answers is not None:
            keep = answers.shape[1]
            given = answers[:, :-1]
            tensors = {
                **tensors,
                "input_ids": torch.cat([tensors["input_ids"], given], dim=1),
                "attention_mask": torch.cat([tensors["attention_mask"], torch.ones_like(given)], dim=1),
            }
        logits: Tensor = self.network(**tensors, use_cache=False, logits_to_keep=keep).logits
        return logits.float()

    @torch.no_grad()
    def generate(self, inputs: Inputs, max_new_tokens: int) -> Generation:
        """Answer greedily through transformers' own `generate`."""
        return self._generate(self.network.generate, inputs, max_new_tokens)

    def generate_with_gradient(self, inputs: Inputs, max_new_tokens: int) -> Generation:
        """Answer greedily through transformers' own `generate`, less the decorators, which stop gradients."""
        traced = partial(inspect.unwrap(type(self.network).generate), self.network)  # type: ignore[attr-defined]
        return self._generate(traced, inputs, max_new_tokens)

    def _generate(self, generate: Any, inputs: Inputs, max_new_tokens: int) -> Generation:
        out = generate(
            **inputs.tensors,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            output_logits=True,
            return_dict_in_generate=True,
        )
        tokens = out.sequences[:, -len(out.logits) :]
        ended = torch.isin(tokens, torch.tensor(self._end_tokens(), device=tokens.device)).long()
        mask = (ended.cumsum(1) - ended) == 0  # True up to and including the first end token
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return Generation(
            texts=[text.strip() for text in texts],
            tokens=tokens,
            mask=mask,
            logits=torch.stack(out.logits, dim=1).float(),
        )

    def answer_tokens(self, text: str) -> list[int]:
        """Return the tokenizer's, no special ones among them."""
        tokens: list[int] = self.processor.tokenizer(text, add_special_tokens=False).input_ids
        return tokens

    def to_image(self, pixels: Tensor) -> Image:
        """Undo the image processor's normalisation, clipped to what a picture can show."""
        mean, std = (values.to(pixels.device) for values in self._normalisation())
        image: Image = (
            ((pixels.float() * std + mean).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        )
        return image

    def to_pixels(self, image: Image) -> Tensor:
        """Apply the image processor's normalisation alone."""
        mean, std = self._normalisation()
        return (torch.tensor(image).permute(2, 0, 1).float() / 255 - mean) / std

    def _normalisation(self) -> tuple[Tensor, Tensor]:
        stats = self.processor.image_processor
        mean, std = (torch.tensor(values)[:, None, None] for values in (stats.image_mean, stats.image_std))
        return mean, std

    def _end_tokens(self) -> list[int]:
        configured: Any = self.network.generation_config
        return [int(token) for token in np.atleast_1d(configured.eos_token_id)]


@contextmanager
def forward_hooks(hooks: Sequence[tuple[nn.Module, Any]]) -> Iterator[None]:
    """Attach forward hooks for the length of a `with` block."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
