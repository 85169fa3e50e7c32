"""The base class of all families in transformers; most of them only describe how their images are laid out."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Inputs
from vqttt.models.batch import Given, as_shown, check_counts
from vqttt.models.blocks import find_blocks, find_targets
from vqttt.models.checkpoints import check_weights
from vqttt.models.content import denormalised, normalised
from vqttt.models.decoder import Decoder, ImageTokens, find_decoder, square
from vqttt.models.greedy import greedy_config, read_answers
from vqttt.models.prompts import Chat, find_chat, special_tokens
from vqttt.models.questions import PlainText
from vqttt.models.recompute import first_pass_traced, recomputed
from vqttt.models.tunable import ImageContent, LogitGeneration, Part, TunableModel
from vqttt.types import Image


class HuggingFaceModel(TunableModel):
    """A model that transformers loads. The defaults fit families with images of one size, (P, 3, H, W).

    A family with another layout overrides `view`, `with_view`, `packed` and `row_owner`, and for analyses `image_keys`
    and `token_grids`.

    Attributes:
        nested: whether the processor takes one list of images per sample, rather than one list for the batch.
        mixes: whether the processor accepts samples with and without images in one batch.
        several: whether a sample may have several images.
        bare: whether a sample may have no image.
        answer_type: the token type of an answer's tokens, if the family has token types.
    """

    network: Any
    nested = False
    mixes = True
    several = True
    bare = True
    answer_type = 0

    def __init__(self, name: str, network: Any, processor: Any, *, thinking: bool = False) -> None:
        """Wrap a loaded network and its processor; `thinking` tells whether it is to reason before it answers."""
        self.thinking = thinking
        self.name, self.network, self.processor = name, network, processor
        processor.tokenizer.padding_side = "left"
        self.plain_text = PlainText.of(processor, network.config)
        self.context = int(getattr(network.config.get_text_config(), "max_position_embeddings", 0) or 0)
        network.generation_config = greedy_config(network, processor.tokenizer)
        if thinking:
            find_chat(processor, self.image_marker, thinking)  # raises if there is no switch for it
        self.freeze()

    @staticmethod
    def load(source: str, **options: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Load a network and its processor.

        Args:
            source: a checkpoint folder or Hugging Face id.
            options: arguments of transformers' `from_pretrained`.

        Returns:
            the network, the processor, and transformers' loading info, which lists missing weights.
        """
        from transformers import AutoModelForImageTextToText, AutoProcessor

        check_weights(source)
        revision = {key: options[key] for key in ("revision",) if key in options}
        options = {**options, "trust_remote_code": False}  # else transformers asks, and runs a checkpoint's code on "y"
        processor: Any = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            source, trust_remote_code=False, **revision
        )
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            source, use_safetensors=True, output_loading_info=True, **options
        )
        network, loading_info = loaded
        return network, processor, loading_info

    @staticmethod
    def fits(config: Any) -> bool:
        """Tell whether a network with this configuration is laid out as the family is; if not, its layout is found."""
        return True

    @staticmethod
    def image_settings(config: Any) -> dict[str, Any]:
        """Return the processor's settings that a network's configuration determines, by attribute; by default none.

        They are those that a checkpoint's processor may lack or have wrong (see `vqttt.models.processors`).
        """
        return {}

    def encode(self, images: Sequence[Given], questions: Sequence[str]) -> Inputs:
        """Encode N samples, each with one image, several or none, and a question (see `TunableModel.encode`).

        Raises:
            InputError: if the batch mixes samples with and without images, and the processor does not accept that; if a
                question has no text, or control tokens that cannot be written as text (see `PlainText`); or if a prompt
                leaves no room for an answer in the model's context.
        """
        # Pillow images, because a processor may mistake the height of a tiny array for its channels.
        shown = [
            [PILImage.fromarray(one) for one in ([own] if isinstance(own, np.ndarray) else own)]
            for own in as_shown(images)
        ]
        check_counts(self, [len(own) for own in shown])
        batch = self.process(shown, [self.plain_text(question) for question in questions])
        tensors = {key: torch.as_tensor(value).to(self.device) for key, value in batch.items()}
        tensors = {
            key: value.to(self.network.dtype) if value.is_floating_point() else value for key, value in tensors.items()
        }
        counts = tuple(map(len, shown))
        sizes = tuple(tuple((image.height, image.width) for image in own) for own in shown)
        shown_by = () if set(counts) == {1} else counts
        inputs = Inputs(tensors=tensors, count=len(questions), shown=shown_by, sizes=sizes)
        self._check_length(inputs)
        return inputs

    def _check_length(self, inputs: Inputs) -> None:
        longest = max(inputs.lengths, default=0)
        if self.context and longest >= self.context:
            raise InputError(
                f"the prompt has {longest:,} tokens, images included, and the model takes {self.context:,}"
            )

    def process(self, shown: list[list[PILImage.Image]], questions: Sequence[str]) -> dict[str, Tensor]:
        """Run the stock processor; return the arguments of the forward pass.

        Args:
            shown: the images of each sample.
            questions: one per sample.
        """
        images: Any = shown if self.nested else [image for own in shown for image in own]
        text = [self.prompt(question, len(own)) for question, own in zip(questions, shown, strict=True)]
        batch: dict[str, Tensor] = self.processor(
            images=images if any(shown) else None,
            text=text,
            return_tensors="pt",
            padding=True,
            **special_tokens(self.processor.tokenizer, text),
        )
        return {key: value for key, value in batch.items() if key != "labels"}

    def prompt(self, question: str, images: int = 1) -> str:
        """Return a question about `images` images in the model's chat template."""
        return self.chat.prompt(self.processor, question, images, self.image_marker)

    @property
    def image_marker(self) -> str:
        """What stands for an image in a prompt; used where the chat template takes a string."""
        return str(getattr(self.processor, "image_token", ""))

    @cached_property
    def chat(self) -> Chat:
        """How the checkpoint's chat template is asked."""
        return find_chat(self.processor, self.image_marker, self.thinking)

    def pixels(self, inputs: Inputs) -> ImageContent:
        """Return the images (see `TunableModel.pixels`); none for a batch without images."""
        return self.view(inputs) if "pixel_values" in inputs.tensors else self.no_images()

    def no_images(self) -> ImageContent:
        """Return what `pixels` is for a batch without images."""
        empty = torch.zeros(0, 3, 1, 1, device=self.device)
        return ImageContent(empty, torch.zeros(0, dtype=torch.long, device=self.device), None)

    def with_pixels(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Replace the images (see `TunableModel.with_pixels`)."""
        return self.with_view(inputs, pixels) if "pixel_values" in inputs.tensors else inputs

    def view(self, inputs: Inputs) -> ImageContent:
        """Return `pixel_values` as images. The default expects (P, 3, H, W) without padding."""
        return ImageContent(inputs.tensors["pixel_values"], inputs.owner, None)

    def with_view(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Return the inputs with other images: the inverse of `view`."""
        return inputs.with_tensors(pixel_values=pixels)

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the tensors without one row per sample; by default `pixel_values`, with one per image."""
        return {"pixel_values": self.pixels(inputs).owner} if "pixel_values" in inputs.tensors else {}

    def select(self, inputs: Inputs, rows: Sequence[int]) -> Inputs:
        """Return a batch of some samples (see `TunableModel.select`), without `pixel_values` if none has an image."""
        chosen = super().select(inputs, rows)
        bare = [key for key in self.packed(inputs) if not len(chosen.tensors[key])]
        return replace(chosen, tensors={key: value for key, value in chosen.tensors.items() if key not in bare})

    @property
    def vision_blocks(self) -> Sequence[nn.Module]:
        """The vision encoder's blocks."""
        return find_blocks(self.network)

    def lora_targets(self, block: nn.Module) -> Mapping[str, nn.Linear | Part]:
        """Return the query, key and value projections of a block."""
        return find_targets(block)

    def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
        """Return the answer's logits by one forward pass (see `TunableModel.answer_logits`).

        Only the answer's positions are projected to the vocabulary.
        """
        tensors, keep = inputs.tensors, 1
        if answers is not None:
            tensors, keep = self._continued(tensors, answers[:, :-1]), answers.shape[1]
        fewer = {"logits_to_keep": keep} if self._keeps_some else {}
        logits: Tensor = self.network(
            **self.given(tensors), **self.positions(tensors), use_cache=False, **fewer
        ).logits[:, -keep:]
        return logits.float()

    def given(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """Return what the processor made, in the form that the network takes; by default as it is."""
        return tensors

    def positions(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what one pass, without `generate`, must be told beside; by default nothing."""
        return {}

    @cached_property
    def _keeps_some(self) -> bool:
        """Whether the network can project only the last positions to the vocabulary."""
        return "logits_to_keep" in inspect.signature(self.network.forward).parameters

    def _continued(self, tensors: dict[str, Tensor], given: Tensor) -> dict[str, Tensor]:
        """Append given tokens (N, T) to the prompts; they attend to the same images as the prompt's last token."""
        appended = {"input_ids": given, "attention_mask": torch.ones_like(given)}
        for key in ("token_type_ids", "mm_token_type_ids"):
            appended[key] = torch.full_like(given, self.answer_type)
        for key in ("image_attention_mask", "cross_attention_mask"):
            if key in tensors:
                appended[key] = tensors[key][:, -1:].repeat_interleave(given.shape[1], 1)
        for key, value in tensors.items():  # what else says which tokens are of an image; an answer's are not
            if key not in appended and value.shape == tensors["input_ids"].shape and not value.is_floating_point():
                appended[key] = torch.zeros_like(given, dtype=value.dtype)
        grown = {key: torch.cat([tensors[key], more], dim=1) for key, more in appended.items() if key in tensors}
        return {**tensors, **grown}

    @contextmanager
    def checkpointed(self) -> Iterator[None]:
        """Recompute the activations of all layers (see `TunableModel.checkpointed`)."""
        with recomputed(self.network):
            yield

    @torch.no_grad()
    def generate(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        """Answer greedily with transformers' own `generate`."""
        return self._generate(self.network.generate, inputs, max_new_tokens)

    def generate_with_gradient(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        """Answer greedily with transformers' own `generate`, without its decorator, which turns gradients off."""

        def traced(**arguments: Any) -> Any:
            with first_pass_traced(self.network):
                return inspect.unwrap(type(self.network).generate)(self.network, **arguments)

        return self._generate(traced, inputs, max_new_tokens)

    @torch.no_grad()
    def sample(self, inputs: Inputs, max_new_tokens: int, temperature: float, seed: int) -> LogitGeneration:
        """Answer by tokens drawn at random (see `Model.sample`)."""
        devices = [self.device] if self.device_type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            drawn = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
            return self._generate(self.network.generate, inputs, max_new_tokens, **drawn)

    def _generate(self, generate: Any, inputs: Inputs, max_new_tokens: int, **how: Any) -> LogitGeneration:
        wanted = {"max_new_tokens": max_new_tokens, "output_logits": True, "return_dict_in_generate": True}
        out = generate(**self.given(inputs.tensors), **wanted, **how)
        return read_answers(out, self.network.generation_config.eos_token_id, self.processor.batch_decode)

    def answer_tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, without special tokens."""
        tokens: list[int] = self.processor.tokenizer(text, add_special_tokens=False).input_ids
        return tokens

    def word(self, token: int) -> str:
        """Return the text of a token."""
        return str(self.processor.tokenizer.decode([token])).strip()

    def piece(self, token: int) -> str:
        """Return the text of a token, spaces included."""
        return str(self.processor.tokenizer.decode([token]))

    @property
    def decoder(self) -> Decoder:
        """The parts of the language model, found by name."""
        return find_decoder(self.network)

    def image_tokens(self, inputs: Inputs) -> ImageTokens:
        """Return which tokens are image tokens, and where (see `TunableModel.image_tokens`)."""
        keys = self.image_keys(inputs) if "pixel_values" in inputs.tensors else None
        if keys is None or not keys.any():
            raise InputError("there is no image to analyse")
        return ImageTokens(keys=keys, grids=self.token_grids(inputs, keys.sum(1).tolist()))

    def image_keys(self, inputs: Inputs) -> Tensor:
        """Return the `ImageTokens.keys` of a batch, (N, K); by default the prompt's image tokens."""
        return inputs.tensors["input_ids"].eq(self.network.config.image_token_id)

    def token_grids(self, inputs: Inputs, counts: Sequence[int]) -> list[Tensor | None]:
        """Return the `ImageTokens.grids` of a batch.

        By default each of a sample's images has as many tokens, which `token_grid` lays out.

        Args:
            inputs: the batch.
            counts: number of image tokens of each sample.
        """
        pixels, owner, mask = self.pixels(inputs)
        real = torch.ones_like(owner, dtype=torch.bool) if mask is None else mask.flatten(1).any(1)
        grids: list[Tensor | None] = [None] * len(pixels)
        for n, count in enumerate(counts):
            own = ((owner == n) & real).nonzero()[:, 0].tolist()
            for image, run in zip(own, torch.arange(count).tensor_split(max(len(own), 1)), strict=False):
                grids[image] = self.token_grid(run)
        return grids

    def token_grid(self, tokens: Tensor) -> Tensor | None:
        """Return one image's tokens (T,) in rows and columns; by default a square, or None if they do not fill one."""
        return square(tokens)

    def to_image(self, pixels: Tensor) -> Image:
        """Undo the normalisation (see `TunableModel.to_image`); values outside 0 to 255 are clipped."""
        return denormalised(pixels, *self.normalisation)

    def to_pixels(self, image: Image) -> Tensor:
        """Apply the image processor's normalisation, without resizing."""
        return normalised(image, *self.normalisation)

    @property
    def normalisation(self) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and standard deviation, by channel, of levels from 0 to 1."""
        stats = self.processor.image_processor
        return stats.image_mean, stats.image_std
