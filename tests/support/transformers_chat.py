"""Batches and logits as transformers makes them, without our code: what ours are compared with."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image as PILImage

PROMPTS = {
    "Blip2Processor": "Question: {question} Answer:",
    "ChameleonProcessor": "<image>{question}",
    "Florence2Processor": "{question}",
    "FuyuProcessor": "{question}\n",
    "GitProcessor": "{question}",
    "InstructBlipProcessor": "{question}",
    "Kosmos2Processor": "Question: {question} Answer:",
}
"""Prompts of the model cards, for processors that take one image and have no chat template."""

OPTIONS = {"Cosmos3EdgeProcessor": {"return_mm_token_type_ids": True}}
"""What a processor must be asked for, because the network needs it."""

COUNTING = ("GitForCausalLM", "InstructBlipForConditionalGeneration")
"""Networks that count positions from the first token, padding included, if none are given; `generate` gives them."""


def transformers_inputs(
    processor: Any, shown: Sequence[Sequence[PILImage.Image]], questions: Sequence[str]
) -> dict[str, Any]:
    """Encode questions about images by transformers' own chat path, `apply_chat_template(tokenize=True)`.

    Processors without a chat template get the prompts of their model cards.
    """
    kind = type(processor).__name__
    images = [image for own in shown for image in own]
    if kind == "IdeficsProcessor":
        text = [["User:", *s, q, "\nAssistant:"] for s, q in zip(shown, questions, strict=True)]
        return dict(processor(text=text, return_tensors="pt", padding=True))
    if kind == "PaliGemmaProcessor":
        prompts = [f"{'<image>' * len(s)}answer en {q}" for s, q in zip(shown, questions, strict=True)]
        batch = processor(images=shown, text=prompts, return_tensors="pt", padding=True)
        return {key: value for key, value in batch.items() if key != "labels"}
    if kind in PROMPTS:
        prompts = [PROMPTS[kind].format(question=question) for question in questions]
        return dict(processor(images=images, text=prompts, return_tensors="pt", padding=True))
    chats = [[_turn(s, q)] for s, q in zip(shown, questions, strict=True)]
    if kind == "CogVLMProcessor":  # ours, as published; compared with the published code's steps in its own tests
        return dict(processor(images=shown, text=[processor.apply_chat_template(chat) for chat in chats]))
    if kind == "GotOcr2Processor":  # whose chat path fails: it takes no list of images for each sample
        prompts = [processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
        begun = {"add_special_tokens": False}
        return dict(processor(images=images, text=prompts, return_tensors="pt", padding=True, **begun))
    return dict(
        processor.apply_chat_template(
            chats,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, **OPTIONS.get(kind, {})},
        )
    )


def _turn(shown: Sequence[PILImage.Image], question: str) -> dict[str, Any]:
    content = [*({"type": "image", "image": image} for image in shown), {"type": "text", "text": question}]
    return {"role": "user", "content": content}


def transformers_logits(network: Any, batch: Mapping[str, Any]) -> torch.Tensor:
    """Return the logits at the answer's first position, (N, 1, V), by one forward pass."""
    takes = inspect.signature(network.forward).parameters
    more = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
    if network.config.is_encoder_decoder or network.config.get_text_config().is_encoder_decoder:
        start = network.generation_config.decoder_start_token_id
        more = {"decoder_input_ids": torch.full((len(batch["input_ids"]), 1), start)}
    elif type(network).__name__ in COUNTING:
        more["position_ids"] = (batch["attention_mask"].cumsum(1) - 1).clamp_min(0)
    return network(**batch, use_cache=False, **more).logits[:, -1:].float()
