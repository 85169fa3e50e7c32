"""Stopping a study in which nothing can be answered: a run of failures alone is no result."""

from collections import Counter
from collections.abc import Mapping, Sequence

from vqttt.errors import InputError
from vqttt.runs.folder import RunFolder
from vqttt.study.plan import Job
from vqttt.study.worker import Filled

ENOUGH = 40
"""How many answers have to fail for one reason, before any succeeds, for a study to be stopped within its first job."""


class NothingAnsweredError(InputError):
    """Not one answer of a model succeeded; the message has the most frequent reason.

    Attributes:
        model: which one.
    """

    def __init__(self, message: str, model: str) -> None:
        """Store both."""
        super().__init__(message)
        self.model = model


class AnswerWatch:
    """Sees how far the jobs are, and raises if there is no answer of a model at all.

    It raises after the model's first job in which every answer failed, or after `ENOUGH` that failed for the same
    reason, as long as no answer of the model has succeeded. From the first success on, failures are marked and counted,
    and the study goes on.

    Attributes:
        keys: the keys of the study's cells, by model; to be set before the first job.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Start with a run as it is in its folder."""
        self._folder = folder
        self._answered = set[str]()
        self.keys: Mapping[str, Sequence[str]] = {}

    def see(self, job: Job, filled: Filled, whole: bool) -> None:
        """Take note of how far a job is.

        Args:
            job: which one.
            filled: how far it is.
            whole: whether it has all its records.

        Raises:
            NothingAnsweredError: if the study must stop.
        """
        if filled.answered:
            self._answered.add(job.model)
        one_reason = filled.failed >= ENOUGH and filled.of_reason == filled.failed
        if job.model not in self._answered and filled.failed and (whole or one_reason):
            self._check_finished(job.model, f"{job.label}: not one of {filled.failed:,} answers succeeded", filled)

    def see_end(self) -> None:
        """Take note that the study has ended.

        Raises:
            NothingAnsweredError: if no answer of a model succeeded.
        """
        for model in self.keys:
            if model not in self._answered:
                whose = model if len(self.keys) > 1 else "the run"
                self._check_finished(model, f"not one answer of {whose} succeeded", None)

    def _check_finished(self, model: str, problem: str, filled: Filled | None) -> None:
        """Raise unless a finished cell of a model, perhaps from before this run was resumed, has an answer."""
        errors, finished = Counter[str](), set(self._folder.finished_cells())
        for key in (key for key in self.keys[model] if key in finished):
            errors.update(self._folder.read_cell(key, ["error"])["error"])
            if errors[""]:
                self._answered.add(model)
                return
        reason, count = (filled.reason, filled.of_reason) if filled else errors.most_common(1)[0]
        failed = filled.failed if filled else errors.total()
        share = "all" if count == failed else f"{count:,} of them"
        raise NothingAnsweredError(f"{problem}, and the study was stopped; {share} failed with: {reason}", model)
