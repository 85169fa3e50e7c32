"""IDEFICS (Laurençon et al. 2023), after Flamingo: the text attends to the images by cross-attention.

`pixel_values` is (N, images, 3, S, S); a sample with fewer images than others is padded with images of zeros. They are
known by the number of images that the sample has, not by their zeros, which a black image may have as well.
"""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image as PILImage
from torch import Tensor

from vqttt.models.base import Inputs
from vqttt.models.decoder import square
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.tunable import ImageContent


class Idefics(HuggingFaceModel):
    """IDEFICS; its processor has no chat template and takes lists of texts and images."""

    def process(self, shown: list[list[PILImage.Image]], questions: Sequence[str]) -> dict[str, Tensor]:
        """Run the stock processor on prompts in the format of the instruct models' training data."""
        prompts: list[list[Any]] = [
            ["User:", *images, question, "\nAssistant:"] if images else [f"User:{question}", "\nAssistant:"]
            for images, question in zip(shown, map(_not_an_address, questions), strict=True)
        ]
        return dict(self.processor(text=prompts, return_tensors="pt", padding=True))

    def view(self, inputs: Inputs) -> ImageContent:
        """Return the images."""
        pixels = inputs.tensors["pixel_values"]
        flat = pixels.flatten(0, 1)
        owner = torch.arange(inputs.count, device=pixels.device).repeat_interleave(pixels.shape[1])
        real = self._real(inputs).flatten()
        return ImageContent(flat, owner, real[:, None, None, None].expand(-1, 1, *flat.shape[2:]))

    def with_view(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Replace the images."""
        return inputs.with_tensors(pixel_values=pixels.view_as(inputs.tensors["pixel_values"]))

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return nothing: every tensor has one row per sample."""
        return {}

    def image_keys(self, inputs: Inputs) -> Tensor:
        """Mark the latents of each real image, or its patches if there is no resampler."""
        return self._real(inputs).repeat_interleave(self._tokens_per_image, 1)

    def _real(self, inputs: Inputs) -> Tensor:
        """Return which images are not padding, (N, images); each sample's own come first."""
        pixels = inputs.tensors["pixel_values"]
        counts = torch.tensor(inputs.shown or [1] * inputs.count, device=pixels.device)
        return torch.arange(pixels.shape[1], device=pixels.device) < counts[:, None]

    def token_grid(self, tokens: Tensor) -> Tensor | None:
        """Return None for the resampler's latents; without resampler, the patches, which follow a class token."""
        return None if self.network.config.use_resampler else square(tokens[1:])

    @property
    def _tokens_per_image(self) -> int:
        config = self.network.config
        vision = config.vision_config
        patches: int = (vision.image_size // vision.patch_size) ** 2
        return int(config.perceiver_config.resampler_n_latents) if config.use_resampler else patches + 1


def _not_an_address(question: str) -> str:
    """Return a question that the processor takes for text.

    It would fetch an image from a text that is an address and nothing else; a space makes it text.
    """
    return question if " " in question.strip(" ") else question.replace("//", "// ")
