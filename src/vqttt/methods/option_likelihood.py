"""Multiple choice by likelihood: of a question's options, the one whose letter the untuned model finds likeliest."""

import torch

from vqttt.methods.attempts import Attempt, Outcome
from vqttt.methods.base import Method
from vqttt.models.base import Inputs, LogitGeneration
from vqttt.models.likelihood import option_likelihoods
from vqttt.types import letters_of


class OptionLikelihood(Method):
    """Answer by a letter where there are options, and with the untuned answer where there are none.

    Confidence and entropy are those of the distribution over the options.
    """

    def admitted(self, inputs: Inputs, before: Outcome) -> list[int]:
        """Return the samples that have options."""
        return [n for n, options in enumerate(inputs.options) if options]

    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        """Choose the likeliest letters."""
        letters = [letters_of(options) for options in inputs.options]
        likelihoods = option_likelihoods(self.model, inputs, [list(of_sample) for of_sample in letters])
        shares = [torch.tensor(values, dtype=torch.float64).softmax(0) for values in likelihoods]
        outcome = Outcome(
            texts=[letters[n][int(share.argmax())] for n, share in enumerate(shares)],
            confidences=[float(share.max()) for share in shares],
            entropies=[float(torch.special.entr(share).sum()) for share in shares],
        )
        return [Attempt(how=["by likelihood"] * inputs.count, outcome=outcome, inputs=None)]
