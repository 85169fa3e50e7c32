"""Who may ask: which keys are read, how they are compared, and that nothing keeps them."""

import hmac
from pathlib import Path

import pytest

from vqttt.errors import InputError
from vqttt.serving.keys import VARIABLE, Keys

ONE, OTHER = "sk-first-of-all", "sk-second-of-all"


def test_without_keys_everyone_is_the_same_owner() -> None:
    keys = Keys([])
    assert not keys and keys.owner(None) == keys.owner("Bearer whatever") == ""


def test_a_key_has_an_owner_of_its_own() -> None:
    keys = Keys([ONE, OTHER])
    first, second = keys.owner(f"Bearer {ONE}"), keys.owner(f"bearer  {OTHER} ")
    assert keys and first and second and first != second
    assert ONE not in first and first == Keys([OTHER, ONE]).owner(f"Bearer {ONE}"), "the owner is known after a restart"


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", f"Basic {ONE}", ONE, f"Bearer {ONE}x", f"Bearer {ONE[:-1]}", "Bearer \udcff\xe9"],
)
def test_anything_else_has_none(header: str | None) -> None:
    assert Keys([ONE, OTHER]).owner(header) is None


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[tuple[bytes, bytes]]()
    real = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr("vqttt.serving.keys.hmac.compare_digest", counted)
    keys = Keys([ONE, OTHER, "sk-third-of-all"])
    for header in (f"Bearer {ONE}", "Bearer wrong", f"Bearer {'x' * 10_000}"):
        compared.clear()
        keys.owner(header)
        assert len(compared) == 3 and {len(one) for pair in compared for one in pair} == {32}


def test_no_key_is_kept() -> None:
    assert ONE not in repr(vars(Keys([ONE]))) and ONE.encode() not in b"".join(Keys([ONE])._hashes)


def test_keys_are_read_from_a_file_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, " sk-environment-1 ,, sk-environment-2,")
    file = tmp_path / "keys"
    file.write_text(f"\ufeff# keys\n\n  {ONE}   # of the first client\nsk-with#sign-in-it\n#sk-left-out-of-it\n")
    keys = Keys.read(file)
    known = [ONE, "sk-with#sign-in-it", "sk-environment-1", "sk-environment-2"]
    assert all(keys.owner(f"Bearer {key}") for key in known)
    for other in ("sk-with", "sk-left-out-of-it", "#sk-left-out-of-it", "of the first client"):
        assert keys.owner(f"Bearer {other}") is None
    assert len(keys._hashes) == 4


def test_files_that_hold_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    file = tmp_path / "keys"
    for content, words in (
        (b"", "no key is in it"),
        (b"# none\n\n", "no key is in it"),
        (b"short", "at least 8 characters"),
        ("sk-schlüssel".encode(), "ASCII"),
        (b"two words in it", "no spaces"),
        (b"\xff\xfe\x00", "cannot be read"),
    ):
        file.write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            Keys.read(file)
        assert "short" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Keys.read(tmp_path / "missing")
    assert not Keys.read(None)
