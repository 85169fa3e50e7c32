"""Where a served model is, and how it is asked."""

import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from vqttt.errors import InputError

PREFIX = "openai:"
"""What the name of a served model begins with; the rest is what its server calls it."""


@dataclass(frozen=True, kw_only=True)
class ServedOptions:
    """Where a served model is, and how it is asked. The key, if there is one, is in OPENAI_API_KEY only.

    Attributes:
        base_url: of the server, such as `http://localhost:8000/v1`; empty for OPENAI_BASE_URL.
        max_pixels: images with more pixels are made smaller before they are sent; 0 for no limit.
        concurrency: requests at a time.
        timeout: seconds until a request without a reply is given up, and sent again.
        max_requests: the most requests that may be sent; 0 for no limit.
    """

    base_url: str = ""
    max_pixels: int = 0
    concurrency: int = 16
    timeout: int = 60
    max_requests: int = 0

    def __post_init__(self) -> None:
        """Reject values that cannot be used."""
        for name, least in (("max_pixels", 0), ("concurrency", 1), ("timeout", 1), ("max_requests", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.base_url:
            check_url(self.base_url)

    def url(self) -> str:
        """Return the server's URL, with credentials if the user gave some.

        A run's record has none. If OPENAI_BASE_URL is the same URL with credentials, they are taken from there.

        Raises:
            InputError: if no URL was given.
        """
        known = os.environ.get("OPENAI_BASE_URL", "").strip()
        if not self.base_url and not known:
            raise InputError("a served model needs --base-url, such as http://localhost:8000/v1, or OPENAI_BASE_URL")
        if known:
            check_url(known)
        same = known and without_credentials(known) == self.base_url
        return known if same or not self.base_url else self.base_url

    def described(self) -> dict[str, Any]:
        """Return what decides the answers, as JSON has it, without credentials; nothing that is as by default."""
        described = {"base_url": without_credentials(self.base_url), "max_pixels": self.max_pixels}
        return {name: value for name, value in described.items() if value}


def check_url(url: str) -> None:
    """Check the URL of a server.

    Raises:
        InputError: if it is none.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        if "@" in parts.path + parts.query + parts.fragment:  # a password with a slash that is not written as %2F
            known = None
    except ValueError:
        known = None
    if not known:
        shown = "what was given" if "@" in url else repr(without_credentials(url))
        raise InputError(f"{shown} is not the URL of a server; give one such as http://localhost:8000/v1")


def without_credentials(url: str) -> str:
    """Return a URL without user name, password, query and fragment, any of which may hold a secret."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    except ValueError:
        return "the URL"


def redacted(text: str) -> str:
    """Return an argument without the credentials of the URL that it ends with, if there is one."""
    return re.sub(r"https?://.*", lambda found: without_credentials(found[0]), text, flags=re.IGNORECASE | re.DOTALL)


def secrets_in(url: str) -> list[str]:
    """Return the parts of a URL that must not be shown."""
    parts = urlsplit(url)
    return [part for part in (parts.password, parts.query, parts.netloc.rpartition("@")[0]) if part]
