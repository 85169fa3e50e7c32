"""What tests of the experiment on methods share."""

from collections.abc import Iterator

import pytest

from tests.study.conftest import questions_drawn_once as questions_drawn_once
from tests.support.method import registered_tasks


@pytest.fixture(scope="module")
def registered() -> Iterator[None]:
    """Register the experiment's tasks."""
    with registered_tasks():
        yield
