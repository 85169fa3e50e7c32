"""Prompts and images for CogVLM, as in the published `build_conversation_input_ids`."""

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
"""Marks an image at the beginning of a prompt; removed before tokenizing, because images have no token of their own."""

_ANSWERS = {"chat": "Answer:", "vqa": "Short answer:"}
"""How each template ends a question. The template `base` is the question alone."""


class CogVLMProcessor:
    """A tokenizer and CLIP's image processing.

    The models were trained on prompts with one image or none. Several images follow one another, which is our choice.

    Attributes:
        tokenizer: Vicuna's for CogVLM, Llama 3's for CogVLM2.
        image_processor: resizes to the model's size, ignoring the aspect ratio, and normalises by CLIP's mean and
            standard deviation.
        template: `chat`, `base` or `vqa`.
        image_token: what marks an image in a prompt.
    """

    image_token = _IMAGE

    def __init__(self, tokenizer: Any, config: CogVLMConfig, template: str | None = None) -> None:
        """Build for a model.

        Args:
            tokenizer: the model's tokenizer.
            config: the model's configuration.
            template: see the class; None for the configuration's.

        Raises:
            InputError: if the template is unknown.
        """
        vision = config.vision_config
        assert isinstance(vision, CogVLMVisionConfig), vision
        self.tokenizer, self.config = tokenizer, config
        self.template = template or config.template_version
        if self.template not in ("base", *_ANSWERS):
            raise InputError(f"CogVLM has no template {self.template!r}; known: base, {', '.join(_ANSWERS)}")
        size = {"height": vision.image_size, "width": vision.image_size}
        # Pillow's resizing, as published; torch's differs by one level in some pixels.
        self.image_processor = CLIPImageProcessorPil(size=size, do_center_crop=False)

    def apply_chat_template(self, chat: Sequence[dict[str, Any]], add_generation_prompt: bool = True) -> str:
        """Return the prompt of a chat that ends with a question.

        Args:
            chat: the turns, as for transformers' processors.
            add_generation_prompt: ignored; the prompt always ends where the answer begins.

        Raises:
            InputError: if the turns of user and assistant do not alternate, or a later question has images.
        """
        turns = [(turn["role"], *_content(turn["content"])) for turn in chat]
        roles = [role for role, _, _ in turns]
        if roles != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
            raise InputError(f"in a chat with CogVLM, user and assistant must alternate, beginning with user: {roles}")
        images = [count for _, _, count in turns]
        if any(images[1:]):
            raise InputError("CogVLM takes images only with the first question of a chat")
        if self.template == "base":
            return _IMAGE * images[0] + turns[-1][1]
        ending = _ANSWERS[self.template]
        written = [f"Question: {text} {ending}" if role == "user" else f" {text}\n" for role, text, _ in turns]
        return _IMAGE * images[0] + "".join(written)

    def __call__(
        self, images: Sequence[Sequence[PILImage.Image]] | None, text: Sequence[str], **_: Any
    ) -> BatchFeature:
        """Encode N prompts and the images of each.

        Returns:
            `input_ids`, `token_type_ids` and `attention_mask`, (N, L), padded on the left; and `pixel_values`,
            (P, 3, S, S), if there are images.

        Raises:
            InputError: if a prompt has more or fewer image markers than images.
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
        all_images = [image for own in images for image in own]
        if all_images:
            tensors |= self.image_processor(all_images, return_tensors="pt")
        return BatchFeature(tensors)

    def _encode(self, prompt: str, images: int) -> tuple[list[int], list[int]]:
        text = prompt.removeprefix(_IMAGE * images)
        if text.startswith(_IMAGE) or len(text) + images * len(_IMAGE) != len(prompt):
            raise InputError(f"{images} images for a prompt with more or fewer image markers: {prompt[:80]!r}")
        image_tokens = images * self.config.image_tokens
        words = self.tokenizer.encode(text, add_special_tokens=False)
        ids = [self.config.bos_token_id, *[self.config.pad_token_id] * image_tokens, *words]
        kinds = [LANGUAGE, *[VISION] * image_tokens, *[LANGUAGE] * len(words)]
        return ids, kinds

    def batch_decode(self, tokens: Any, **options: Any) -> list[str]:
        """Return the texts of tokens, by the tokenizer."""
        texts: list[str] = self.tokenizer.batch_decode(tokens, **options)
        return texts

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the tokenizer; everything else is in the model's configuration."""
        self.tokenizer.save_pretrained(folder)


def _content(content: str | Sequence[dict[str, Any]]) -> tuple[str, int]:
    """Return the text and the number of images of a turn."""
    if isinstance(content, str):
        return content, 0
    text = "".join(part["text"] for part in content if part["type"] == "text")
    return text, sum(part["type"] == "image" for part in content)
