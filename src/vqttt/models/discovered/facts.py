"""What trying cannot tell about a type of model: a line each, from its publisher's or transformers' documentation."""

from typing import Any

import torch
from torch import Tensor

PROMPT = "{images}{question}"
"""The prompt of a type without a chat template that is not in `PROMPTS`."""

PROMPTS = {
    "blip-2": "Question: {question} Answer:",
    "florence2": "{question}",
    "fuyu": "{question}\n",
    "git": "{question}",
    "instructblip": "{question}",
}
"""How a question is asked where there is no chat template; the processor adds the image itself."""

OPTIONS: dict[str, dict[str, Any]] = {
    "cosmos3_edge": {"return_mm_token_type_ids": True},  # its network needs them, its processor leaves them out
}
"""Options that a type's processor needs."""

REFUSED = {
    "blip": "the checkpoints that transformers loads here write captions and do not answer questions",
    "diffusion_gemma": "it writes blocks of text by diffusion, not token by token",
    "emu3": "an image's tokens depend on the other images of the batch",
    "evolla": "it takes proteins, not images",
    "instructblipvideo": "it takes videos, not still images",
    "kosmos-2": "in a batch, transformers counts padding in the positions of an answer's later tokens",
    "kosmos-2.5": "it finds padding by the values of the pixels, and norms each image by its own mean",
    "mistral4": "it is a language model without images; mistral3 has Mistral 4 with images",
    "pi0": "it gives a robot's movements, not text",
    "pix2struct": "it takes the question as part of the image, and norms each image by its own mean",
    "pp_formulanet": "it takes images of formulas alone, no question",
    "shieldgemma2": "it judges images by fixed policies and reads no questions",
    "udop": "it needs the words of the image and their places, read by another program",
    "vision-encoder-decoder": "each checkpoint has prompts of its own, which its files do not tell",
}
"""Types of transformers' image-text-to-text models that cannot be asked about a still image here, and why."""


def work_around() -> None:
    """Add what transformers 5.24 forgets.

    Without it every pass of Llama 4 fails, and HunYuan-VL counts the images of the whole batch in its positions, not
    those of a sample.
    """
    from transformers.modeling_outputs import MoeCausalLMOutputWithPast
    from transformers.models.hunyuan_vl.modeling_hunyuan_vl import HunYuanVLModel

    if not hasattr(MoeCausalLMOutputWithPast, "image_outputs"):
        MoeCausalLMOutputWithPast.image_outputs = None
    if not hasattr(HunYuanVLModel.get_rope_index, "whole"):
        HunYuanVLModel.get_rope_index = _one_by_one(HunYuanVLModel.get_rope_index)  # type: ignore[method-assign]


def _one_by_one(whole: Any) -> Any:
    """Return HunYuan-VL's function for the positions of a batch such that each sample has those that it has alone."""

    def positions(
        model: Any,
        input_ids: Tensor,
        mm_token_type_ids: Tensor,
        image_grid_thw: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **more: Any,
    ) -> tuple[Tensor, Tensor]:
        kinds = mm_token_type_ids if attention_mask is None else mm_token_type_ids * attention_mask
        images = ((kinds == 1) & (kinds.roll(1, 1) != 1)).sum(1).tolist()  # a prompt begins with text
        grids = [None] * len(images) if image_grid_thw is None else image_grid_thw.split(images)  # type: ignore[no-untyped-call]
        found = []
        for n, grid in enumerate(grids):
            own = {} if attention_mask is None else {"attention_mask": attention_mask[n : n + 1]}
            own |= {} if grid is None or not len(grid) else {"image_grid_thw": grid}
            found.append(whole(model, input_ids[n : n + 1], mm_token_type_ids[n : n + 1], **own, **more))
        return torch.cat([one for one, _ in found], 1), torch.cat([one for _, one in found])

    positions.whole = whole  # type: ignore[attr-defined]
    return positions
