import pytest

from vqttt.errors import UnknownNameError
from vqttt.registry import Registry


def test_unknown_name_suggests_the_nearest_first() -> None:
    registry: Registry[int] = Registry("fruit")
    for number, name in enumerate(("apple", "pear", "cherry")):
        registry.add(name, number, name)
    with pytest.raises(
        UnknownNameError, match=r"unknown fruit 'aple'; did you mean apple or pear\? known: apple, pear, "
    ):
        registry["aple"]


def test_what_people_call_nothing_suggests_our_word_for_it() -> None:
    for ours, theirs in (("none", "clean"), ("none", "Off"), ("clean", "none"), ("clean", "original")):
        error = UnknownNameError("fruit", theirs, ["cleaner", "onion", ours])
        assert f"did you mean {ours}? known" in str(error)
    assert "did you mean" not in str(UnknownNameError("fruit", "none", ["nine", "gone"]))


def test_duplicates_are_rejected() -> None:
    registry: Registry[int] = Registry("fruit")
    registry.add("apple", 1, "")
    with pytest.raises(ValueError, match="twice"):
        registry.add("apple", 2, "")


def test_keeps_order_and_summaries() -> None:
    registry: Registry[int] = Registry("fruit")
    registry.add("pear", 1, "green")
    registry.add("apple", 2, "red")
    assert list(registry) == ["pear", "apple"]
    assert registry.summary("apple") == "red"


def test_what_another_package_may_offer_may_be_added_as_well() -> None:
    registry: Registry[int] = Registry("fruit", take=int)
    registry.add("apple", "3", "")  # type: ignore[arg-type]
    assert registry["apple"] == 3
