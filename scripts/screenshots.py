"""Pictures of the studio for the README: a mixture beside its photo, and parts of a photo each in a style of its own.

Starts the studio, works in it as a person does, in a browser without a window, and writes `weights/studio.jpg` and
`weights/studio-regions.jpg`. Needs playwright and a Chromium on the path.
"""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from browsing import launched
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
WIDTH, HEIGHT = 1440, 900
MOST_BYTES = 250_000
MIXED = ("franz_marc_yellow_cow", "munch_the_scream", "van_gogh_starry_night")
PARTS = {
    "Background": "hokusai_great_wave",
    "Collar": "van_gogh_starry_night",
    "Suit": "klimt_the_kiss",
    "Face": "photo",
}
"""Of the astronaut as they are found, the largest first."""
PATIENCE = 180_000  # milliseconds


def mixture(page: "Page") -> None:
    """Three styles mixed by the pad, the photo on the left."""
    for place, style in enumerate(MIXED):
        page.locator(f"[data-style='{style}']").click(modifiers=["Shift"] if place else [])
    pad = page.locator("#pad-view").bounding_box()
    assert pad
    page.mouse.click(pad["x"] + 0.42 * pad["width"], pad["y"] + 0.5 * pad["height"])
    rest(page)
    page.keyboard.press("x")
    page.locator("#handle").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.evaluate("document.activeElement.blur()")


def regions(page: "Page") -> None:
    """Parts that were found, each in a style."""
    page.locator("#find").click()
    part = page.locator("#pick-hint .swatch")
    part.first.wait_for()
    for name, style in PARTS.items():
        part.first.click()
        page.locator(f"[data-style='{style}']").click()
        page.locator(".area .pick").first.press("F2")
        page.keyboard.type(name)
        page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.locator("#gallery .cards").evaluate("(cards) => (cards.scrollLeft = 0)")
    rest(page)


def rest(page: "Page") -> None:
    """Wait until all is painted."""
    page.locator("html[data-shown]").wait_for(state="attached")
    page.locator(".cards:not(.waits)").wait_for()
    for _ in range(6):
        page.wait_for_timeout(300)
        page.locator("#busy:not(.on)").wait_for(state="attached")


def larger(path: Path) -> bytes:
    """A photo at twice its size: a window shows more pixels than the small photos have."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.resize((2 * image.width, 2 * image.height), Image.Resampling.LANCZOS).save(
            buffer, "JPEG", quality=95
        )
    return buffer.getvalue()


def shot(
    browser: "Browser",
    address: str,
    *,
    photo: str,
    scheme: Literal["light", "dark"],
    work: Callable[["Page"], None],
) -> bytes:
    """A JPEG of the window after some work, as good as fits."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    with page.expect_file_chooser() as chooser:
        page.locator("#pick").click()
    chooser.value.set_files(
        {"name": photo, "mimeType": "image/jpeg", "buffer": larger(WEIGHTS / "photos" / photo)}
    )
    rest(page)
    work(page)
    rest(page)
    page.wait_for_timeout(4500)  # notes go
    with Image.open(io.BytesIO(page.screenshot())) as image:
        page.close()
        for quality in range(92, 50, -4):
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
            if buffer.tell() <= MOST_BYTES:
                break
    return buffer.getvalue()


def main() -> None:
    """Write both."""
    words = [sys.executable, "-m", "stylebank", "studio", "--no-browser", "--bank", "shipped"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as studio:  # noqa: S603  # our own words
        assert studio.stdout
        address = studio.stdout.readline().strip()
        try:
            with launched() as browser:
                made = {
                    "studio.jpg": shot(browser, address, photo="coffee.jpg", scheme="light", work=mixture),
                    "studio-regions.jpg": shot(
                        browser, address, photo="astronaut.jpg", scheme="dark", work=regions
                    ),
                }
        finally:
            studio.terminate()
    for name, data in made.items():
        (WEIGHTS / name).write_bytes(data)
        print(f"{name}: {len(data)} bytes")


if __name__ == "__main__":
    main()
