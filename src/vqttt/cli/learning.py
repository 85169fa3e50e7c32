"""What `vqttt tune` does once its options are read: learn along a stream, save it, and say what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from vqttt.cli.progress import tracked
from vqttt.errors import InputError

if TYPE_CHECKING:
    from vqttt.methods.stream import StreamMethod
    from vqttt.models.base import Model
    from vqttt.study.batch import Batch
    from vqttt.types import Answer, Condition, Sample

_SHOWN_ERRORS = 3


@dataclass
class Learned:
    """What happened along the stream.

    Attributes:
        failed: by sample id, why it could not be learned from.
        answered: the samples that could, with their answers as they came, while the method was still learning.
    """

    failed: dict[str, str] = field(default_factory=dict)
    answered: list[tuple["Sample", "Answer"]] = field(default_factory=list)

    @property
    def tuned(self) -> int:
        """The number of samples that the method's gate let through."""
        return sum(answer.steps > 0 for _, answer in self.answered)

    def add(self, batch: "Batch", learner: "StreamMethod") -> None:
        """Learn from a batch; one that fails leaves no trace in the method, and its samples are set aside."""
        self.failed |= batch.errors
        answers = batch.answers(learner)
        for sample in batch.samples:
            answer = answers.get(sample.id)
            if answer is not None and answer.error:
                self.failed[sample.id] = answer.error
            elif answer is not None:
                self.answered.append((sample, answer))


def learn(
    learner: "StreamMethod",
    model: "Model",
    samples: Sequence["Sample"],
    condition: "Condition",
    *,
    seed: int,
    batch: int,
) -> Learned:
    """Learn from samples under a condition, `batch` at a time, and say so while it lasts.

    Raises:
        InputError: if nothing was learned. The message says why.
    """
    import torch

    from vqttt.study.batch import Batch, ImageCache

    images, learned = ImageCache(), Learned()
    start = learner.learned()
    for first in tracked(range(0, len(samples), batch), "tuning"):
        some = samples[first : first + batch]
        learned.add(Batch.prepare(some, images, condition, model, seed=seed, max_new_tokens=16), learner)
    if not learned.answered:
        reason = next(iter(learned.failed.values()), "the task is empty")
        raise InputError(f"none of the {len(samples)} samples could be used, so nothing was learned; {reason}")
    if all(map(torch.equal, learner.learned(), start)):
        raise InputError(f"nothing was learned from {len(learned.answered)} samples: {_why_nothing(learned, learner)}")
    return learned


def report(
    learned: Learned, learner: "StreamMethod", task: str, out: Path, model: str, settings: Sequence[str] = ()
) -> None:
    """Print what was learned, what it did along the stream, and how it is applied; `settings` are those of `--set`."""
    from vqttt.models import is_served
    from vqttt.scoring import score

    count = len(learned.answered)
    for name, error in list(learned.failed.items())[:_SHOWN_ERRORS]:
        typer.echo(error if name in error else f"{name}: {error}", err=True)
    if len(learned.failed) > _SHOWN_ERRORS:
        typer.echo(f"and {len(learned.failed) - _SHOWN_ERRORS} more", err=True)
    if learned.failed:
        typer.echo(f"{len(learned.failed)} of {count + len(learned.failed)} samples could not be used", err=True)
    changed = sum(answer.answer != answer.base_answer for _, answer in learned.answered)
    before = 100 * sum(score(answer.base_answer, sample) for sample, answer in learned.answered) / count
    after = 100 * sum(score(answer.answer, sample) for sample, answer in learned.answered) / count
    typer.echo(f"learned: {learner.summary()}")
    typer.echo(
        f"on these {count} samples of {task}, while learning: {learned.tuned} tuned on ({learned.tuned / count:.0%}), "
        f"{changed} answers changed; accuracy {before:.1f}% untuned, {after:.1f}% tuned"
    )
    own = "".join(f" --set {quote(setting)}" for setting in settings)
    served = f" --base-url {quote(learner.model.client.url)}" if is_served(model) else ""
    which = f"--model {quote(model)}{served} --method {quote(learner.name)}{own} --tuned {quote(str(out))}"
    typer.echo(f'to apply it: vqttt answer IMAGE "QUESTION" {which}')
    typer.echo(f"         or: vqttt study --task {quote(task)} {which}")
    typer.echo(out)


def _why_nothing(learned: Learned, learner: "StreamMethod") -> str:
    if not learned.tuned:
        return f"the model is certain of all its answers already (entropy below {learner.gate} nats)"
    if all(answer.rolled_back for _, answer in learned.answered if answer.steps):
        return "every update was undone, because something was not finite or the answers collapsed"
    return f"{learner.name} changed nothing"
