"""A model that answers, and whose insides cannot be reached in the way that tuning needs."""

from collections.abc import Sequence

from vqttt.models.base import Generation, Inputs, Model, Shown
from vqttt.models.batch import Given
from vqttt.models.huggingface import HuggingFaceModel


class AnsweringModel(Model):
    """A model in this process for studies, restorers and methods that only need answers.

    Attributes:
        untunable: why it cannot be tuned.
    """

    def __init__(self, model: HuggingFaceModel, untunable: str) -> None:
        """Store a model that answers, and the reason."""
        self.name, self.model, self.untunable = model.name, model, untunable
        self.context = model.context

    def batch_of(self, images: Sequence[Given], questions: Sequence[str]) -> Inputs:
        """Encode a batch, and keep what it was made of."""
        return self.model.batch_of(images, questions)

    def generate(self, inputs: Inputs, max_new_tokens: int) -> Generation:
        """Answer a batch greedily."""
        return self.model.generate(inputs, max_new_tokens)

    def select(self, inputs: Inputs, rows: Sequence[int]) -> Inputs:
        """Return a batch of the samples `rows`, encoded again."""
        return self.batch_of([inputs.images[n] for n in rows], [inputs.questions[n] for n in rows])

    def sample(self, inputs: Inputs, max_new_tokens: int, temperature: float, seed: int) -> Generation:
        """Answer a batch by tokens drawn at random."""
        return self.model.sample(inputs, max_new_tokens, temperature, seed)

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> Generation:
        """Answer greedily."""
        return self.model.answer(images, questions, max_new_tokens)

    def fingerprint(self) -> str:
        """Return a hash of the weights."""
        return self.model.fingerprint()

    def piece(self, token: int) -> str:
        """Return the text of a token."""
        return self.model.piece(token)

    @property
    def device_type(self) -> str:
        """The type of the weights' device, such as `cpu` or `cuda`."""
        return self.model.device_type
