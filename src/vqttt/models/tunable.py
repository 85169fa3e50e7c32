"""A model that runs in this process, whose pixels, vision blocks and logits can be reached.

Tuning and interpreting need this. Families in transformers derive from `vqttt.models.huggingface.HuggingFaceModel`.
Invariant, tested for every family: under identity adapters the logits equal plain transformers' bit for bit.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Model
from vqttt.models.batch import Given, Inputs, Shown, as_shown, check_asked
from vqttt.models.blocks import Part
from vqttt.models.content import ImageContent
from vqttt.models.decoder import Decoder, ImageTokens
from vqttt.models.generation import LogitGeneration
from vqttt.types import Image

__all__ = [
    "Decoder",
    "ImageContent",
    "ImageTokens",
    "LogitGeneration",
    "Part",
    "TunableModel",
    "forward_hooks",
    "tunable",
]


class TunableModel(Model):
    """An MLLM that gives access to its internals. Its own weights are never changed.

    Attributes:
        network: the module that holds all weights.
        clean_features: file with feature statistics of clean images that came with the model, if there is one (see
            `vqttt.tuning.feature_statistics`).
        together: whether it is known which sample each row of a vision block belongs to (`row_owner`), so that every
            sample of a batch can have LoRA of its own.
    """

    network: nn.Module
    clean_features: Path | None = None
    together = True

    @abstractmethod
    def encode(self, images: Sequence[Any], questions: Sequence[str]) -> Inputs:
        """Encode N samples, one image and one question each, with the family's stock processor and chat template.

        Families in transformers also accept a list of images, or an empty list, in place of an image (see `Shown`).
        A question is text: markers of images and control tokens in it have no effect (see `vqttt.models.questions`).
        """

    @abstractmethod
    def pixels(self, inputs: Inputs) -> ImageContent:
        """Return the images in `inputs`, whatever the family's layout."""

    @abstractmethod
    def with_pixels(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Return `inputs` with other images, of the same shape as `pixels(inputs).pixels`. Gradients pass."""

    @property
    @abstractmethod
    def vision_blocks(self) -> Sequence[nn.Module]:
        """The vision encoder's blocks, shallowest first."""

    @abstractmethod
    def lora_targets(self, block: nn.Module) -> Mapping[str, nn.Linear | Part]:
        """Return the projections of a vision block that LoRA may adapt, by name: `q`, `k` and `v`.

        Each is a linear, or the part of a fused linear that computes it.
        """

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the tensors that do not have one row per sample: name to the sample each row belongs to, (rows,)."""
        return {}

    def select(self, inputs: Inputs, rows: Sequence[int]) -> Inputs:
        """Return a batch of the samples `rows`, in that order; a sample may be repeated."""
        samples = torch.tensor(rows, dtype=torch.long, device=self.device)
        index = {
            key: torch.cat([(owner == n).nonzero()[:, 0] for n in rows]) for key, owner in self.packed(inputs).items()
        }
        return inputs.select(rows).with_tensors(
            **{key: value[index.get(key, samples)] for key, value in inputs.tensors.items()}
        )

    def row_owner(self, inputs: Inputs) -> Tensor:
        """Return the sample that each row of a vision block's input belongs to, (rows,).

        By default a row is an image.
        """
        return self.pixels(inputs).owner

    @abstractmethod
    def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
        """Return the logits at the answer's first position, (N, 1, V), or at all positions of given answers (N, T)."""

    def batch_of(self, images: Sequence[Given], questions: Sequence[str]) -> Inputs:
        """Encode a batch, and keep what it was made of (see `Model.batch_of`)."""
        check_asked(images, questions)
        shown = as_shown(images)
        return replace(self.encode(shown, questions), images=shown, questions=tuple(questions))

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> LogitGeneration:
        """Encode, then generate (see `Model.answer`)."""
        return self.generate(self.batch_of(images, questions), max_new_tokens)

    def ask(
        self, images: Sequence[Given], questions: Sequence[str], max_new_tokens: int
    ) -> tuple[Inputs, LogitGeneration]:
        """Encode, then generate (see `Model.ask`)."""
        inputs = self.batch_of(images, questions)
        return inputs, self.generate(inputs, max_new_tokens)

    @abstractmethod
    def generate(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        """Answer greedily."""

    def generate_with_gradient(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        """Answer greedily; gradients pass through the logits at the answer's first position.

        This default runs the prompt twice. Families in transformers need only one pass.
        """
        logits = self.answer_logits(inputs)
        answers = self.generate(inputs, max_new_tokens)
        return replace(answers, logits=torch.cat([logits, answers.logits[:, 1:]], dim=1))

    @contextmanager
    def checkpointed(self) -> Iterator[None]:
        """Within the block, passes that gradients go through leave it to the backward pass to recompute activations.

        The default changes nothing.
        """
        yield

    @abstractmethod
    def answer_tokens(self, text: str) -> list[int]:
        """Return the tokens of an answer's text, without the special tokens that begin or end an answer."""

    def word(self, token: int) -> str:
        """Return the text of a token of the vocabulary; by default its number."""
        return str(token)

    @property
    def decoder(self) -> Decoder:
        """The parts of the language model, for analyses.

        Raises:
            InputError: if the family does not expose them.
        """
        raise InputError(f"{self.name} does not expose its language model, so it cannot be analysed")

    def image_tokens(self, inputs: Inputs) -> ImageTokens:
        """Return which tokens are image tokens, and which part of an image each one covers.

        Raises:
            InputError: if the family does not expose this, or no sample has an image.
        """
        raise InputError(f"{self.name} does not expose which of its tokens are images")

    @abstractmethod
    def to_image(self, pixels: Tensor) -> Image:
        """Undo the normalisation of an image (3, H, W).

        Raises:
            ModelError: if a value is not finite; it would become black without a word.
        """

    @abstractmethod
    def to_pixels(self, image: Image) -> Tensor:
        """Normalise an image, as (3, H, W); the inverse of `to_image`, up to rounding."""

    def fingerprint(self) -> str:
        """Return the SHA-256 of the names, shapes, types and values of all weights."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().contiguous().cpu().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.network.parameters()).device

    @property
    def device_type(self) -> str:
        """The type of the weights' device, such as `cpu` or `cuda`."""
        return self.device.type

    def freeze(self) -> None:
        """Put the network in evaluation mode and exclude its weights from gradients."""
        self.network.eval().requires_grad_(False)


def tunable(model: Model, purpose: str) -> TunableModel:
    """Return the model if it is a `TunableModel`.

    Raises:
        InputError: if it is not. The message begins with `purpose`, which names what needs one: "`vqttt analyse`".
    """
    if not isinstance(model, TunableModel):
        reason = f": {model.untunable}" if model.untunable else ""
        raise InputError(f"{purpose} needs access to the model's internals, which {model.name} does not give{reason}")
    return model


@contextmanager
def forward_hooks(hooks: Sequence[tuple[nn.Module, Any]]) -> Iterator[None]:
    """Attach forward hooks to modules within a `with` block."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
