"""The page in a real browser, and what a visitor does there; no page may have told an error or asked another host."""

import base64
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import garden, violations

if TYPE_CHECKING:
    from browsing import Windows
    from playwright.sync_api import Page, Request, Response

SECONDS = 20.0


class Studio:
    """The program, and the address that it printed."""

    def __init__(self, bank: Path, *more: str, before: str = "") -> None:
        self._bank, self.port, self._more, self._before = bank, 0, more, before
        self.start()

    def start(self) -> None:
        program = ["-c", f"{self._before}; from stylebank.cli.app import main; main()"]
        words = [sys.executable, *(program if self._before else ("-m", "stylebank"))]
        words += ["studio", "--no-browser", "--bank", str(self._bank), *self._more]
        words += ["--port", str(self.port), "--engine", "onnx", "--precision", "float32"]
        self._program = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ)
        assert self._program.stdout
        self.address = self._program.stdout.readline().strip()
        self.port = int(self.address.split(":")[2].split("/")[0])

    def kill(self) -> None:
        self._program.send_signal(signal.SIGKILL)
        self._program.communicate(timeout=30)


@pytest.fixture(scope="module")
def studio(studio_bank: Path) -> Iterator[Studio]:
    found = Studio(studio_bank)
    yield found
    found.kill()


Opener = Callable[..., "Page"]


@pytest.fixture
def opened(windows: "Windows", studio: Studio) -> Iterator[Opener]:
    """Opens the page in a window of its own; at the end no page may have told an error or asked another host."""
    own = list[str]()

    def opening(
        width: int = 1200, height: int = 800, scheme: Any = "light", of: Studio = studio, first: str = ""
    ) -> "Page":
        page = windows.open(width, height, scheme, seconds=SECONDS, may=("clipboard-read", "clipboard-write"))
        page.add_init_script(first)
        own.extend(f"{kind}http://127.0.0.1:{of.port}/" for kind in ("", "blob:"))
        page.goto(of.address)
        if "token" in of.address:
            page.locator("html[data-ready]").wait_for(state="attached")
        return page

    yield opening
    windows.close()
    assert [url for url in windows.asked if not url.startswith(tuple(own))] == []
    away = "ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|403|410|ERR_INCOMPLETE"
    ports = "|".join(map(str, killed)) or "none"
    wrong = [words for words in windows.told if not (re.search(ports, words) and re.search(away, words))]
    assert "\n".join(wrong) == ""


killed: set[int] = set()
"""Ports of studios that a test has killed: their pages may say that nobody answered."""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return drawn(tmp_path / "garden.png")


def drawn(path: Path, size: tuple[int, int] = (320, 240)) -> Path:
    garden(*size).save(path)
    return path


def until(page: "Page", true: Callable[[], object], why: str) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, why
        page.wait_for_timeout(50)  # which hears the browser's events


def ordered(request: "Request") -> Any:
    """The recipe of a preview that is asked for."""
    body = request.post_data_json
    assert body
    return body["recipe"]


def pick(page: "Page", photo: Path, button: str = "#pick") -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(button).click()
    with page.expect_response(is_painted):
        chooser.value.set_files(photo)
    page.locator("html[data-shown]").wait_for(state="attached")


def is_painted(response: "Response") -> bool:
    return response.url.endswith("/preview") and response.status == 200


def seen(page: "Page") -> np.ndarray[Any, Any]:
    """Pixels of the canvas, once no painting is on its way to it and nothing moves on it any more."""

    def look() -> np.ndarray[Any, Any]:
        words = page.evaluate("document.querySelector('#view').toDataURL('image/png').split(',')[1]")
        return np.asarray(Image.open(BytesIO(base64.b64decode(words))).convert("RGB")).astype(int)

    at_rest = page.locator("#view[aria-busy=false]")
    at_rest.wait_for(state="attached")
    old = look()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        page.wait_for_timeout(300)
        new = look()
        if old.shape == new.shape and (old == new).all() and at_rest.count():
            return new
        old = new
    raise AssertionError("the canvas never rests")


def differs(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    return float((np.abs(one - other).max(axis=2) > 8).mean())


def at(page: "Page", x: float, y: float) -> tuple[float, float]:
    """Of a point of the photo, on the screen; the whole photo is shown."""
    box = page.locator("#view").bounding_box()
    assert box
    scale = min((box["width"] - 48) / 320, (box["height"] - 48) / 240)
    left = box["x"] + (box["width"] - 320 * scale) / 2
    top = box["y"] + (box["height"] - 240 * scale) / 2
    return left + x * 320 * scale, top + y * 240 * scale


def stroke(page: "Page", *points: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*at(page, *point), steps=6)
    page.mouse.up()


def masked(page: "Page", *points: tuple[float, float]) -> "Response":
    """A stroke, and the answer to the mask that it makes."""
    with page.expect_response(lambda one: one.url.endswith("/masks")) as sent:
        stroke(page, *points)
    return sent.value


def collect_garbage(page: "Page") -> None:
    """What a browser does now and then: what the page does not hold on to is gone."""
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")


def serious(page: "Page") -> list[str]:
    return [words for impact, words in violations(page) if impact in ("serious", "critical")]


def mask_of(page: "Page", sent: "Response") -> np.ndarray[Any, Any]:
    """A mask that was sent, as the studio has it."""
    words = page.evaluate(
        """async (address) => {
          const headers = {"X-StyleBank-Token": sessionStorage.getItem("stylebank-token")};
          const bytes = new Uint8Array(await (await fetch(address, {headers})).arrayBuffer());
          return btoa(String.fromCharCode(...bytes));
        }""",
        f"{sent.url}/{sent.json()['mask']}",
    )
    with Image.open(BytesIO(base64.b64decode(words))) as image:
        assert (image.mode, image.size) == ("L", (320, 240))
        return np.asarray(image)


def names(page: "Page") -> list[str]:
    return page.locator("#area-list .title").all_inner_texts()
