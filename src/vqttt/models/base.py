"""The seam to a model, in two widths.

`Model`: images and questions in; texts and the probabilities of their tokens out. All that a study, restorers and
forward-only methods need; a model behind somebody's server can offer it.

`TunableModel`: a model whose insides can be reached: all that tuning and interpreting need besides. A family that lives
in transformers derives from `vqttt.models.huggingface.HuggingFaceModel`. Invariant, tested for every family: under
identity adapters the logits equal plain transformers' bit for bit.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.batch import Inputs, Shown
from vqttt.models.blocks import Part
from vqttt.models.content import ImageContent
from vqttt.models.decoder import Decoder, ImageTokens
from vqttt.models.generation import Generation, LogitGeneration
from vqttt.types import Image

__all__ = [
    "Decoder",
    "Generation",
    "ImageContent",
    "ImageTokens",
    "Inputs",
    "LogitGeneration",
    "Model",
    "Part",
    "Shown",
    "TunableModel",
    "forward_hooks",
    "tunable",
]


class Model(ABC):
    """An MLLM that answers questions about images.

    Attributes:
        name: what records call it.
    """

    name: str

    @abstractmethod
    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> Generation:
        """Answer N questions greedily, each about an image, several or none (see `Shown`)."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return what tells this model from any other, whatever its name: a hash of its weights, where it has them."""

    def ask(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> tuple[Inputs, Generation]:
        """Answer as `answer` does; also return the batch as a method takes it."""
        return Inputs(tensors={}, count=len(questions)), self.answer(images, questions, max_new_tokens)

    @property
    def device_type(self) -> str:
        """The kind of device that the model runs on, such as `cpu` or `cuda`; `remote` where it cannot be known."""
        return "remote"


class TunableModel(Model):
    """An MLLM whose insides can be reached; its own weights are frozen for good.

    Attributes:
        network: all of its weights.
        clean_features: statistics of clean images' features that came with the model, if any did (see
            `vqttt.tuning.feature_statistics`).
    """

    network: nn.Module
    clean_features: Path | None = None

    @abstractmethod
    def encode(self, images: Sequence[Any], questions: Sequence[str]) -> Inputs:
        """Encode N images with a question each, by the family's stock processor and chat template.

        Families of transformers take in place of an image a list of several, or an empty one (see `Shown`).
        """

    @abstractmethod
    def pixels(self, inputs: Inputs) -> ImageContent:
        """View the image content of `inputs` as images."""

    @abstractmethod
    def with_pixels(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Return `inputs` with other images, shaped as `pixels(inputs).pixels` was; gradients pass."""

    @property
    @abstractmethod
    def vision_blocks(self) -> Sequence[nn.Module]:
        """The vision encoder's blocks, shallowest first."""

    @abstractmethod
    def lora_targets(self, block: nn.Module) -> Mapping[str, nn.Linear | Part]:
        """Name what LoRA may adapt in a vision block: `q`, `k` and `v`, linears or the parts of a fused one."""

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Name the tensors that have no row a sample, with the sample that each of their rows belongs to."""
        return {}

    def select(self, inputs: Inputs, rows: Sequence[int]) -> Inputs:
        """Return the batch of some samples of a batch, in the order of `rows`, which may repeat."""
        samples = torch.tensor(rows, dtype=torch.long, device=self.device)
        index = {
            key: torch.cat([(owner == n).nonzero()[:, 0] for n in rows]) for key, owner in self.packed(inputs).items()
        }
        return Inputs(
            tensors={key: value[index.get(key, samples)] for key, value in inputs.tensors.items()},
            count=len(rows),
            groups=tuple(inputs.groups[n] for n in rows) if inputs.groups else (),
            shown=tuple(inputs.shown[n] for n in rows) if inputs.shown else (),
            options=tuple(inputs.options[n] for n in rows) if inputs.options else (),
        )

    def row_owner(self, inputs: Inputs) -> Tensor:
        """Say which sample each row of a vision block's input belongs to; by default a row is an image."""
        return self.pixels(inputs).owner

    @abstractmethod
    def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
        """Return the logits at the answer's first position, (N, 1, V), or, given answers (N, T), at all T of them."""

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> LogitGeneration:
        """Encode, then generate (see `Model.answer`)."""
        return self.ask(images, questions, max_new_tokens)[1]

    def ask(
        self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int
    ) -> tuple[Inputs, LogitGeneration]:
        """Encode, then generate (see `Model.ask`)."""
        inputs = self.encode(images, questions)
        return inputs, self.generate(inputs, max_new_tokens)

    @abstractmethod
    def generate(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        """Answer greedily."""

    def generate_with_gradient(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        """Answer greedily; gradients pass through the logits at the answer's first position.

        A family that generates by transformers does it in one pass over the prompt; this does in two.
        """
        logits = self.answer_logits(inputs)
        answers = self.generate(inputs, max_new_tokens)
        return replace(answers, logits=torch.cat([logits, answers.logits[:, 1:]], dim=1))

    @contextmanager
    def checkpointed(self) -> Iterator[None]:
        """Within the block, a backward pass recomputes the language model's activations instead of keeping them.

        By default nothing is saved.
        """
        yield

    @abstractmethod
    def answer_tokens(self, text: str) -> list[int]:
        """Return the tokens of a text as an answer, without those that begin or end one."""

    def word(self, token: int) -> str:
        """Return a token of the vocabulary as text; by default its number."""
        return str(token)

    @property
    def decoder(self) -> Decoder:
        """The language model, opened up for analyses.

        Raises:
            InputError: if the family does not expose it.
        """
        raise InputError(f"{self.name} does not expose its language model, so it cannot be analysed")

    def image_tokens(self, inputs: Inputs) -> ImageTokens:
        """Say where the text finds the images.

        Raises:
            InputError: if the family does not expose it, or no sample has an image.
        """
        raise InputError(f"{self.name} does not expose which of its tokens are images")

    @abstractmethod
    def to_image(self, pixels: Tensor) -> Image:
        """Turn a normalised image (3, H, W) back into one to look at."""

    @abstractmethod
    def to_pixels(self, image: Image) -> Tensor:
        """Turn an image to look at into a normalised one, (3, H, W); undoes `to_image` but for rounding."""

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

    @property
    def device_type(self) -> str:
        """The kind of device that the weights are on."""
        return self.device.type

    def freeze(self) -> None:
        """Put the model in evaluation mode and stop gradients to its own weights."""
        self.network.eval().requires_grad_(False)


def tunable(model: Model, purpose: str) -> TunableModel:
    """Return a model as one whose insides can be reached.

    Raises:
        InputError: if they cannot; the message names the `purpose` that needs them, such as "`vqttt analyse`".
    """
    if not isinstance(model, TunableModel):
        raise InputError(f"{purpose} needs a model whose insides can be reached, and those of {model.name} cannot")
    return model


@contextmanager
def forward_hooks(hooks: Sequence[tuple[nn.Module, Any]]) -> Iterator[None]:
    """Attach forward hooks for the length of a `with` block."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
