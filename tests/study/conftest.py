"""Fixtures that tests of studies share."""

from collections.abc import Iterator
from functools import cache

import pytest

from vqttt.tasks import vq_mini

drawn = cache(vq_mini.scene_and_question)


@pytest.fixture(scope="module", autouse=True)
def questions_drawn_once() -> Iterator[None]:
    """Remember the scenes and questions of VQ-Mini: every study draws all 2,000, and they cannot be changed.

    That they are the same when they are drawn anew is for the tests of tasks.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vq_mini, "scene_and_question", drawn)
        yield
