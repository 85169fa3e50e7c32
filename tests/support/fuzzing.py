"""Property tests: a few inputs, the same every time, in the test suite; many random ones in `make fuzz`."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

MANY = int(os.environ.get("FUZZ", "0"))
"""How many random inputs each property test gets; 0 for its own number of fixed ones."""


def examples(number: int) -> Callable[[Any], Any]:
    """Try a property on `number` inputs, or on `MANY`.

    A failure of the fixed ones is for the author of a change, not for whoever runs the tests next.
    """
    chosen = settings(
        max_examples=MANY or number,
        deadline=None,
        derandomize=not MANY,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: pytest.mark.fuzz(chosen(test))
