"""The page of model families is what its study writes, for all the families there are."""

from collections import Counter
from pathlib import Path

from experiments import families
from tests.support.small_families import BUILDERS
from vqttt.models import FAMILIES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "families.md").read_text()


def test_every_family_has_a_row() -> None:
    assert list(families.PUBLISHED) == list(FAMILIES)
    assert all(f"| `{name}` | `" in PAGE for name in FAMILIES)
    assert {name.split("/")[0] for name in BUILDERS} == set(FAMILIES)
    assert all(f"\n| `{name}` | " in PAGE for name in BUILDERS)


def test_the_page_is_up_to_date() -> None:
    lines = set(families.page({name: Counter() for name in BUILDERS}, []).splitlines())
    stale = [line for line in lines - set(PAGE.splitlines()) if "0 of 0" not in line]
    assert not stale


def test_memory_is_what_the_formula_says() -> None:
    llava = families.PUBLISHED["llava"]
    assert llava.plain == 2 * 7.06 + 4 * 32 * 4096 * 676 / 1e9
    kept = 2 * 34 * (24 * 1024 * 577 + 32 * 4096 * 676) / 1e9
    assert llava.tuned == llava.plain + kept
