"""Multiple choice by likelihood: of a question's options, the one whose letter the untuned model finds likeliest."""

from typing import Any

import torch

from vqttt.methods.attempts import Attempt, Outcome
from vqttt.methods.base import Method
from vqttt.models.base import Generation, Inputs, ListedGeneration, Model
from vqttt.models.likelihood import listed_likelihoods, option_likelihoods
from vqttt.types import letters_of


class OptionLikelihood(Method):
    """Answer by a letter where there are options, and with the untuned answer where there are none.

    Confidence and entropy are those of the distribution over the options. A model behind a server shows only its
    likeliest tokens: a question of which no letter is among them keeps its untuned answer.
    """

    needs = Model

    @classmethod
    def most_looks(cls, config: Any) -> int:
        """Return 0: the untuned answer's first token says all."""
        return 0

    def admitted(self, inputs: Inputs, before: Outcome) -> list[int]:
        """Return the samples that have options."""
        return [n for n, options in enumerate(inputs.options) if options]

    def attempts(self, inputs: Inputs, base: Generation, *, learn: bool = True) -> list[Attempt]:
        """Choose the likeliest letters."""
        letters = [list(letters_of(options)) for options in inputs.options]
        if isinstance(base, ListedGeneration):
            likelihoods = listed_likelihoods(base, letters)
        else:
            likelihoods = option_likelihoods(self.model, inputs, letters)
        shares = [torch.tensor(values, dtype=torch.float64).softmax(0) for values in likelihoods]
        outcome = Outcome(
            texts=[letters[n][int(share.argmax())] for n, share in enumerate(shares)],
            confidences=[float(share.max()) for share in shares],
            entropies=[float(torch.special.entr(share).sum()) for share in shares],
        )
        return [Attempt(how=["by likelihood"] * inputs.count, outcome=outcome, inputs=None)]
