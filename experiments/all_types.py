"""Write the tables of types and encoders in docs/families.md: `python -m experiments.all_types` (three minutes).

Builds a small model of every type that transformers lists as image-text-to-text, saves it, loads it as a published one
would be, and describes what was found. Nothing is downloaded.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from textwrap import fill

import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from experiments.families import PAGE, PUBLISHED
from experiments.markers import put, table
from tests.support.small_families import BUILDERS, OTHERS, small
from vqttt.errors import VQTTTError
from vqttt.models import load_model
from vqttt.models.base import Model
from vqttt.models.discovered import facts
from vqttt.models.discovered.answering import AnsweringModel
from vqttt.models.discovered.family import Discovered
from vqttt.models.discovered.places import Patches
from vqttt.models.discovered.verify import QUESTIONS, random_images, verified
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.tunable import TunableModel

LISTED = tuple(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
"""The types that transformers lists as image-text-to-text."""

NAMES = {
    "apertus1p5": "Apertus 1.5",
    "aria": "Aria",
    "aya_vision": "Aya Vision",
    "blip": "BLIP",
    "blip-2": "BLIP-2",
    "chameleon": "Chameleon",
    "cogvlm": "CogVLM",
    "cogvlm2": "CogVLM2",
    "cohere2_vision": "Command A Vision",
    "cohere_compass": "North Vision",
    "cosmos3_edge": "Cosmos 3 Edge",
    "cosmos3_omni": "Cosmos 3 Nano",
    "deepseek_ocr2": "DeepSeek-OCR 2",
    "deepseek_vl": "DeepSeek-VL 1.3B",
    "deepseek_vl_hybrid": "DeepSeek-VL 7B",
    "diffusion_gemma": "DiffusionGemma",
    "dots3_note": "dots3 note",
    "emu3": "Emu3",
    "ernie4_5_vl_moe": "ERNIE 4.5 VL",
    "evolla": "Evolla",
    "exaone4_5": "EXAONE 4.5",
    "fast_vlm": "FastVLM",
    "florence2": "Florence-2",
    "fuyu": "Fuyu",
    "gemma3": "Gemma 3",
    "gemma3n": "Gemma 3n",
    "gemma4": "Gemma 4",
    "gemma4_unified": "Gemma 4 12B",
    "git": "GIT",
    "glm46v": "GLM-4.6V",
    "glm4v": "GLM-4.1V",
    "glm4v_moe": "GLM-4.5V",
    "glm5_next": "GLM-5.3 Flash",
    "glm_ocr": "GLM-OCR",
    "glmga": "GLM-GA",
    "got_ocr2": "GOT-OCR 2.0",
    "granite4_vision": "Granite 4 Vision",
    "granite_docling": "Granite Docling",
    "hunyuan_vl": "HunyuanOCR",
    "hy_v4_vl": "Hy4",
    "hyperclovax_vision_v2": "HyperCLOVA X SEED Think",
    "idefics": "IDEFICS",
    "idefics2": "Idefics2",
    "idefics3": "Idefics3",
    "inkling2": "Inkling 2 Small",
    "inkling2_loop": "Inkling 2 Mini",
    "inkling_mm_model": "Inkling",
    "instructblip": "InstructBLIP",
    "instructblipvideo": "InstructBLIP for videos",
    "internvl": "InternVL 2.5 and 3",
    "janus": "Janus",
    "kimi_k25": "Kimi K2.5 and K2.6",
    "kosmos-2": "Kosmos-2",
    "kosmos-2.5": "Kosmos-2.5",
    "lfm2_vl": "LFM2-VL",
    "lfm3_vl": "LFM3-VL",
    "lighton_ocr": "LightOnOCR",
    "llama4": "Llama 4",
    "llava": "LLaVA 1.5",
    "llava_next": "LLaVA-NeXT",
    "llava_next_video": "LLaVA-NeXT-Video",
    "llava_onevision": "LLaVA-OneVision",
    "minicpm_ocr": "MiniCPM-OCR",
    "minicpmv4_6": "MiniCPM-V 4.6",
    "minicpmv4_7": "MiniCPM-V 4.7",
    "minimax_m3_vl": "MiniMax M3",
    "mistral3": "Mistral Small 3.1",
    "mistral4": "Mistral Small 4, its language model",
    "mistral_large4": "Mistral Large 4",
    "mllama": "Llama 3.2 Vision",
    "molmo2": "Molmo 2",
    "muse_glimmer": "Muse Glimmer",
    "muse_spark": "Muse Spark",
    "nemotron_h_omni": "Nemotron 3 Nano Omni",
    "ovis2": "Ovis2",
    "paddleocr_vl": "PaddleOCR-VL",
    "paligemma": "PaliGemma 1 and 2",
    "perception_lm": "Perception LM",
    "pi0": "π0",
    "pix2struct": "Pix2Struct",
    "pp_chart2table": "PP-Chart2Table",
    "pp_formulanet": "PP-FormulaNet",
    "qianfan_ocr": "Qianfan-OCR",
    "qwen2_5_omni_thinker": "Qwen2.5-Omni",
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen2_vl": "Qwen2-VL",
    "qwen3_5": "Qwen3.5",
    "qwen3_5_moe": "Qwen3.5 with experts",
    "qwen3_omni_moe_thinker": "Qwen3-Omni",
    "qwen3_vl": "Qwen3-VL",
    "qwen3_vl_moe": "Qwen3-VL with experts",
    "qwen4_exp": "Qwen4 Exp",
    "shieldgemma2": "ShieldGemma 2",
    "smolvlm": "SmolVLM 1 and 2",
    "step3p7": "Step 3.7 Flash",
    "t5gemma2": "T5Gemma 2",
    "udop": "UDOP",
    "unlimited_ocr": "Unlimited-OCR",
    "video_llama_3": "VideoLLaMA 3",
    "video_llava": "Video-LLaVA",
    "vipllava": "ViP-LLaVA",
    "vision-encoder-decoder": "Donut and others",
}
"""A published model of each type, in the words that people know it by."""

NOTES = {
    "deepseek_ocr2": "LoRA in SAM, not in the encoder after it",
    "deepseek_vl_hybrid": "SigLIP and SAM; LoRA in SigLIP",
    "fast_vlm": "LoRA only in blocks with attention; needs timm",
    "gemma3n": "vision encoder without linear attention layers; needs timm",
    "got_ocr2": "checked as built: a saved processor forgets a smaller number of image tokens",
    "inkling_mm_model": "vision encoder without attention",
    "lfm3_vl": "LoRA only in blocks with attention",
    "perception_lm": "needs timm",
    "step3p7": "the tiles of an image are joined",
    "unlimited_ocr": "LoRA in SAM, not in CLIP after it",
}
"""What the model itself cannot tell."""

ENCODERS = {
    "CLIPEncoderLayer": "CLIP",
    "IdeficsVisionEncoderLayer": "CLIP",
    "Kosmos2VisionEncoderLayer": "CLIP",
    "Idefics2EncoderLayer": "SigLIP",
    "Idefics3EncoderLayer": "SigLIP",
    "JanusVisionEncoderLayer": "SigLIP",
    "SiglipEncoderLayer": "SigLIP",
    "SmolVLMEncoderLayer": "SigLIP",
    "GraniteDoclingEncoderLayer": "SigLIP",
    "MiniCPMV4_6VisionEncoderLayer": "SigLIP",
    "MiniCPMV4_7VisionEncoderLayer": "SigLIP",
    "MiniCPMOcrVisionEncoderLayer": "SigLIP",
    "PaddleOCRVisionEncoderLayer": "SigLIP",
    "VideoLlama3VisionEncoderLayer": "SigLIP",
    "Cosmos3EdgeVisionEncoderLayer": "SigLIP 2",
    "Molmo2VisionEncoderLayer": "SigLIP 2",
    "Siglip2EncoderLayer": "SigLIP 2",
    "Dinov2Layer": "DINOv2",
    "DINOv3ViTLayer": "DINOv3",
    "DeepseekOcr2SamVisionLayer": "SAM",
    "GotOcr2VisionLayer": "SAM",
    "SamVisionLayer": "SAM",
    "UnlimitedOcrSamVisionLayer": "SAM",
    "Blip2EncoderLayer": "EVA-CLIP",
    "InstructBlipEncoderLayer": "EVA-CLIP",
    "VisionBlock": "EVA-CLIP",  # CogVLM's
    "EvaBlock": "Perception Encoder, as timm's Eva",
    "InternVLVisionLayer": "InternViT",
    "QianfanOCRVisionLayer": "InternViT",
    "Exaone4_5_VisionBlock": "Qwen's",
    "Qwen2VLVisionBlock": "Qwen's",
    "Qwen2_5_VLVisionBlock": "Qwen's",
    "Qwen2_5OmniVisionBlock": "Qwen's",
    "Qwen3OmniMoeVisionBlock": "Qwen's",
    "Qwen3VLMoeVisionBlock": "Qwen's",
    "Qwen3VLVisionBlock": "Qwen's",
    "Qwen3_5MoeVisionBlock": "Qwen's",
    "Qwen3_5VisionBlock": "Qwen's",
    "Qwen4ExpVisionBlock": "Qwen's",
    "Kimi_K25VisionEncoderLayer": "MoonViT",
    "PixtralAttentionLayer": "Pixtral's",
    "Ovis2VisionEncoderLayer": "AIMv2",
    "RadioLayer": "RADIO",
    "Florence2VisionBlock": "DaViT",
    "AttentionBlock": "FastViT, LoRA only in its attention blocks",
}
"""What the vision encoder is whose blocks have such a class. Others are of the type's own, or there is none."""

NOWHERE = "no blocks with attention, kernel alone"
"""What stands in place of an encoder that only has convolutions, or is missing."""

UNSAVED = ("got_ocr2",)
"""Small models that do not survive saving."""

OWN, FOUND, ANSWERS, NO = "own file", "discovered", "answers only", "no"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known about a type.

    Attributes:
        how: whether it works: `OWN`, `FOUND`, `ANSWERS` or `NO`.
        holds: whether every check held.
        pixels: how its processor lays out images.
        adapters: where the vision blocks are that LoRA may adapt, and what a row of their input is.
        images: how many images a question may have.
        notes: the rest.
        encoder: the class of the vision blocks.
    """

    how: str
    holds: bool = False
    pixels: str = ""
    adapters: str = ""
    images: str = ""
    notes: Sequence[str] = ()
    encoder: str = ""


def missing() -> dict[str, Row]:
    """Return the types that do not work."""
    return {name: Row(how=NO, notes=[reason]) for name, reason in facts.REFUSED.items()}


def tried(name: str) -> Row:
    """Build a small model, load it from a folder, and describe what was found."""
    try:
        model = _loaded(name)
    except VQTTTError as error:
        return Row(how=NO, notes=[str(error).rpartition("cannot be used: ")[2]])
    inner = model.model if isinstance(model, AnsweringModel) else model
    assert isinstance(inner, HuggingFaceModel)
    model_type, untunable = name.partition("/")[0], getattr(model, "untunable", "")
    notes = [f"not tuned: {untunable}"] if untunable else []
    notes += [NOTES[model_type]] if model_type in NOTES else []
    notes += ["no chat template; asked in its publisher's words"] if model_type in facts.PROMPTS else []
    return Row(
        how=ANSWERS if untunable else FOUND if isinstance(inner, Discovered) else OWN,
        holds=not untunable and not any(check.failed for check in verified(inner)),
        pixels=_pixels(inner) if isinstance(inner, Discovered) else PUBLISHED[model_type].layout,
        adapters="none" if untunable else _adapters(inner),
        images=_images(inner),
        notes=notes,
        encoder=next((type(block).__name__ for block in inner.vision_blocks), ""),
    )


def _loaded(name: str) -> Model:
    model = small(name)
    small.cache_clear()
    if name in UNSAVED:
        return model
    with TemporaryDirectory() as folder:
        model.network.save_pretrained(folder)
        model.processor.save_pretrained(folder)
        return load_model(folder)


def _pixels(model: Discovered) -> str:
    """Say how images are laid out in each tensor of pixels."""
    inputs, words = model.probe(), []
    for key, place in model.places(inputs).items():
        tiled = len(place.areas()[0]) > len(inputs.owner)
        if isinstance(place, Patches):
            packed = "packed patches" + " of tiles" * tiled
            kind = packed if model.found.layouts[key].joined else f"patches by {'tile' if tiled else 'image'}"
            padded = bool((place.frame < 0).any())
        else:
            kind, padded = "tiles" if tiled else "whole images", place.mask is not None
        words.append(kind + ", padded" * padded)
    return f"{words[0]}, in two sizes" if len(words) > len(set(words)) else "; ".join(words)


def _adapters(model: TunableModel) -> str:
    """Say where the vision blocks are that LoRA may adapt, and what a row of their input is."""
    if not any(model.lora_targets(block) for block in model.vision_blocks):
        return "kernel alone"
    paths = {module: path for path, module in model.network.named_modules()}
    path = paths[model.vision_blocks[0]].rpartition(".")[0]
    row = model.vision.seen.rows if isinstance(model, Discovered) else _row(model)
    return f"`{path.removeprefix('model.')}`, " + (f"a row per {row}" if row else "rows not known")


def _row(model: TunableModel) -> str:
    """Say what a vision block's input has one row for, in the words of `vqttt.models.discovered.vision`."""
    inputs = model.encode(random_images(), list(QUESTIONS))
    rows, shown = len(model.row_owner(inputs)), model.pixels(inputs)
    real = len(shown.owner) if shown.mask is None else int(shown.mask.flatten(1).any(1).sum())
    if rows == real:
        return "image or tile"
    if rows == len(shown.owner):
        return "image or tile, or padding"
    return "image with all its tiles" if rows == inputs.count else "patch"


def _images(model: HuggingFaceModel) -> str:
    """Say how many images a question may have."""
    most = "any number" if model.bare else "one or more"
    fewest = "one or none" if model.bare else "one"
    alike = ", all or none in a batch" if model.bare and not model.mixes else ""
    return (most if model.several else fewest) + alike


def whole(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return a row for each type; one with another encoder is a note where it differs."""
    found = {name: row for name, row in rows.items() if "/" not in name}
    for name, row in rows.items():
        model_type, _, variant = name.partition("/")
        if variant and row.how != found[model_type].how:
            note = f"`{name}`: {row.how}, {row.pixels}"
            found[model_type] = replace(found[model_type], notes=[*found[model_type].notes, note])
    return dict(sorted(found.items(), key=lambda one: one[0].lower()))


def summary(rows: Mapping[str, Row], models: Mapping[str, Row]) -> str:
    """Say in a few lines how many types work.

    Args:
        rows: of each type.
        models: of each small model; some types have several, with other encoders.
    """
    count = Counter(rows[name].how for name in LISTED)
    own = " and ".join(NAMES[name] for name in rows if name not in LISTED)
    tunable = [row for row in models.values() if row.how in (OWN, FOUND)]
    words = (
        f"Of the {len(LISTED)} types that transformers lists as image-text-to-text, **{count[OWN]} work by a file of "
        f"their own, {count[FOUND]} are discovered, {count[ANSWERS]} answer only, and {count[NO]} do not work**. "
        f"{sum(rows[name].holds for name in LISTED)} can be tuned and pass every check. {own} are not in transformers "
        f"and have files of their own too. In all, {sum(row.holds for row in tunable)} of {len(tunable)} small models "
        "that can be tuned pass every check; some types have several, with other encoders."
    )
    return fill(words, 120, break_on_hyphens=False)


def types(rows: Mapping[str, Row], models: Mapping[str, Row]) -> str:
    """Return the summary and the table of types."""
    header = ("type", "how", "pixels", "adapters", "images", "notes")
    body = [
        (f"`{name}`: {NAMES[name]}", row.how, row.pixels, row.adapters, row.images, "; ".join(row.notes))
        for name, row in rows.items()
    ]
    return f"{summary(rows, models)}\n\n{table(header, body, left=len(header))}"


def encoders(models: Mapping[str, Row]) -> str:
    """Return the table of vision encoders."""
    found: dict[str, list[str]] = {one: [] for one in (*ENCODERS.values(), "of their own", NOWHERE)}
    for name, row in models.items():
        if row.how != NO:
            found[ENCODERS.get(row.encoder, "of their own") if row.encoder else NOWHERE].append(f"`{name}`")
    return table(("vision encoder", "small models"), [(one, ", ".join(names)) for one, names in found.items()], left=2)


def main() -> None:
    """Try every type, and write the tables."""
    torch.set_num_threads(1)
    models = missing()
    with TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache  # no verdict of an earlier run
        for name in (*BUILDERS, *OTHERS):
            models[name] = tried(name)
            print(f"{name}: {models[name].how}; {'; '.join(models[name].notes)}", flush=True)
    put(PAGE, "types", types(whole(models), models))
    put(PAGE, "encoders", encoders(models))
    if wrong := [name for name, row in models.items() if not row.holds and row.how in (OWN, FOUND)]:
        raise SystemExit(f"some checks failed: {', '.join(wrong)}")
    if wrong := [name for name in (*BUILDERS, *OTHERS) if models[name].how == NO]:
        raise SystemExit(f"these do not work, without a reason in facts.REFUSED: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
