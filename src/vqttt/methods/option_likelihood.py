"""Multiple choice by likelihood: of a question's options, the one whose letter the untuned model finds likeliest."""

import time

import torch

from vqttt.methods.base import Method, Outcome, compose
from vqttt.models.base import Generation, Inputs
from vqttt.models.likelihood import option_likelihoods
from vqttt.types import LETTERS, Answer


class Likeliest(Method):
    """Answer by a letter where there are options, and with the untuned answer where there are none.

    Confidence and entropy are those of the distribution over the options.
    """

    def answer(self, inputs: Inputs, base: Generation) -> list[Answer]:
        """Return the likeliest letters."""
        began = time.perf_counter()
        letters = [LETTERS[: len(options)] for options in inputs.options] or [""] * inputs.count
        likelihoods = option_likelihoods(self.model, inputs, [list(of_sample) for of_sample in letters])
        before = Outcome.of(base)
        asked = [n for n, of_sample in enumerate(letters) if of_sample]
        shares = {n: torch.tensor(likelihoods[n], dtype=torch.float64).softmax(0) for n in asked}
        chosen = Outcome(
            texts=[letters[n][int(shares[n].argmax())] for n in asked],
            confidences=[float(shares[n].max()) for n in asked],
            entropies=[float(torch.special.entr(shares[n]).sum()) for n in asked],
        )
        return compose(
            before,
            before.replaced(chosen, {n: i for i, n in enumerate(asked)}),
            steps=[0] * inputs.count,
            rolled_back=[False] * inputs.count,
            seconds=time.perf_counter() - began,
        )
