"""The tokens that begin, end and pad: from whichever file of a checkpoint names them; and greedy answers from them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

from vqttt.errors import ModelError
from vqttt.models.generation import LogitGeneration

_EOS_PLACE = "it belongs in generation_config.json as `eos_token_id`, or in tokenizer_config.json as `eos_token`"


def greedy_config(network: Any, tokenizer: Any) -> GenerationConfig:
    """Return the configuration of greedy generation: each token is the likeliest, whatever the checkpoint prefers.

    The tokenizer is given the padding and end token that it lacks.

    Of the checkpoint's own configuration only the tokens that begin, end and pad are kept. Everything that would make
    an answer other than the likeliest token at each step is dropped: sampling, beams, penalties, suppressed and forced
    tokens, minimum lengths, biases, stop strings, and special caches.

    Raises:
        ModelError: if no file of the checkpoint names an end token, or nothing can serve as padding.
    """
    end = _ids(network, tokenizer, "eos_token_id")
    if not end:
        raise ModelError(f"the checkpoint names no token that ends an answer; {_EOS_PLACE}")
    _complete_tokenizer(network, tokenizer)
    begin = _ids(network, tokenizer, "bos_token_id")
    decoder = _ids(network, None, "decoder_start_token_id") or begin
    return GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        num_beams=1,
        eos_token_id=end[0] if len(end) == 1 else end,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=begin[0] if begin else None,
        decoder_start_token_id=decoder[0] if decoder else None,
    )


def read_answers(out: Any, end: int | list[int], decode: Callable[..., list[str]]) -> LogitGeneration:
    """Return what `generate` returned as answers.

    Args:
        out: has `sequences` (N, L), prompts included or not, and `logits`, T of (N, V).
        end: the tokens that end an answer.
        decode: the processor's `batch_decode`.
    """
    tokens = out.sequences[:, -len(out.logits) :]
    ended = torch.isin(tokens, torch.tensor(end, device=tokens.device)).long()
    mask = (ended.cumsum(1) - ended) == 0  # True up to and including the first end token
    # End and padding are left out here, because they are not special to every tokenizer.
    words = [row[kept].tolist() for row, kept in zip(tokens, mask & ~ended.bool(), strict=True)]
    texts = decode(words, skip_special_tokens=True)
    logits = torch.stack(out.logits, dim=1).float()
    return LogitGeneration(texts=[text.strip() for text in texts], tokens=tokens, mask=mask, logits=logits)


def _complete_tokenizer(network: Any, tokenizer: Any) -> None:
    """Give a tokenizer the padding and end token that it lacks.

    The ids are looked for in the network's generation configuration, its configuration and its language model's. The
    last resort for padding is the end token: padding is masked, so its kind has no effect.

    Raises:
        ModelError: if nothing in the checkpoint can serve as padding.
    """
    if tokenizer.eos_token_id is None:
        tokenizer.eos_token = _token(tokenizer, _ids(network, None, "eos_token_id"))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = _token(tokenizer, _ids(network, None, "pad_token_id")) or tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ModelError("the tokenizer has no padding token; it belongs in tokenizer_config.json as `pad_token`")


def _ids(network: Any, tokenizer: Any, field: str) -> list[int]:
    """Return the ids of a special token: those of the first place that names any.

    Raises:
        ModelError: if that place has something else.
    """
    config = network.config
    for place in (network.generation_config, config, getattr(config, "text_config", None), tokenizer):
        value = getattr(place, field, None)
        if value is None:
            continue
        ids = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in ids):
            raise ModelError(f"{field} must be the number of a token, or a list of numbers, not {value!r}")
        if kept := [int(one) for one in ids if one >= 0]:
            return kept
    return []


def _token(tokenizer: Any, ids: list[int]) -> str | None:
    """Return the text of the first id that the tokenizer knows."""
    known = [one for one in ids if one < len(tokenizer)]
    return str(tokenizer.convert_ids_to_tokens(known[0])) if known else None
