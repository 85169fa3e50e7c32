"""Untuned answers to a batch, of which any sample may be one that the model cannot answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vqttt.errors import VQTTTError, in_a_line
from vqttt.models.base import Model
from vqttt.models.batch import Inputs, Shown
from vqttt.models.generation import Generation


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question to a model.

    Attributes:
        shown: an image, several or none.
        text: the question, word for word.
        group, options: see `Inputs`.
    """

    shown: Shown
    text: str
    group: str = ""
    options: tuple[str, ...] = ()


def answer_untuned(
    asked: Mapping[str, Asked], model: Model, max_new_tokens: int
) -> tuple[tuple[Inputs, Generation] | None, dict[str, str]]:
    """Answer a batch untuned; a sample that the model cannot answer is set aside.

    Returns:
        The other samples, in order, as a method takes them, with their answers (None if there are none); and for each
        sample that was set aside, by name, the reason.

    Raises:
        VQTTTError: if the model answers each of them alone but not all together.
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
        raise VQTTTError(f"the model answers these samples alone but not together; a smaller batch may do: {reason}")
    return answered, errors


def _answer_together(
    asked: Sequence[Asked], model: Model, max_new_tokens: int
) -> tuple[Inputs, Generation] | Exception | None:
    """Answer untuned; return the exception that the model raised, if it did."""
    if not asked:
        return None
    try:
        inputs, answers = model.ask([one.shown for one in asked], [one.text for one in asked], max_new_tokens)
        inputs = replace(inputs, groups=tuple(a.group for a in asked), options=tuple(a.options for a in asked))
        return inputs, answers
    except Exception as error:  # whatever a processor or a network may raise over a sample
        return error
