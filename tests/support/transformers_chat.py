"""Batches as transformers makes them, without our code: what ours are compared with."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image as PILImage


def transformers_inputs(
    processor: Any, shown: Sequence[Sequence[PILImage.Image]], questions: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Encode questions about images by transformers' own chat path, `apply_chat_template(tokenize=True)`.

    Processors without a chat template get the prompts of their model cards.
    """
    kind = type(processor).__name__
    if kind == "IdeficsProcessor":
        text = [["User:", *s, q, "\nAssistant:"] for s, q in zip(shown, questions, strict=True)]
        return dict(processor(text=text, return_tensors="pt", padding=True))
    if kind == "PaliGemmaProcessor":
        prompts = [f"{'<image>' * len(s)}answer en {q}" for s, q in zip(shown, questions, strict=True)]
        batch = processor(images=shown, text=prompts, return_tensors="pt", padding=True)
        return {key: value for key, value in batch.items() if key != "labels"}
    chats = [[_turn(s, q)] for s, q in zip(shown, questions, strict=True)]
    if kind == "CogVLMProcessor":  # ours, as published; compared with the published code's steps in its own tests
        return dict(processor(images=shown, text=[processor.apply_chat_template(chat) for chat in chats]))
    return dict(
        processor.apply_chat_template(
            chats,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
    )


def _turn(shown: Sequence[PILImage.Image], question: str) -> dict[str, Any]:
    content = [*({"type": "image", "image": image} for image in shown), {"type": "text", "text": question}]
    return {"role": "user", "content": content}
