"""PaliGemma (Beyer et al. 2024) and PaliGemma 2: images of one size before a prompt that is read as a whole."""

from collections.abc import Sequence

from PIL import Image as PILImage
from torch import Tensor

from vqttt.models.huggingface import HuggingFaceModel


class PaliGemma(HuggingFaceModel):
    """The PaliGemma seam; it has no chat template, a task's name begins its prompts."""

    mixes = False
    answer_type = 1  # prompts are looked at in both directions, answers in one

    def prompt(self, question: str, images: int = 1) -> str:
        """Ask in the form of visual question answering in English."""
        return f"{self.processor.image_token * images}answer en {question}"

    def process(self, shown: list[list[PILImage.Image]], questions: Sequence[str]) -> dict[str, Tensor]:
        """Run the stock processor; it knows no prompt without an image, so such a batch goes to its tokenizer."""
        if any(shown):
            return super().process(shown, questions)
        tokenizer = self.processor.tokenizer
        text = [f"{tokenizer.bos_token}{self.prompt(question, 0)}\n" for question in questions]
        return dict(tokenizer(text, return_tensors="pt", padding=True, return_token_type_ids=True))
