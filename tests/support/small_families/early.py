"""Types from before chat templates, types that turn images into words of the vocabulary, and encoder-decoders."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AriaConfig,
    AriaForConditionalGeneration,
    AriaImageProcessor,
    AriaProcessor,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    ChameleonConfig,
    ChameleonForConditionalGeneration,
    ChameleonImageProcessor,
    ChameleonProcessor,
    CLIPImageProcessor,
    DonutImageProcessor,
    DonutProcessor,
    DonutSwinConfig,
    Emu3Config,
    Emu3ForConditionalGeneration,
    Emu3ImageProcessor,
    Emu3Processor,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    FuyuConfig,
    FuyuForCausalLM,
    FuyuImageProcessor,
    FuyuProcessor,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    GotOcr2ForConditionalGeneration,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    InstructBlipVideoConfig,
    InstructBlipVideoForConditionalGeneration,
    InstructBlipVideoProcessor,
    InstructBlipVideoVideoProcessor,
    Kosmos2_5Config,
    Kosmos2_5ForConditionalGeneration,
    Kosmos2_5ImageProcessor,
    Kosmos2_5Processor,
    Kosmos2Config,
    Kosmos2ForConditionalGeneration,
    Kosmos2Processor,
    LayoutLMv3ImageProcessor,
    MBartConfig,
    Pix2StructConfig,
    Pix2StructForConditionalGeneration,
    Pix2StructImageProcessor,
    Pix2StructProcessor,
    PPChart2TableConfig,
    PPChart2TableImageProcessor,
    PPChart2TableProcessor,
    PreTrainedTokenizerFast,
    UdopConfig,
    UdopForConditionalGeneration,
    UdopProcessor,
    UdopTokenizer,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
)

from tests.support.small_families.flat import SIDE, VISION
from tests.support.small_families.tokens import build_tokenizer, chat, text_config

SQUARE = {"height": SIDE, "width": SIDE}
PATCH = {"height": 8, "width": 8}
QUERIES = 4
# With tied embeddings and random weights, an answer repeats the question's last token, whatever the image.
UNTIED = {"tie_word_embeddings": False}


def _framed(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Begin every text with `<s>`, end it with `</s>` and pad on the right, as BERT's tokenizer does."""
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "right"
    ends = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=ends)
    return tokenizer


def _language_model(kind: str, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """OPT, Llama or T5."""
    sizes = text_config(tokenizer)
    if kind == "opt":
        return {"model_type": kind, **sizes, "ffn_dim": 64, "word_embed_proj_dim": 32, **UNTIED}
    if kind == "t5":
        names = ("vocab_size", "pad_token_id", "eos_token_id")
        widths = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
        start = {"decoder_start_token_id": tokenizer.pad_token_id}
        return {"model_type": kind, **{name: sizes[name] for name in names}, **widths, **start}
    return {"model_type": kind, **sizes}


def _queries(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """The sizes of the transformer whose queries read an image."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
    }


def querying(config: Any, network: Any, processor: Any, text: str) -> tuple[Any, Any]:
    """BLIP-2 and InstructBLIP: a few queries read each image, InstructBLIP's with the question in sight."""
    tokenizer = build_tokenizer()
    images = BlipImageProcessor(size=SQUARE)
    if processor is InstructBlipProcessor:
        built = processor(images, tokenizer, _framed(build_tokenizer()), num_query_tokens=QUERIES)
    else:
        built = processor(images, tokenizer, num_query_tokens=QUERIES)
    # The vision encoder's default initializer is all but zero.
    vision = {**VISION, "initializer_range": 0.02}
    sizes = config(
        vision_config=vision,
        qformer_config=_queries(tokenizer),
        text_config=_language_model(text, tokenizer),
        num_query_tokens=QUERIES,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return network(sizes), built


def aria() -> tuple[Any, Any]:
    """Aria, whose processor knows no smaller images than 490 and takes 980: wide patches, and few queries."""
    tokenizer = build_tokenizer(image_token="<|img|>")
    processor = AriaProcessor(
        AriaImageProcessor(), tokenizer, chat_template=chat("<|img|>"), size_conversion={490: 4, 980: 8}
    )
    experts = {"moe_num_experts": 4, "moe_topk": 2, "moe_num_shared_experts": 1, "intermediate_size": 32}
    config = AriaConfig(
        vision_config={"model_type": "idefics3_vision", **VISION, "image_size": 980, "patch_size": 70},
        text_config={"model_type": "aria_text", **text_config(tokenizer, **experts)},
        projector_patch_to_query_dict={49: 4, 196: 8},
        image_token_index=tokenizer.image_token_id,
    )
    return AriaForConditionalGeneration(config), processor


def chameleon() -> tuple[Any, Any]:
    """Chameleon: a convolutional encoder and a codebook make each image 16 words of the vocabulary."""
    words = [f"IMGIMG{chr(ord('A') + code // 10)}{chr(ord('A') + code % 10)}Z" for code in range(16)]
    tokenizer = build_tokenizer("<sep>", *words, image_token="<image>", boi_token="<boi>", eoi_token="<eoi>")
    tokenizer.add_special_tokens({"sep_token": "<sep>"})
    images = ChameleonImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    processor = ChameleonProcessor(images, tokenizer, image_seq_length=16)
    config = ChameleonConfig(
        **text_config(tokenizer),
        vq_config={
            "embed_dim": 8,
            "num_embeddings": len(words),
            "latent_channels": 8,
            "resolution": 64,
            "base_channels": 32,  # the normalization has 32 groups
            "channel_multiplier": [1, 1, 1, 1, 1],
            "num_res_blocks": 1,
        },
        vocabulary_map=tokenizer.get_vocab(),
    )
    return ChameleonForConditionalGeneration(config), processor


def fuyu() -> tuple[Any, Any]:
    """Fuyu, which has no vision encoder: patches go through one linear layer to the language model."""
    marks = ["|SPEAKER|", "|NEWLINE|", "<0x04>", "\u2581"]
    plain = build_tokenizer()
    vocabulary = {**plain.get_vocab(), **{mark: len(plain) + i for i, mark in enumerate(marks)}}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    # The processor cuts off the space mark that the true tokenizer writes before every text.
    tokenizer.normalizer = normalizers.Prepend("\u2581")
    pieces = Regex(r"\|SPEAKER\||\|NEWLINE\||<0x04>|\u2581|[a-zA-Z0-9]+|[^a-zA-Z0-9\s]")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pieces, "isolated"), pre_tokenizers.WhitespaceSplit()]
    )
    tokenizer.decoder = plain.backend_tokenizer.decoder
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    built = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names, padding_side="left", model_max_length=2048)
    built.model_input_names = ["input_ids", "attention_mask"]
    images = FuyuImageProcessor(size={"height": 48, "width": 48}, patch_size=PATCH)
    processor = FuyuProcessor(images, built)
    config = FuyuConfig(
        image_size=48,
        patch_size=8,
        text_config={"model_type": "persimmon", **text_config(built), "qk_layernorm": True},
        image_token_id=processor.image_token_id,
    )
    return FuyuForCausalLM(config), processor


def kosmos2() -> tuple[Any, Any]:
    """Kosmos-2, whose processor writes 64 image tokens unless each call names another number."""
    tokenizer = build_tokenizer()
    processor = Kosmos2Processor(CLIPImageProcessor(size=SQUARE, do_center_crop=False), tokenizer, 16)
    sizes = text_config(tokenizer)
    names = ("vocab_size", "max_position_embeddings", "pad_token_id", "bos_token_id", "eos_token_id")
    config = Kosmos2Config(
        vision_config=VISION,
        text_config={
            **{name: sizes[name] for name in names},
            "embed_dim": 32,
            "layers": 2,
            "ffn_dim": 64,
            "attention_heads": 2,
            **UNTIED,
        },
        latent_query_num=64,
        **UNTIED,
    )
    network = Kosmos2ForConditionalGeneration(config)
    # As large as they begin, the queries would see nothing but themselves.
    network.image_to_text_projection.latent_query.data.mul_(0.02)
    return network, processor


def git() -> tuple[Any, Any]:
    """GIT: the model itself puts the image before the text, without a token for it."""
    tokenizer = build_tokenizer()
    processor = GitProcessor(CLIPImageProcessor(size=SQUARE, do_center_crop=False), tokenizer)
    sizes = text_config(tokenizer)
    del sizes["num_key_value_heads"]
    return GitForCausalLM(GitConfig(**sizes, vision_config=VISION)), processor


def florence2() -> tuple[Any, Any]:
    """Florence-2: image and question enter the encoder, the decoder writes the answer."""
    tokenizer = build_tokenizer(image_token="<image>")
    images = CLIPImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False)
    images.image_seq_length = 17
    processor = Florence2Processor(images, tokenizer)
    sizes = text_config(tokenizer)
    names = ("vocab_size", "max_position_embeddings", "pad_token_id", "bos_token_id", "eos_token_id")
    halves = [f"{half}_{name}" for half in ("encoder", "decoder") for name in ("layers", "attention_heads")]
    config = Florence2Config(
        vision_config={
            "depths": [1, 1, 1],
            "patch_size": [7, 3, 3],
            "patch_stride": [4, 2, 2],
            "patch_padding": [3, 1, 1],
            "patch_prenorm": [False, True, True],
            "embed_dim": [32, 32, 32],
            "num_heads": [2, 2, 2],
            "num_groups": [2, 2, 2],
            "window_size": 4,
            "mlp_ratio": 2.0,
            "projection_dim": 32,
        },
        text_config={
            "model_type": "bart",
            **{name: sizes[name] for name in names},
            **dict.fromkeys(halves, 2),
            "d_model": 32,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "decoder_start_token_id": tokenizer.eos_token_id,
            "forced_eos_token_id": None,
            **UNTIED,
        },
        **UNTIED,
        image_token_id=tokenizer.image_token_id,
    )
    return Florence2ForConditionalGeneration(config), processor


def emu3() -> tuple[Any, Any]:
    """Emu3: a convolutional encoder and a codebook make each image rows of words of the vocabulary."""
    words = [f"<|visual token {code:06d}|>" for code in range(16)]
    tokenizer = build_tokenizer(
        "<|extra_200|>",
        *words,
        image_token="<image>",
        boi_token="<|image start|>",
        eoi_token="<|image end|>",
        image_wrapper_token="<|image token|>",
        eof_token="<|extra_201|>",
    )
    # The processor writes the first token itself.
    template = chat("<image>").removeprefix("{{ '<s>' }}")
    processor = Emu3Processor(Emu3ImageProcessor(min_pixels=32 * 32, max_pixels=48 * 48), tokenizer, template)
    config = Emu3Config(
        vq_config={
            "codebook_size": len(words),
            "base_channels": 32,  # the normalization has 32 groups
            "channel_multiplier": [1, 1, 1, 1],  # the processor counts on a division by 8
            "num_res_blocks": 1,
            "hidden_size": 32,
        },
        text_config=text_config(tokenizer),
        vocabulary_map=tokenizer.get_vocab(),
    )
    return Emu3ForConditionalGeneration(config), processor


def blip() -> tuple[Any, Any]:
    """BLIP: the text attends to the image by cross-attention; `generate` cuts off a text's last token."""
    tokenizer = _framed(build_tokenizer())
    processor = BlipProcessor(BlipImageProcessor(size=SQUARE), tokenizer)
    sizes = text_config(tokenizer, sep_token_id=tokenizer.eos_token_id, projection_dim=32)
    del sizes["num_key_value_heads"]
    vision = {**VISION, "initializer_range": 0.02, "projection_dim": 32}
    config = BlipConfig(vision_config=vision, text_config=sizes, projection_dim=32)
    return BlipForConditionalGeneration(config), processor


def kosmos2_5() -> tuple[Any, Any]:
    """Kosmos-2.5, with fewer patches than the 4096 that the processor asks for (saving forgets the number)."""
    tokenizer = build_tokenizer(boi_token="<image>", eoi_token="</image>", image_token="<i>")
    processor = Kosmos2_5Processor(Kosmos2_5ImageProcessor(patch_size=PATCH), tokenizer, num_image_tokens=QUERIES)
    processor.images_kwargs = {**processor.images_kwargs, "max_patches": 24}
    sizes = text_config(tokenizer)
    names = ("vocab_size", "max_position_embeddings", "pad_token_id", "bos_token_id", "eos_token_id")
    config = Kosmos2_5Config(
        vision_config={
            "hidden_size": 32,
            "patch_embed_hidden_size": 3 * 8 * 8,
            "intermediate_size": 64,
            "head_dim": 16,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
        },
        text_config={
            **{name: sizes[name] for name in names},
            "embed_dim": 32,
            "layers": 2,
            "ffn_dim": 64,
            "attention_heads": 2,
            **UNTIED,
            "init_std": 0.1,
        },
        latent_query_num=QUERIES,
        **UNTIED,
    )
    return Kosmos2_5ForConditionalGeneration(config), processor


def pp_chart2table() -> tuple[Any, Any]:
    """PP-Chart2Table, which is GOT-OCR 2's network; the chat template, not the processor, writes all image tokens."""
    tokenizer = build_tokenizer(image_token="<imgpad>", boi_token="<img>", eoi_token="</img>")
    images = PPChart2TableImageProcessor(size={"height": 64, "width": 64})
    template = chat("<img>" + 4 * "<imgpad>" + "</img>")
    processor = PPChart2TableProcessor(images, tokenizer, chat_template=template)
    vision = {name: value for name, value in VISION.items() if name != "intermediate_size"}
    own = {"image_size": 64, "window_size": 3, "global_attn_indexes": [2], "mlp_dim": 64, "output_channels": 32}
    config = PPChart2TableConfig(
        vision_config={**vision, **own, "initializer_range": 0.02},
        text_config={"model_type": "qwen2", **text_config(tokenizer, **UNTIED)},
        image_token_index=tokenizer.image_token_id,
        image_seq_length=4,
        **UNTIED,
    )
    return GotOcr2ForConditionalGeneration(config), processor


def instructblipvideo() -> tuple[Any, Any]:
    """InstructBLIP for videos of four frames: a still image is four times the same frame."""
    tokenizer = build_tokenizer()
    videos = InstructBlipVideoVideoProcessor(size=SQUARE)
    processor = InstructBlipVideoProcessor(videos, tokenizer, _framed(build_tokenizer()), num_query_tokens=QUERIES)
    config = InstructBlipVideoConfig(
        vision_config={**VISION, "initializer_range": 0.02},
        qformer_config=_queries(tokenizer),
        text_config=_language_model("llama", tokenizer),
        num_query_tokens=QUERIES,
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
    )
    return InstructBlipVideoForConditionalGeneration(config), processor


def pix2struct() -> tuple[Any, Any]:
    """Pix2Struct, the question at the start of what the decoder writes; saving forgets the small number of patches."""
    tokenizer = build_tokenizer()
    processor = Pix2StructProcessor(Pix2StructImageProcessor(patch_size=PATCH), tokenizer)
    processor.images_kwargs = {"max_patches": 24}
    config = Pix2StructConfig(
        vision_config={
            "hidden_size": 32,
            "patch_embed_hidden_size": 3 * 8 * 8,
            "d_ff": 64,
            "d_kv": 16,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "initializer_range": 0.02,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "d_kv": 16,
            "d_ff": 64,
            "num_layers": 2,
            "num_heads": 2,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "decoder_start_token_id": tokenizer.pad_token_id,
        },
    )
    return Pix2StructForConditionalGeneration(config), processor


def udop() -> tuple[Any, Any]:
    """UDOP without the words of a text recognizer, which its processor takes as `text_pair` with `boxes`."""
    pieces = build_tokenizer().get_vocab()
    words = [piece for piece in pieces if not piece.startswith(("#", "<"))]
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    scores = [(piece, -9.0) for piece in ["<", "#", *words]]
    tokenizer = UdopTokenizer(vocab=marks + scores)
    processor = UdopProcessor(LayoutLMv3ImageProcessor(apply_ocr=False, size=SQUARE), tokenizer)
    config = UdopConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        image_size=SIDE,
        patch_size=8,
        decoder_start_token_id=tokenizer.pad_token_id,
        **UNTIED,
    )
    return UdopForConditionalGeneration(config), processor


def donut() -> tuple[Any, Any]:
    """Donut, a Swin encoder with an MBART decoder, which begins with the question and goes on with the answer."""
    tokenizer = build_tokenizer()
    marks = ["<s_docvqa>", "<s_question>", "</s_question>", "<s_answer>", "</s_answer>"]
    tokenizer.add_tokens(marks, special_tokens=True)
    processor = DonutProcessor(DonutImageProcessor(size={"height": 64, "width": 48}), tokenizer)
    sizes = text_config(tokenizer)
    names = ("vocab_size", "max_position_embeddings", "pad_token_id", "bos_token_id", "eos_token_id")
    decoder = MBartConfig(
        **{name: sizes[name] for name in names},
        d_model=32,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        encoder_layers=2,  # not built, but a cache counts them
        encoder_ffn_dim=64,
        encoder_attention_heads=2,
        scale_embedding=True,
        forced_eos_token_id=None,
        **UNTIED,
    )
    encoder = DonutSwinConfig(
        image_size=[64, 48], patch_size=4, embed_dim=16, depths=[1, 2], num_heads=[2, 2], window_size=4, mlp_ratio=2.0
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder,
        decoder,
        decoder_start_token_id=tokenizer.convert_tokens_to_ids("<s_docvqa>"),
        pad_token_id=tokenizer.pad_token_id,
        **UNTIED,
    )
    return VisionEncoderDecoderModel(config), processor


_BLIP2 = partial(querying, Blip2Config, Blip2ForConditionalGeneration, Blip2Processor)
_INSTRUCTBLIP = partial(querying, InstructBlipConfig, InstructBlipForConditionalGeneration, InstructBlipProcessor)
BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "blip-2": partial(_BLIP2, "opt"),
    "blip-2/t5": partial(_BLIP2, "t5"),
    "instructblip": partial(_INSTRUCTBLIP, "llama"),
    "instructblip/t5": partial(_INSTRUCTBLIP, "t5"),
    "aria": aria,
    "chameleon": chameleon,
    "fuyu": fuyu,
    "kosmos-2": kosmos2,
    "git": git,
    "florence2": florence2,
    "emu3": emu3,
    "blip": blip,
    "kosmos-2.5": kosmos2_5,
    "pp_chart2table": pp_chart2table,
    "instructblipvideo": instructblipvideo,
    "pix2struct": pix2struct,
    "udop": udop,
    "vision-encoder-decoder": donut,
}
