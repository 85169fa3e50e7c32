"""A small real tokenizer: the words of a few questions, characters for the rest, and a family's special tokens."""

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast

from tests.support.small_models import WORDS

CHARACTERS = [chr(code) for code in range(33, 127) if not chr(code).isupper()]


def build_tokenizer(*others: str, **special: str) -> PreTrainedTokenizerFast:
    """Build the tokenizer. `special` tokens become attributes, such as `image_token="<image>"`; `others` do not."""
    own = ["<pad>", "<s>", "</s>", "<unk>", *special.values(), *others]
    words = sorted({word for word in (*WORDS.split(), "user", "assistant", "answer", "en") if len(word) > 1})
    pieces = dict.fromkeys([*own, *CHARACTERS, *(f"##{character}" for character in CHARACTERS), *words])
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_specific_special_tokens=special,
        extra_special_tokens=list(others),
        padding_side="left",
        model_max_length=2048,
    )


def chat(image: str) -> str:
    """A chat template that writes `image` for each image."""
    return (
        "{{ '<s>' }}{% for message in messages %}{{ 'user: ' }}{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}{{ '" + image + "' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
        "{% endfor %}{% if add_generation_prompt %}{{ ' assistant: ' }}{% endif %}"
    )


def text_config(tokenizer: PreTrainedTokenizerFast, **more: object) -> dict:
    """The sizes of a small language model."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **more,
    }


def generation_config(tokenizer: PreTrainedTokenizerFast) -> GenerationConfig:
    """Greedy, with the tokenizer's special tokens."""
    return GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
