"""The parts of the embedded MLLM: configuration, tokenizer, image processor and chat template."""

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SIDE, PATCH = 112, 14
TOKENS = (SIDE // PATCH) ** 2
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>", "<user>", "<assistant>")
CHAT_TEMPLATE = (
    "{{ '<s>' }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '<user>' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% else %}{{ '<assistant>' + message['content'][0]['text'] + '</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def build_processor(words: Iterable[str]) -> LlavaProcessor:
    """Build the processor. Every word in `words` becomes a token; any other text is split into characters."""
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    known = sorted({word for word in words if len(word) > 1 and not word.isdigit()})
    pieces = [*SPECIAL, *characters, *(f"##{character}" for character in characters), *known]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<image>", "<user>", "<assistant>"],
        padding_side="left",
        model_max_length=512,
    )
    images = CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.25, 0.25, 0.25],
    )
    return LlavaProcessor(
        images,
        fast,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(
    processor: LlavaProcessor, *, width: int, vision_layers: int, text_layers: int
) -> LlavaForConditionalGeneration:
    """Build the model with random weights from torch's global generator."""
    tokenizer = processor.tokenizer
    vision = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=vision_layers,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=width,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=text_layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=TOKENS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    start_from_frequencies(model)
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=8,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


@torch.no_grad()
def start_from_frequencies(model: LlavaForConditionalGeneration) -> None:
    """Initialise the patch embedding as a cosine transform and the positions as sines; noise would lose detail.

    Only `hidden_size` of a patch's 3 x 14 x 14 numbers survive the embedding. The lowest frequencies, more of
    brightness than of colour, are close to the principal components of images.
    """
    embeddings = model.model.vision_tower.embeddings
    width = embeddings.patch_embedding.weight.shape[0]
    n = torch.arange(PATCH)
    cosines = torch.cos(torch.pi / PATCH * (n + 0.5) * n[:, None])
    cosines = cosines / cosines.norm(dim=1, keepdim=True)
    order = sorted((u * u + v * v, u, v) for u in range(PATCH) for v in range(PATCH))
    opponents = torch.tensor([[1.0, 1, 1], [1, 0, -1], [-0.5, 1, -0.5]])
    opponents = opponents / opponents.norm(dim=1, keepdim=True)
    counts = (width - 2 * (width // 4), width // 4, width // 4)
    filters = [
        color[:, None, None] * torch.outer(cosines[u], cosines[v])
        for color, count in zip(opponents, counts, strict=True)
        for _, u, v in order[:count]
    ]
    # Amplify high frequencies: images have little of them, and normalisation would drown what tells shapes apart.
    gains = torch.tensor([1 + r**0.5 for count in counts for r, _, _ in order[:count]])
    embeddings.patch_embedding.weight.copy_(torch.stack(filters) * gains[:, None, None, None] / 8)
    quarter = width // 4
    frequencies = torch.pi * torch.exp(torch.linspace(0, 2.2, quarter)) / (SIDE // PATCH)
    place = torch.arange(SIDE // PATCH)[:, None] * frequencies
    waves = torch.cat([place.sin(), place.cos()], dim=1)
    rows, columns = (w.flatten(0, 1) for w in torch.broadcast_tensors(waves[:, None], waves[None]))
    embeddings.position_embedding.weight[1:].copy_(0.5 * torch.cat([rows, columns], dim=1))


def save(model: LlavaForConditionalGeneration, processor: LlavaProcessor, folder: Path) -> None:
    """Write a checkpoint folder that `from_pretrained` can load.

    The weights are stored in float16, and loaded and computed with in the configuration's float32.
    """
    model.to(torch.float32).save_pretrained(folder)
    processor.save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file({name: weights.half() for name, weights in load_file(file).items()}, file, metadata={"format": "pt"})
