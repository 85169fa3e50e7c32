"""The likelihood of given answers: multiple choice without generated text, so no answer can have the wrong format."""

from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor

from vqttt.models.base import Inputs, ListedGeneration
from vqttt.models.tunable import TunableModel


@torch.no_grad()
def option_likelihoods(model: TunableModel, inputs: Inputs, options: Sequence[Sequence[str]]) -> list[list[float]]:
    """Return the log-probability that the answer begins with each option, in nats, at most 0.

    It is summed over the option's tokens, without the end token, so short options have an advantage over long ones,
    but no letter over another. Costs one forward pass if every option is one token, and otherwise as many as the
    longest list of options has entries.

    Args:
        model: the model that is asked.
        inputs: N encoded samples.
        options: the options of each sample, in order; an empty list skips the sample.

    Returns:
        one list per sample, with one number per option; NaN where the model's logits are not finite.

    Raises:
        ValueError: if there are not N lists of options, or an option has no token.
    """
    if len(options) != inputs.count:
        raise ValueError(f"{len(options)} lists of options for {inputs.count} samples; there must be one per sample")
    tokens = [[model.answer_tokens(option) for option in of_sample] for of_sample in options]
    lengths = {len(one) for of_sample in tokens for one in of_sample}
    if 0 in lengths:
        raise ValueError("an option has no token; an empty text cannot be an answer")
    if not lengths:
        return [[] for _ in options]
    if lengths == {1}:
        log_p = model.answer_logits(inputs)[:, 0].log_softmax(-1)
        return [[float(log_p[n, one[0]]) for one in of_sample] for n, of_sample in enumerate(tokens)]
    found: list[list[float]] = [[] for _ in options]
    for k in range(max(map(len, tokens))):
        given, mask = _padded([of_sample[k] if k < len(of_sample) else [] for of_sample in tokens], model.device)
        log_p = model.answer_logits(inputs, given).log_softmax(-1).gather(-1, given[..., None])[..., 0]
        sums = torch.where(mask, log_p, 0.0).sum(1).tolist()
        for n, of_sample in enumerate(tokens):
            if k < len(of_sample):
                found[n].append(sums[n])
    return found


def listed_likelihoods(answers: ListedGeneration, options: Sequence[Sequence[str]]) -> list[list[float]]:
    """Return the log-probability that each answer begins with each option, in nats, from the tokens that were listed.

    Costs nothing. An option counts with the likeliest token that has its text, whatever space is around it.

    Args:
        answers: N answers.
        options: the options of each answer, in order; each must be one token.

    Returns:
        one list per answer, with one number per option; minus infinity for an option that was not listed.
    """
    found = [[-inf] * len(of_answer) for of_answer in options]
    for n, tokens in enumerate(answers.shown):
        for text, value in tokens[0][1].items() if tokens else ():
            for k, option in enumerate(options[n]):
                if text.strip() == option:
                    found[n][k] = max(found[n][k], value)
    return found


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return rows of tokens as one tensor (N, T), padded on the right, and a mask that is False on padding."""
    longest = max(map(len, rows))
    given = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return given, torch.arange(longest, device=device) < lengths[:, None]
