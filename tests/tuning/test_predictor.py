"""The predictor: it learns which correction suits which image from tries alone, and spreads its tries."""

import pytest
import torch

from vqttt.errors import InputError
from vqttt.tuning.predictor import UNEXPLAINED, Choice, Experience, Predictor, certainty, likeness
from vqttt.tuning.spectrum import DESCRIPTORS

CORRECTIONS = 6


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def images(count: int, seed: int = 0) -> torch.Tensor:
    """Descriptions of two kinds of images, which the first number tells apart."""
    described = 0.3 * noise(count, DESCRIPTORS, seed=seed)
    described[:, 0] = torch.where(torch.arange(count) % 2 == 0, 1.5, -1.5)
    return described


def gains(described: torch.Tensor) -> torch.Tensor:
    """Correction 2 helps one kind of images and harms the other, correction 4 the reverse; the others harm."""
    gained = torch.full((len(described), CORRECTIONS), -0.2)
    gained[:, 2], gained[:, 4] = 0.3 * described[:, 0].sign(), -0.3 * described[:, 0].sign()
    return gained


def trying(*numbers: int) -> Choice:
    """One correction for each image."""
    tried = torch.tensor(numbers)[:, None]
    return Choice(tried=tried, promised=torch.zeros(tried.shape), idle=[])


def learned(count: int) -> Predictor:
    predictor = Predictor(CORRECTIONS)
    for some in images(count).split(20):
        choice = predictor.choose(some, 2)
        predictor.observe(some, choice, gains(some).gather(1, choice.tried))
    return predictor


def test_it_learns_from_its_own_tries_which_correction_suits_which_image() -> None:
    predictor, new = learned(200), images(100, seed=1)
    choice = predictor.choose(new, 2)
    assert torch.equal(choice.tried[:, 0], torch.where(new[:, 0] > 0, 2, 4))
    assert (choice.promised[:, 0] > 0.15).all() and predictor.tries == 400
    assert (predictor.experience[0].expect(new)[0] < 0).all()


def test_without_evidence_a_batch_tries_every_correction_and_none_twice_on_an_image() -> None:
    choice = Predictor(CORRECTIONS).choose(images(12), 3)
    assert set(choice.tried.flatten().tolist()) == set(range(CORRECTIONS))
    assert all(len(set(row)) == 3 for row in choice.tried.tolist())
    assert not choice.promised.any() and not choice.idle


def test_a_correction_that_changes_nothing_is_passed_over_and_known_to_gain_nothing() -> None:
    predictor, some = Predictor(CORRECTIONS), images(10)
    choice = predictor.choose(some, 2, lambda n, correction: correction in (3, 5))
    assert all(set(row) == {3, 5} for row in choice.tried.tolist())
    assert {correction for _, correction in choice.idle} <= {0, 1, 2, 4} and choice.idle
    predictor.observe(some, choice, torch.ones(10, 2))
    assert all((one.gained == (c in (3, 5))).all() for c, one in enumerate(predictor.experience))
    assert predictor.tries == 20 + len(choice.idle)
    none = predictor.choose(some, 2, lambda n, correction: False)
    assert all(len(set(row)) == 2 for row in none.tried.tolist()) and len(none.idle) == 10 * CORRECTIONS
    predictor.observe(some, none, torch.ones(10, 2))
    assert predictor.tries == 20 + len(choice.idle) + 60, "what is tried for want of another teaches once"


def test_choosing_changes_nothing() -> None:
    predictor = learned(40)
    before, some = predictor.state(), images(5, seed=3)
    assert torch.equal(predictor.choose(some, 2).tried, predictor.choose(some, 2).tried)
    assert all(torch.equal(before[name], value) for name, value in predictor.state().items())


def test_what_is_expected_is_the_posterior_of_a_gaussian_process() -> None:
    """Against the textbook's formula, for one correction and three tries."""
    known, new = images(3), images(4, seed=2)
    gained = torch.tensor([[0.2], [-0.1], [0.4]])
    predictor = Predictor(2)
    predictor.observe(known, trying(1, 1, 1), gained)

    inverse = torch.linalg.inv(likeness(known, known) + UNEXPLAINED * torch.eye(3).double())
    promised, spread = predictor.experience[1].expect(new)
    torch.testing.assert_close(promised, (likeness(new, known) @ inverse @ gained.double())[:, 0])
    torch.testing.assert_close(spread, likeness(new, new) - likeness(new, known) @ inverse @ likeness(known, new))
    assert not predictor.experience[0].expect(new)[0].any()


def test_growing_step_by_step_is_growing_at_once() -> None:
    described, gained = images(30), noise(30).double()
    once = Experience.none().grown(described, gained, 100)
    steps = Experience.none()
    for start in range(0, 30, 7):
        steps = steps.grown(described[start : start + 7], gained[start : start + 7], 100)
    torch.testing.assert_close(steps.factor, once.factor)
    assert torch.equal(steps.described, once.described) and torch.equal(steps.gained, once.gained)


def test_evidence_is_the_same_in_any_order_and_numbers_that_are_not_finite_are_left_out() -> None:
    described, tried, gained = images(8), [n % CORRECTIONS for n in range(8)], noise(8, 1)
    one, other = Predictor(CORRECTIONS), Predictor(CORRECTIONS)
    one.observe(described, trying(*tried), gained)
    order = [8, 3, 1, 0, 7, 6, 5, 4, 2]
    longer, broken = torch.cat([described, described[:1]]), torch.cat([gained, torch.full((1, 1), torch.nan)])
    other.observe(longer[order], trying(*([*tried, tried[0]][n] for n in order)), broken[order])
    for mine, its in zip(one.experience, other.experience, strict=True):
        torch.testing.assert_close(mine.expect(described), its.expect(described))
    assert other.tries == 8


def test_the_oldest_tries_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "memory", 4)
    predictor, described = Predictor(2), images(12)
    predictor.observe(described, trying(*[0] * 9, 1, 1, 1), torch.arange(12.0)[:, None])
    assert [one.gained.tolist() for one in predictor.experience] == [[5, 6, 7, 8], [9, 10, 11]]
    alone = Predictor(2)
    alone.observe(described[5:9], trying(0, 0, 0, 0), torch.arange(5.0, 9)[:, None])
    torch.testing.assert_close(predictor.experience[0].factor, alone.experience[0].factor)
    assert predictor.tries == 12


def test_a_state_of_other_corrections_is_refused() -> None:
    learned_six = learned(40).state()
    with pytest.raises(InputError, match="no predictor for the corrections of this version"):
        Predictor(3).load(learned_six)
    with pytest.raises(InputError, match="no predictor for the corrections of this version"):
        Predictor(CORRECTIONS).load({"adapter.0": torch.zeros(3)})


def test_what_is_saved_promises_the_same_and_a_snapshot_is_returned_to_bit_for_bit() -> None:
    predictor, some = learned(60), images(5, seed=7)
    kept, before = predictor.snapshot(), predictor.choose(some, 2)
    loaded = Predictor(CORRECTIONS)
    loaded.load(predictor.state())
    assert torch.equal(loaded.choose(some, 2).tried, before.tried) and loaded.tries == 120
    predictor.observe(some, trying(0, 0, 0, 0, 0), torch.ones(5, 1))
    assert len(predictor.experience[0].gained) == len(kept[0][0].gained) + 5
    predictor.restore(kept)
    assert torch.equal(predictor.choose(some, 2).promised, before.promised)


def test_certainty_is_one_without_doubt_and_a_half_between_two() -> None:
    assert certainty([0.0, float(torch.tensor(2.0).log())]).tolist() == pytest.approx([1.0, 0.5])
