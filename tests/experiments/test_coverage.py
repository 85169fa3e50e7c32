"""The experiment on coverage: what it draws, and its key cells with fewer samples."""

import numpy as np
import pytest

from experiments.coverage import Design, accuracy_coverage, alarms, claims, coverage, family_claims, two_models

ALLOWED = 0.05 + 0.023
"""5% and 2.3 standard errors of 500 samples."""


@pytest.mark.parametrize("uneven", [False, True])
def test_samples_have_their_rates_and_alikeness(uneven: bool) -> None:
    design = Design(n=60_000, shared=6, gained=0.1, lost=0.3, alike=0.2, uneven=uneven)
    change, image = design.draw(np.random.default_rng(0))
    assert ((change > 0).mean(), (change < 0).mean()) == pytest.approx((0.1, 0.3), abs=0.01)
    counts, sizes = np.bincount(image, weights=change < 0), np.bincount(image)
    pairs = (counts * (counts - 1)).sum() / (sizes * (sizes - 1)).sum()
    assert (pairs - 0.3**2) / (0.3 * 0.7) == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(
    "design",
    [
        Design(n=50, lost=0.02),
        Design(n=200, lost=0.02),
        Design(n=900, shared=2, gained=0.05, lost=0.15, alike=0.17),
        Design(n=900, shared=6, gained=0.05, lost=0.15, alike=0.17),
        Design(n=900, shared=18, gained=0.05, lost=0.15, alike=0.17),
        Design(n=900, shared=6, lost=0.02, alike=0.5),
        Design(n=200, lost=0.05, soft=True),
    ],
    ids=str,
)
def test_intervals_cover(design: Design) -> None:
    assert coverage(design, 1000)[0] >= 0.93


@pytest.mark.parametrize(("n", "shared", "alike"), [(50, 1, 0.0), (200, 1, 0.0), (900, 6, 0.17)])
def test_the_difference_of_two_models_changes_is_covered_and_seldom_found_where_there_is_none(
    n: int, shared: int, alike: float
) -> None:
    first = Design(n=n, shared=shared, lost=0.1, alike=alike)
    same, better = (
        Design(n=n, shared=shared, gained=g, lost=lost, alike=alike) for g, lost in ((0.1, 0.2), (0.06, 0.02))
    )
    covered, found = two_models(first, same, 500)
    assert covered >= 0.93 and found <= ALLOWED
    covered, found = two_models(first, better, 500)
    assert covered >= 0.93 and found > 0.4


def test_intervals_do_not_cover_if_images_are_ignored() -> None:
    assert coverage(Design(n=900, shared=18, gained=0.05, lost=0.15, alike=0.17), 400)[1] < 0.8


@pytest.mark.parametrize("shared", [1, 6])
def test_intervals_of_an_accuracy_cover(shared: int) -> None:
    assert accuracy_coverage(Design(n=600, shared=shared, gained=0.9, alike=0.17 * (shared > 1)), 1000)[0] >= 0.93


@pytest.mark.parametrize(
    "design",
    [
        Design(n=200, lost=0.02),
        Design(n=400, lost=0.02),
        Design(n=400, gained=0.01, lost=0.03),
        Design(n=900, shared=6, lost=0.02, alike=0.5),
    ],
    ids=str,
)
def test_no_effect_is_rarely_claimed_at_the_margin(design: Design) -> None:
    assert claims(design, 500)[0] <= ALLOWED


def test_nor_over_a_grid_of_conditions() -> None:
    assert family_claims(Design(n=400, lost=0.02), 40, 500) <= ALLOWED


@pytest.mark.parametrize("shared", [1, 6, 18])
def test_differences_are_rarely_found_where_there_are_none(shared: int) -> None:
    found, naive = alarms(Design(n=400, shared=shared, gained=0.1, lost=0.1, alike=0.17 * (shared > 1)), 500)
    assert found <= ALLOWED
    assert (naive > 0.08) == (shared > 1)
