"""Prompts and images for CogVLM, as the published `build_conversation_input_ids` makes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image as PILImage
from transformers import BatchFeature, CLIPImageProcessorPil

from vqttt.errors import InputError
from vqttt.models.cogvlm.config import CogVLMConfig, CogVLMVisionConfig
from vqttt.models.cogvlm.language import LANGUAGE, VISION

_IMAGE = "<picture>"
"""Stands before a prompt that is about an image; no token of the model's, whose images have none."""

_ANSWERS = {"chat": "Answer:", "vqa": "Short answer:"}
"""What a template asks for; `base` is the bare question, for models that were trained on pairs of it and an answer."""


class CogVLMProcessor:
    """A tokenizer and CLIP's image processing.

    The models were made for one image a prompt, or none; several are put one after another, which is our choice.

    Attributes:
        tokenizer: Vicuna's for CogVLM, Llama 3's for CogVLM2.
        image_processor: to the model's one size, whatever the shape, and CLIP's mean and spread.
        template: `chat`, `base` or `vqa`.
    """

    def __init__(self, tokenizer: Any, config: CogVLMConfig, template: str | None = None) -> None:
        """Build for a model.

        Raises:
            InputError: if the template is not known.
        """
        vision = config.vision_config
        assert isinstance(vision, CogVLMVisionConfig), vision
        self.tokenizer, self.config = tokenizer, config
        self.template = template or config.template_version
        if self.template not in ("base", *_ANSWERS):
            raise InputError(f"CogVLM has no template {self.template!r}; known are base, {', '.join(_ANSWERS)}")
        size = {"height": vision.image_size, "width": vision.image_size}
        # Pillow's own resizing, as published: torch's differs from it by a level here and there.
        self.image_processor = CLIPImageProcessorPil(size=size, do_center_crop=False)

    def apply_chat_template(self, chat: Sequence[dict[str, Any]], add_generation_prompt: bool = True) -> str:
        """Write a chat, which ends with a question, as one text; `add_generation_prompt` is as in transformers.

        Raises:
            InputError: if images come later than with the first question, or if turns are not of user and
                assistant alternately.
        """
        turns = [(turn["role"], *_content(turn["content"])) for turn in chat]
        roles = [role for role, _, _ in turns]
        if roles != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
            raise InputError(f"a chat with CogVLM is of user and assistant alternately, not {roles}")
        images = [count for _, _, count in turns]
        if any(images[1:]):
            raise InputError("CogVLM looks at images before it reads: they come with the first question")
        if self.template == "base":
            return _IMAGE * images[0] + turns[-1][1]
        asked = _ANSWERS[self.template]
        written = [f"Question: {text} {asked}" if role == "user" else f" {text}\n" for role, text, _ in turns]
        return _IMAGE * images[0] + "".join(written)

    def __call__(
        self, images: Sequence[Sequence[PILImage.Image]] | None, text: Sequence[str], **_: Any
    ) -> BatchFeature:
        """Encode N prompts, padded on the left, with the images of each, as tensors.

        Returns:
            `input_ids`, `token_type_ids` and `attention_mask`, (N, L); `pixel_values`, (P, 3, S, S), if P > 0.

        Raises:
            InputError: if a prompt is about more or fewer images than come with it.
        """
        images = images or [[] for _ in text]
        rows = [self._encode(prompt, len(own)) for prompt, own in zip(text, images, strict=True)]
        length = max(len(ids) for ids, _ in rows)
        pad = self.config.pad_token_id
        tensors = {
            "input_ids": torch.tensor([[pad] * (length - len(ids)) + ids for ids, _ in rows]),
            "token_type_ids": torch.tensor([[LANGUAGE] * (length - len(ids)) + kinds for ids, kinds in rows]),
            "attention_mask": torch.tensor([[0] * (length - len(ids)) + [1] * len(ids) for ids, _ in rows]),
        }
        shown = [image for own in images for image in own]
        if shown:
            tensors |= self.image_processor(shown, return_tensors="pt")
        return BatchFeature(tensors)

    def _encode(self, prompt: str, images: int) -> tuple[list[int], list[int]]:
        text = prompt.removeprefix(_IMAGE * images)
        if text.startswith(_IMAGE) or len(text) + images * len(_IMAGE) != len(prompt):
            raise InputError(f"{images} images come with a prompt about more or fewer: {prompt[:80]!r}")
        shown = images * self.config.image_tokens
        words = self.tokenizer.encode(text, add_special_tokens=False)
        ids = [self.config.bos_token_id, *[self.config.pad_token_id] * shown, *words]
        kinds = [LANGUAGE, *[VISION] * shown, *[LANGUAGE] * len(words)]
        return ids, kinds

    def batch_decode(self, tokens: Any, **options: Any) -> list[str]:
        """Turn tokens into texts, as the tokenizer does."""
        texts: list[str] = self.tokenizer.batch_decode(tokens, **options)
        return texts

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the tokenizer; all else is in the model's configuration."""
        self.tokenizer.save_pretrained(folder)


def _content(content: str | Sequence[dict[str, Any]]) -> tuple[str, int]:
    """Return a turn's text and how many images come with it."""
    if isinstance(content, str):
        return content, 0
    text = "".join(part["text"] for part in content if part["type"] == "text")
    return text, sum(part["type"] == "image" for part in content)
