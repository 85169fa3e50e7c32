"""Who may ask: keys from a file or the environment, compared in constant time."""

import hashlib
import hmac
import os
import re
from pathlib import Path

from vqttt.errors import InputError

VARIABLE = "VQTTT_API_KEYS"
"""The environment variable with keys, separated by commas."""


class Keys:
    """The keys that are accepted; without any, everyone is. Only their hashes are kept."""

    def __init__(self, keys: list[str]) -> None:
        """Store the hashes of keys.

        Raises:
            InputError: if one is too short to be secret, or has characters that a header cannot hold.
        """
        if any(len(key) < 8 for key in keys):
            raise InputError("an API key has at least 8 characters")
        if not all(key.isascii() and key.isprintable() and " " not in key for key in keys):
            raise InputError("an API key has letters, digits and signs of ASCII only, and no spaces")
        self._hashes = [_hash(key) for key in keys]

    @classmethod
    def read(cls, file: Path | None) -> "Keys":
        """Read keys from a file, one on each line, and from `VQTTT_API_KEYS`.

        A comment is a line that begins with #, or what follows a space and #: a key may hold that sign.

        Raises:
            InputError: if the file cannot be read or has no key.
        """
        found = [key.strip() for key in os.environ.get(VARIABLE, "").split(",") if key.strip()]
        if file is not None:
            try:
                text = file.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
            lines = [re.split(r"(?:^|\s)#", line)[0].strip() for line in text.splitlines()]
            if not any(lines):
                raise InputError(f"{file}: no key is in it; write one on each line")
            found += [line for line in lines if line]
        return cls(found)

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def owner(self, header: str | None) -> str | None:
        """Return whose key a header `Authorization` has, as a text that says nothing of it; None if it has none.

        Without any keys, everyone is the same owner.
        """
        if not self._hashes:
            return ""
        scheme, _, key = (header or "").partition(" ")
        given, found = _hash(key.strip()), None
        for known in self._hashes:  # all are compared, so that the time says nothing of which one is nearest
            if hmac.compare_digest(known, given):
                found = known
        return found.hex() if found is not None and scheme.lower() == "bearer" else None


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
