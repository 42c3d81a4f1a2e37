"""A Chromium without a window of its own, for the tests of pages and for pictures of them; needs playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # which root, as whom containers run, may not have
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
)
"""Nothing of its own goes out to a network."""


def program() -> str | None:
    """Where Chromium is, by the names that Debian, Fedora and Alpine give it; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def launched(*more: str) -> "Iterator[Browser]":
    """A browser that is closed at the end.

    Args:
        more: further arguments of Chromium.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=[*ARGUMENTS, *more])
        try:
            yield browser
        finally:
            browser.close()


class Windows:
    """Windows of a browser, each with cookies and a cache of its own, and what was heard of their pages.

    Attributes:
        browser: see `launched`.
        told: errors and warnings of all pages.
        asked: addresses that they asked for.
    """

    def __init__(self, browser: "Browser") -> None:
        self.browser = browser
        self.told: list[str] = []
        self.asked: list[str] = []
        self._opened: list[BrowserContext] = []

    def open(
        self,
        width: int = 1200,
        height: int = 800,
        scheme: Literal["light", "dark"] = "light",
        *,
        seconds: float = 60,
        may: tuple[str, ...] = (),
    ) -> "Page":
        """An empty page.

        Args:
            width: in pixels.
            height: in pixels.
            scheme: what the visitor prefers.
            seconds: how long anything may take.
            may: what the visitor allows, such as "clipboard-read".
        """
        context = self.browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        self._opened.append(context)
        context.grant_permissions(list(may))
        context.set_default_timeout(1000 * seconds)
        context.on("console", lambda one: self._hear(one.type, f"{one.text} {one.location}"))
        context.on("weberror", lambda one: self._hear("error", str(one.error)))
        context.on("request", lambda one: self.asked.append(one.url))
        return context.new_page()

    def close(self) -> None:
        """Close all; what was heard stays."""
        for context in self._opened:
            context.close()
        self._opened.clear()

    def _hear(self, kind: str, words: str) -> None:
        if kind in ("error", "warning"):
            self.told.append(words)
