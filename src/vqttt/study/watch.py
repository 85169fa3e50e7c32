"""Stopping a study in which nothing can be answered: a run of failures alone is no result."""

from collections import Counter

from vqttt.errors import InputError
from vqttt.runs.folder import RunFolder
from vqttt.study.plan import Job
from vqttt.study.worker import Filled

ENOUGH = 40
"""How many answers have to fail for one reason, before any succeeds, for a study to be stopped within its first job."""


class NothingAnsweredError(InputError):
    """Not one answer succeeded; the message has the most frequent reason."""


class AnswerWatch:
    """Sees how far the jobs are, and raises if there is no answer at all.

    It raises after the first job in which every answer failed, or after `ENOUGH` that failed for the same reason, as
    long as no answer has succeeded. From the first success on, failures are marked and counted, and the study goes on.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Start with a run as it is in its folder."""
        self._folder = folder
        self._answered = False

    def see(self, job: Job, filled: Filled, whole: bool) -> None:
        """Take note of how far a job is.

        Args:
            job: which one.
            filled: how far it is.
            whole: whether it has all its records.

        Raises:
            NothingAnsweredError: if the study must stop.
        """
        self._answered = self._answered or filled.answered > 0
        one_reason = filled.failed >= ENOUGH and filled.of_reason == filled.failed
        if not self._answered and filled.failed and (whole or one_reason):
            self._check_finished(f"{job.label}: not one of {filled.failed:,} answers succeeded", filled)

    def see_end(self) -> None:
        """Take note that the study has ended.

        Raises:
            NothingAnsweredError: if no answer of the run succeeded.
        """
        if not self._answered:
            self._check_finished("not one answer of the run succeeded", None)

    def _check_finished(self, problem: str, filled: Filled | None) -> None:
        """Raise unless a finished cell, perhaps from before this run was resumed, has an answer."""
        errors = Counter[str]()
        for key in self._folder.finished_cells():
            errors.update(self._folder.read_cell(key, ["error"])["error"])
            if errors[""]:
                self._answered = True
                return
        reason, count = (filled.reason, filled.of_reason) if filled else errors.most_common(1)[0]
        failed = filled.failed if filled else errors.total()
        share = "all" if count == failed else f"{count:,} of them"
        raise NothingAnsweredError(f"{problem}, and the study was stopped; {share} failed with: {reason}")
