"""Answer a batch untuned; a sample that the model cannot answer does not fail the others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vqttt.errors import ServerError, VQTTTError, in_a_line
from vqttt.models.base import Model
from vqttt.models.batch import Inputs, Shown
from vqttt.models.generation import Generation
from vqttt.models.memory import release_pass


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

    What failed is asked again sample by sample, unless the model answers its samples apart from each other anyway. A
    sample whose logits are not finite has no answer either: its text means nothing.

    Args:
        asked: the questions, by sample name.
        model: the model that answers.
        max_new_tokens: maximum number of tokens per answer.

    Returns:
        The encoded batch of the answered samples, in order, with their answers, or None if there are none; and, by
        name, why each of the other samples could not be answered.

    Raises:
        VQTTTError: if the model can answer the samples one by one but not together.
        ServerError: if the model is behind a server that cannot be asked any more.
    """
    errors = dict[str, str]()
    answered = _answer_together(asked, model, max_new_tokens)
    suspects = [] if model.independent and not isinstance(answered, str) else list(_failed(asked, answered))
    if suspects:
        del answered  # nothing of the pass that failed takes up memory while its samples are asked again
        errors = {name: why for name in suspects if (why := _why_not(asked[name], model, max_new_tokens))}
        asked = {name: one for name, one in asked.items() if name not in errors}
        answered = _answer_together(asked, model, max_new_tokens)
    if isinstance(answered, str):
        raise VQTTTError(
            f"the model answers these samples one by one but not together; try smaller batches: {answered}"
        )
    left = _failed(asked, answered)
    if answered is None or not left:
        return answered, errors
    rows = [n for n, name in enumerate(asked) if name not in left]
    kept = (model.select(answered[0], rows), answered[1].select(rows)) if rows else None
    return kept, errors | left


def _failed(asked: Mapping[str, Asked], answered: tuple[Inputs, Generation] | str | None) -> dict[str, str]:
    """Return the samples that may have failed, with the reason: all if the pass did, or else those with an error."""
    if answered is None or isinstance(answered, str):
        return dict.fromkeys(asked, answered) if answered else {}
    return {name: error for name, error in zip(asked, answered[1].errors, strict=True) if error}


def _why_not(one: Asked, model: Model, max_new_tokens: int) -> str:
    """Ask a sample alone; return why it cannot be answered, or an empty text if it can."""
    answered = _answer_together({"": one}, model, max_new_tokens)
    if isinstance(answered, str):
        return f"the model cannot answer this: {answered}"
    return _failed({"": one}, answered).get("", "")


def _answer_together(
    asked: Mapping[str, Asked], model: Model, max_new_tokens: int
) -> tuple[Inputs, Generation] | str | None:
    """Answer a batch untuned; None for an empty batch, and what was raised, in a line, if the model raised anything.

    An error that no other sample would be spared is raised. Of another one, only what it says is kept.
    """
    if not asked:
        return None
    of = list(asked.values())
    try:
        inputs, answers = model.ask([one.shown for one in of], [one.text for one in of], max_new_tokens)
        return replace(inputs, groups=tuple(a.group for a in of), options=tuple(a.options for a in of)), answers
    except ServerError:
        raise
    except Exception as error:  # a processor or a network may raise anything over an unusual sample
        release_pass(error)
        return in_a_line(error)
