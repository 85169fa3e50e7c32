"""A model of a type without a file of its own: what the seam needs is found when it is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from PIL import Image as PILImage
from torch import Tensor, nn

from vqttt.errors import InputError, in_a_line
from vqttt.models.base import Inputs
from vqttt.models.discovered import facts
from vqttt.models.discovered.pixels import IMAGE, PART, SAMPLE, TOKEN, Pixels, find_pixels
from vqttt.models.discovered.places import Places, joined, starts
from vqttt.models.discovered.stencil import Shown
from vqttt.models.discovered.vision import Seen, Vision, find_vision
from vqttt.models.discovered.ways import QUESTIONS, Ways, find_ways, noise
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.tunable import ImageContent, LogitGeneration, Part

KEPT = 8
"""Batches whose places are remembered; images along a stream often have the same sizes."""


class Discovered(HuggingFaceModel):
    """A model whose layout, vision blocks and projections are found by trying (see `look`).

    Attributes:
        ways: how its processor is called.
        found: where its processor puts images.
        vision: its vision encoder.
        lists: the parts of a batch that its processor gives as lists.
    """

    found: Pixels
    vision: Vision

    def __init__(
        self, name: str, network: Any, processor: Any, ways: Ways | None = None, *, thinking: bool = False
    ) -> None:
        """Wrap a loaded network and its processor, and find out how it is asked, unless that is known.

        Raises:
            InputError: if it is to reason, and its chat template has no switch for that.
            ModelError: if it takes no image and question.
        """
        facts.work_around()
        super().__init__(name, network, processor, thinking=thinking)
        if self._encodes:  # an encoder counts positions from the first token, padding included
            processor.tokenizer.padding_side = "right"
        for part, tokenizer in vars(processor).items():
            if part.endswith("_tokenizer") and hasattr(tokenizer, "padding_side"):
                tokenizer.padding_side = "right"  # that of an encoder beside, such as a Q-Former
                processor.tokenizer.init_kwargs.pop("padding_side", None)  # the processor would pass it to both
        self.lists: set[str] = set()
        self._places: dict[Any, dict[str, Places]] = {}
        self.ways = ways or find_ways(self)

    def look(self, found: Pixels | None = None, seen: Seen | None = None) -> "Discovered":
        """Find where images are, and the vision encoder, unless that is known; tuning needs them.

        Raises:
            ModelError: if they are not found.
        """
        patch = _patch(self.network.config, self.processor)
        self.found = found or find_pixels(self._processed, self.ways.large, patch, self._image_token)
        self.vision = Vision.of(self.network, seen or find_vision(self))
        self.together = bool(self.vision.seen.rows)
        return self

    @property
    def nested(self) -> bool:  # type: ignore[override]
        """See `Ways.nested`."""
        return self.ways.nested

    @property
    def mixes(self) -> bool:  # type: ignore[override]
        """See `Ways.mixes`."""
        return self.ways.mixes

    @property
    def several(self) -> bool:  # type: ignore[override]
        """See `Ways.several`."""
        return self.ways.several

    @property
    def bare(self) -> bool:  # type: ignore[override]
        """See `Ways.bare`."""
        return self.ways.bare

    def probe(self) -> Inputs:
        """Return a batch of images of unequal sizes, to try the network with."""
        return self.encode(noise(self.ways.large), QUESTIONS)

    def _processed(self, shown: Shown) -> dict[str, Tensor]:
        """Run the stock processor on images and the same question to each."""
        images = [[PILImage.fromarray(one) for one in own] for own in shown]
        return self.process(images, ["?"] * len(images))

    def process(self, shown: list[list[PILImage.Image]], questions: Sequence[str]) -> dict[str, Tensor]:
        """Run transformers' own chat path, if the processor allows it (see `HuggingFaceModel.process`)."""
        try:
            batch = self._batch(shown, questions)
        except ValueError as error:
            reason = f"its processor makes no batch of these images: {in_a_line(error)}"
            raise InputError(f"{self.name}: {reason}; ask about them one at a time") from error
        self.lists |= {key for key, value in batch.items() if isinstance(value, list)}
        return {key: torch.as_tensor(value) for key, value in batch.items()}

    def _batch(self, shown: list[list[PILImage.Image]], questions: Sequence[str]) -> dict[str, Any]:
        if not self.ways.chats:
            return super().process(shown, questions)
        options = facts.OPTIONS.get(self.network.config.model_type, {})
        return self.chat.batch(self.processor, shown, questions, **options)

    def prompt(self, question: str, images: int = 1) -> str:
        """Return a question about some images in the chat template, or in the publisher's words if there is none."""
        if getattr(self.processor, "chat_template", None):
            return super().prompt(question, images)
        words = facts.PROMPTS.get(self.network.config.model_type, facts.PROMPT)
        return words.format(images=self.image_marker * images, question=question)

    def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
        """Return the answer's logits; where an encoder reads the question, the decoder reads only the answer."""
        if not self._encodes:
            return super().answer_logits(inputs, answers)
        start = self.network.generation_config.decoder_start_token_id
        given = torch.full((inputs.count, 1), start, device=self.device)
        if answers is not None:
            given = torch.cat([given, answers[:, :-1]], dim=1)
        logits: Tensor = self.network(**self.given(inputs.tensors), decoder_input_ids=given, use_cache=False).logits
        return logits[:, -given.shape[1] :].float()

    def generate_with_gradient(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        """Answer greedily with a gradient; in another pass where a language model's own `generate` cuts it off."""
        answers = super().generate_with_gradient(inputs, max_new_tokens)
        if answers.logits.requires_grad or not torch.is_grad_enabled():
            return answers
        return replace(answers, logits=torch.cat([self.answer_logits(inputs), answers.logits[:, 1:]], dim=1))

    def given(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """Return what the processor made; what it gave as lists is a list again."""
        return {key: value.tolist() if key in self.lists else value for key, value in tensors.items()}

    def positions(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the tokens' positions if one pass needs to be told (see `Ways.counts`)."""
        return {"position_ids": (tensors["attention_mask"].cumsum(1) - 1).clamp_min(0)} if self.ways.counts else {}

    @cached_property
    def _encodes(self) -> bool:
        """Whether the question goes into an encoder, and the answer comes from a decoder."""
        config = self.network.config
        return bool(config.is_encoder_decoder or config.get_text_config().is_encoder_decoder)

    def places(self, inputs: Inputs) -> Mapping[str, Places]:
        """Return where the images of a batch lie in each tensor of pixels that it has."""
        if inputs.places is not None:
            known: Mapping[str, Places] = inputs.places
            return known
        if inputs.sizes not in self._places:
            while len(self._places) >= KEPT:
                self._places.pop(next(iter(self._places)))
            self._places[inputs.sizes] = self.found.places(self._processed, inputs.sizes)
        return {name: one.to(self.device) for name, one in self._places[inputs.sizes].items()}

    def pixels(self, inputs: Inputs) -> ImageContent:
        """Return the images (see `TunableModel.pixels`); none for a batch without images."""
        if not any(inputs.sizes):
            return self.no_images()
        return joined([self._read(key, one, inputs.tensors[key])[0] for key, one in self.places(inputs).items()])

    def _read(self, key: str, place: Places, tensor: Tensor) -> tuple[ImageContent, Tensor, Tensor | None]:
        """Return a tensor's images by the levels of the first tensor; by its own; and the scale between, if any."""
        own = place.read(self.found.layouts[key], tensor)
        rescaling = self.found.rescaling(key, own.pixels)
        if rescaling is None:
            return own, own.pixels, None
        scale, shift = rescaling
        return own._replace(pixels=own.pixels * scale + shift), own.pixels, scale

    def with_pixels(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Replace the images (see `TunableModel.with_pixels`)."""
        if not any(inputs.sizes):
            return inputs
        start, written = 0, {}
        for key, place in self.places(inputs).items():
            shown, own, scale = self._read(key, place, inputs.tensors[key])
            count, _, height, width = own.shape
            part = pixels[start : start + count, :, :height, :width]
            if scale is not None:  # so that values without a change keep every bit
                part = own + (part - shown.pixels) / scale
            written[key] = place.written(self.found.layouts[key], inputs.tensors[key], part)
            start += count
        return inputs.with_tensors(**written)

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the tensors that do not have one row per sample."""
        owners = {IMAGE: inputs.owner, PART: inputs.owner}
        if any(inputs.sizes):
            places = self.places(inputs)
            owners |= {key: place.row_owner for key, place in places.items()}
            owners[PART] = torch.cat([place.areas()[0] for place in places.values()])
            if TOKEN in self.found.rows.values():
                owners[TOKEN] = self._token_owner(inputs)
        kinds = {key: self.found.rows.get(key, SAMPLE) for key in inputs.tensors}
        return {key: owners[kind] for key, kind in kinds.items() if kind != SAMPLE}

    def _token_owner(self, inputs: Inputs) -> Tensor:
        """Return the sample that each image token belongs to."""
        tokens = inputs.tensors["input_ids"].eq(self._image_token).sum(1)
        return torch.arange(inputs.count, device=tokens.device).repeat_interleave(tokens)

    @property
    def _image_token(self) -> int:
        config = self.network.config
        number = getattr(config, "image_token_id", getattr(config, "image_token_index", None))
        return number if isinstance(number, int) else -1

    def select(self, inputs: Inputs, rows: Sequence[int]) -> Inputs:
        """Return a batch of some samples, and where their images are."""
        if not any(inputs.sizes):
            return super().select(inputs, rows)
        layouts = self.found.layouts
        by_rows = {key: layouts[key].rows(inputs.tensors[key]) for key in self.places(inputs)}
        chosen = super().select(inputs.with_tensors(**by_rows), rows)
        if not any(chosen.sizes):  # nothing is left of the images, not even padding
            of_images = [key for key, kind in self.found.rows.items() if key in layouts or kind in layouts]
            padding = [key for key in chosen.tensors if key in of_images or key.startswith("pixel")]
            return replace(chosen, tensors={k: v for k, v in chosen.tensors.items() if k not in padding})
        tensors = {key: layouts[key].unrows(one) if key in layouts else one for key, one in chosen.tensors.items()}
        places = {key: place.of_samples(rows) for key, place in self.places(inputs).items()}
        for key, pixels in self.found.numbers.items():
            before = starts(self.places(inputs)[pixels], inputs.count)[list(rows)]
            moved = (starts(places[pixels], len(rows)) - before)[self._token_owner(chosen)]
            tensors[key] = torch.where(tensors[key] < 0, tensors[key], tensors[key] + moved[:, None])
        return replace(chosen, tensors=tensors, places=places)

    def row_owner(self, inputs: Inputs) -> Tensor:
        """Return the sample that each row of a vision block's input belongs to."""
        return self.vision.row_owner(self, inputs) if any(inputs.sizes) else inputs.owner

    def description(self) -> dict[str, str]:
        """Return what was found, in words, by what it is about."""
        blocks = self.vision.blocks
        projections = sum(bool(self.lora_targets(block)) for block in blocks)
        where = (
            f"{len(blocks)}, the first {self.vision.seen.names[0]}"
            if blocks
            else "none; the language model sees the patches"
        )
        taken = {"several images": self.several, "no image": self.bare}
        return {
            "pixels": "; ".join(f"{key}: {layout.words}" for key, layout in self.found.layouts.items()),
            "vision blocks": where,
            "LoRA": f"in {projections} blocks" if projections else "none; the kernel is tuned alone",
            "row of a block": self.vision.seen.rows or "not known; LoRA is tuned along streams only",
            "a question takes": ", ".join(["an image", *(name for name, yes in taken.items() if yes)]),
        }

    @property
    def normalisation(self) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and standard deviation by which the processor normalises, as it was found."""
        return next(iter(self.found.levels.values())).normalisation

    @property
    def vision_blocks(self) -> Sequence[nn.Module]:
        """The vision encoder's blocks, shallowest first."""
        return self.vision.blocks

    def lora_targets(self, block: nn.Module) -> Mapping[str, nn.Linear | Part]:
        """Return the projections of a block that were found."""
        return self.vision.targets[block]


def _patch(config: Any, processor: Any) -> int:
    """Return the side of the vision encoder's patches, in pixels; 0 if it is not known."""
    for place in (getattr(config, "vision_config", None), processor.image_processor):
        size = getattr(place, "patch_size", None)
        if isinstance(size, int):
            return size
    return 0
