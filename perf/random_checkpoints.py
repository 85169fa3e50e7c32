"""Checkpoints of full size with random weights, from the published configurations; nothing is downloaded.

Every tensor is a piece of one random block, repeated, so that 14 GB are made in the time that it takes to write them.
The values have the scale of a fresh initialisation, so logits are finite. A tokenizer takes each word as a token.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import (
    AutoModelForImageTextToText,
    CLIPImageProcessor,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

SPREAD = 0.02
"""Standard deviation of the weights, that of both families' initialisation."""

PERIOD = 1_000_003
"""Numbers in the random block: a prime, so that the rows of a matrix are not repeated."""

SHARD = 2**31
INDEX = "model.safetensors.index.json"

_TURN = "{% for part in message['content'] %}{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}"
_TURN += "{% endif %}{% endfor %}"
_TEMPLATE = "{% for message in messages %}BEFORE" + _TURN + "AFTER{% endfor %}"


def llava(layers: int) -> tuple[Any, Any]:
    """Return the configuration and the processor of LLaVA-1.5-7B, as `llava-hf/llava-1.5-7b-hf` has them."""
    special = {"<unk>": 0, "<s>": 1, "</s>": 2, "<image>": 32000, "<pad>": 32001}
    named = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    words = tokenizer(32064, special, named, {"image_token": "<image>"})
    text = LlamaConfig(
        vocab_size=32064,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=layers or 32,
        num_attention_heads=32,
        num_key_value_heads=32,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=32001,
    )
    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=layers + 1 if layers else 24,  # the last one is not used
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=32000,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}),
        words,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<s>USER: ", "<image>\n", " ASSISTANT:"),
    )
    return config, processor


def qwen(layers: int) -> tuple[Any, Any]:
    """Return the configuration and the processor of Qwen2.5-VL-3B, as `Qwen/Qwen2.5-VL-3B-Instruct` has them."""
    numbers = {"image_pad": 151655, "video_pad": 151656, "vision_start": 151652, "vision_end": 151653}
    special = {f"<|{name}|>": number for name, number in numbers.items()}
    special |= {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}
    named = {"unk_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    own = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
    own |= {"vision_start_token": "<|vision_start|>", "vision_end_token": "<|vision_end|>"}
    text = {
        "vocab_size": 151936,
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": layers or 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "tie_word_embeddings": True,
    }
    vision = {
        "depth": layers or 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "out_hidden_size": 2048,
    }
    ids = {f"{name}_token_id": special[f"<|{name}|>"] for name in ("vision_start", "vision_end")}
    ids |= {"image_token_id": special["<|image_pad|>"], "video_token_id": special["<|video_pad|>"]}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **ids)
    images = Qwen2VLImageProcessor(patch_size=14, size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16384})
    before = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    template = chat(before, "<|vision_start|><|image_pad|><|vision_end|>", "<|im_end|>\n<|im_start|>assistant\n")
    words = tokenizer(151936, special, named, own)
    return config, Qwen2_5_VLProcessor(images, words, Qwen2VLVideoProcessor(patch_size=14), chat_template=template)


MODELS: dict[str, Callable[[int], tuple[Any, Any]]] = {"llava-1.5-7b": llava, "qwen2.5-vl-3b": qwen}
"""By name, what takes a number of layers (0 for all) and returns configuration and processor."""


def chat(before: str, image: str, after: str) -> str:
    """Return a chat template that writes `image` for each image."""
    return _TEMPLATE.replace("BEFORE", before).replace("AFTER", after).replace("IMAGE", image)


def tokenizer(size: int, special: dict[str, int], named: dict[str, str], own: dict[str, str]) -> Any:
    """Return a tokenizer of as many tokens as the published one, with the special ones in the same places.

    Args:
        size: number of tokens.
        special: the numbers of the special tokens.
        named: which of them begin, end, pad, or stand for an unknown word, as every word of a question is here.
        own: the family's, by the names of their attributes.
    """
    places = {number: token for token, number in special.items()}
    vocabulary = {places.get(number, f"w{number}"): number for number in range(size)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token=named["unk_token"]))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.decoder = decoders.Fuse()
    others = [token for token in special if token not in (*named.values(), *own.values())]
    return PreTrainedTokenizerFast(
        tokenizer_object=words, extra_special_tokens=own, additional_special_tokens=others or None, **named
    )


def make(name: str, folder: Path, dtype: torch.dtype = torch.bfloat16, layers: int = 0) -> Path:
    """Write a checkpoint, unless it is there already; return its folder, a folder in `folder`.

    Args:
        name: a name in `MODELS`.
        folder: where checkpoints are kept.
        dtype: of the weights.
        layers: of the language model and of the vision encoder; 0 for as many as the published model has.
    """
    made = folder / "-".join([name, *([f"{layers}-layers"] if layers else []), str(dtype).removeprefix("torch.")])
    if (made / INDEX).is_file():  # it is written last
        return made
    made.mkdir(parents=True, exist_ok=True)
    config, processor = MODELS[name](layers)
    config.dtype = dtype
    with torch.device("meta"):
        network = AutoModelForImageTextToText.from_config(config)
    config.architectures = [type(network).__name__]
    config.save_pretrained(made)
    processor.save_pretrained(made)
    ends, pads = processor.tokenizer.eos_token_id, processor.tokenizer.pad_token_id
    GenerationConfig(do_sample=False, eos_token_id=ends, pad_token_id=pads).save_pretrained(made)
    places: dict[str, str] = {}
    for number, shard in enumerate(_shards(network, dtype)):
        file = f"model-{number:05}.safetensors"
        save_file(shard, made / file, metadata={"format": "pt"})
        places |= dict.fromkeys(shard, file)
    (made / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return made


def _shards(network: Any, dtype: torch.dtype) -> Iterator[dict[str, Tensor]]:
    """Yield the weights of a network on the `meta` device, a file at a time."""
    block = torch.randn(PERIOD, generator=torch.Generator().manual_seed(0)).mul_(SPREAD).to(dtype)
    tied = set(network.all_tied_weights_keys)
    shard: dict[str, Tensor] = {}
    for number, (name, weight) in enumerate(network.state_dict().items()):
        if name in tied:
            continue
        shard[name] = _filled(name, weight, block.roll(7919 * number))
        if sum(tensor.nbytes for tensor in shard.values()) > SHARD:
            yield shard
            shard = {}
    if shard:
        yield shard


def _filled(name: str, weight: Tensor, block: Tensor) -> Tensor:
    """Return random values for a weight; norms are the identity."""
    if weight.ndim < 2 and "embedding" not in name:
        return torch.full(weight.shape, float(name.endswith("weight")), dtype=block.dtype)
    count = weight.numel()
    return block.repeat(-(-count // len(block)))[:count].view(weight.shape).clone()
