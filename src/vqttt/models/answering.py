"""Answer a batch untuned; a sample that the model cannot answer does not fail the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vqttt.errors import VQTTTError, in_a_line
from vqttt.models.base import Model
from vqttt.models.batch import Inputs, Shown
from vqttt.models.generation import Generation


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question for a model.

    Attributes:
        shown: one image, several or none.
        text: the exact text of the question.
        group, options: see `Inputs`.
    """

    shown: Shown
    text: str
    group: str = ""
    options: tuple[str, ...] = ()


def answer_untuned(
    asked: Mapping[str, Asked], model: Model, max_new_tokens: int
) -> tuple[tuple[Inputs, Generation] | None, dict[str, str]]:
    """Answer a batch untuned, leaving out samples that the model cannot answer.

    Args:
        asked: the questions, by sample name.
        model: the model that answers.
        max_new_tokens: maximum number of tokens per answer.

    Returns:
        The encoded batch of the answered samples, in order, with their answers, or None if there are none; and, by
        name, why each of the other samples could not be answered.

    Raises:
        VQTTTError: if the model can answer the samples one by one but not together.
    """
    answered, errors = _answer_together(list(asked.values()), model, max_new_tokens), dict[str, str]()
    if isinstance(answered, Exception):  # find out which sample causes it
        for name, one in asked.items():
            alone = _answer_together([one], model, max_new_tokens)
            if isinstance(alone, Exception):
                errors[name] = f"the model cannot answer this: {in_a_line(alone)}"
        good = [one for name, one in asked.items() if name not in errors]
        answered = _answer_together(good, model, max_new_tokens)
    if isinstance(answered, Exception):
        reason = in_a_line(answered)
        raise VQTTTError(f"the model answers these samples one by one but not together; try smaller batches: {reason}")
    return answered, errors


def _answer_together(
    asked: Sequence[Asked], model: Model, max_new_tokens: int
) -> tuple[Inputs, Generation] | Exception | None:
    """Answer a batch untuned; None for an empty batch, and the exception if the model raised one."""
    if not asked:
        return None
    try:
        inputs, answers = model.ask([one.shown for one in asked], [one.text for one in asked], max_new_tokens)
        inputs = replace(inputs, groups=tuple(a.group for a in asked), options=tuple(a.options for a in asked))
        return inputs, answers
    except Exception as error:  # a processor or a network may raise anything over an unusual sample
        return error
