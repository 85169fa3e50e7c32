"""A browser for tests of pages, and what a page requests and logs."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """Start headless Chromium; skip the test if it is not installed."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install vqttt[dev]")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as driver:
        # Chromium runs as root, as in a container, only without its sandbox; the page is our own.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """An open page, with the addresses it requested and the messages it logged."""

    def __init__(self, browser: Any, file: Path, width: int = 1200, scheme: str = "light", fragment: str = "") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", lambda dialog: self.messages.append(f"dialog: {dialog.message}") or dialog.dismiss())
        self.page.goto(file.as_uri() + fragment)

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements that match a selector."""
        return list(self.page.locator(selector).all_inner_texts())
