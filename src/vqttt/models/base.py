"""The interface to any model: images and questions in, texts and the probabilities of their tokens out.

That is all that a study, restorers and methods without tuning need, and a model behind a server can offer it. A model
that can be tuned offers more (`vqttt.models.tunable`).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from vqttt.errors import UnsupportedError
from vqttt.models.batch import Given, Inputs, Shown, as_shown, check_asked
from vqttt.models.generation import Generation, ListedGeneration
from vqttt.models.questions import plain
from vqttt.models.usage import Usage

__all__ = [
    "Generation",
    "Inputs",
    "ListedGeneration",
    "Model",
    "Shown",
]


class Model(ABC):
    """A multimodal large language model (MLLM) that answers questions about images.

    Attributes:
        name: identifies the model in records.
        scope: a sentence on the only questions that the model can answer; empty if it is meant for any.
        independent: whether it answers the samples of a batch apart from each other, so that none can spoil another.
        certain: whether it says how certain it is of its answers.
        context: tokens of a prompt and its answer together at most; 0 if that is not known.
        untunable: why it cannot be tuned, if that was found out when it was loaded.
        usage: what was sent to its server so far; nothing for a model in this process.
    """

    name: str
    scope: str = ""
    independent: bool = False
    certain: bool = True
    context: int = 0
    untunable: str = ""
    usage: Usage = Usage()

    @abstractmethod
    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> Generation:
        """Answer N questions greedily, each about one image, several or none (see `Shown`)."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a text that identifies the model whatever its name: a hash of its weights, if they are available."""

    def tuned_for(self) -> str:
        """Return what must be the same where something that was learned with this model is used: its fingerprint."""
        return self.fingerprint()

    def batch_of(self, images: Sequence[Given], questions: Sequence[str]) -> Inputs:
        """Return a batch of N samples in the form that methods take: what was given, encoded if the model allows that.

        A question is text: markers of images in it have no effect (see `without_markers`).
        """
        check_asked(images, questions)
        asked = tuple(map(plain, questions))
        return Inputs(tensors={}, count=len(asked), images=as_shown(images), questions=asked)

    def generate(self, inputs: Inputs, max_new_tokens: int) -> Generation:
        """Answer a batch greedily."""
        return self.answer(inputs.images, inputs.questions, max_new_tokens)

    def ask(self, images: Sequence[Given], questions: Sequence[str], max_new_tokens: int) -> tuple[Inputs, Generation]:
        """Return a batch (see `batch_of`), and greedy answers to it."""
        inputs = self.batch_of(images, questions)
        return inputs, self.generate(inputs, max_new_tokens)

    def select(self, inputs: Inputs, rows: Sequence[int]) -> Inputs:
        """Return a batch of the samples `rows`, in that order; a sample may be repeated."""
        return inputs.select(rows)

    def piece(self, token: int) -> str:
        """Return the text of a token of the vocabulary as it stands in an answer, spaces included."""
        return str(token)

    def check_allowance(self, count: int) -> None:
        """See that so many answers may be asked for; only a server's may be limited.

        Raises:
            RequestsSpentError: if they may not.
        """
        return

    def may_look(self) -> bool:
        """Tell whether there is time to answer once more; only where somebody waits for an answer there may be none."""
        return True

    def sample(self, inputs: Inputs, max_new_tokens: int, temperature: float, seed: int) -> Generation:
        """Answer a batch by drawing tokens at random; the same seed draws the same.

        Raises:
            UnsupportedError: if the model only answers greedily.
        """
        raise UnsupportedError(f"{self.name} answers greedily only; leave out the temperature, or set it to 0")

    def close(self) -> None:
        """Give up connections, if there are any; nothing can be asked after that."""
        return

    @property
    def device_type(self) -> str:
        """The type of device that the model runs on, such as `cpu` or `cuda`; `remote` if it is not known."""
        return "remote"
