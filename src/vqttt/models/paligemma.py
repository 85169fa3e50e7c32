"""PaliGemma (Beyer et al. 2024) and PaliGemma 2: images of one size, then a prompt with full attention."""

from collections.abc import Sequence

from PIL import Image as PILImage
from torch import Tensor

from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.prompts import special_tokens


class PaliGemma(HuggingFaceModel):
    """PaliGemma; it has no chat template, and its prompts begin with the name of a task."""

    mixes = False
    answer_type = 1  # attention is bidirectional in prompts (type 0) and causal in answers

    def prompt(self, question: str, images: int = 1) -> str:
        """Return the prompt of visual question answering in English."""
        return f"{self.processor.image_token * images}answer en {question}"

    def process(self, shown: list[list[PILImage.Image]], questions: Sequence[str]) -> dict[str, Tensor]:
        """Run the stock processor, or its tokenizer if there are no images, since it requires one in each prompt."""
        if any(shown):
            return super().process(shown, questions)
        tokenizer = self.processor.tokenizer
        text = [f"{tokenizer.bos_token}{self.prompt(question, 0)}\n" for question in questions]
        more = special_tokens(tokenizer, text)
        return dict(tokenizer(text, return_tensors="pt", padding=True, return_token_type_ids=True, **more))
