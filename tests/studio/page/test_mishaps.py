"""What goes wrong around the page takes nothing from its visitors: networks that fail, fast hands, other machines."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from .conftest import (
    Opener,
    Studio,
    at,
    differs,
    drawn,
    killed,
    mask_of,
    masked,
    names,
    pick,
    seen,
    stroke,
    until,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

INSECURE = """
    delete Crypto.prototype.randomUUID;
    for (const name of ["clipboard", "storageBuckets"]) Object.defineProperty(navigator, name, { value: undefined });
    delete window.showDirectoryPicker;
"""
"""What a browser lacks where a page came by plain http from another machine."""


SLOWLY = """
    const read = Response.prototype.arrayBuffer;
    Response.prototype.arrayBuffer = async function () {
        await new Promise((done) => setTimeout(done, 150));
        return read.call(this);
    };
"""
"""Masks are packed as slowly as on a phone."""


def area(page: "Page", photo: Path) -> None:
    """A photo with an area to paint."""
    pick(page, photo)
    page.locator("#add-area").click()
    page.locator("#view.is-drawing").wait_for()


def test_page_starts_on_another_machine_of_the_network(opened: Opener, photo: Path) -> None:
    page = opened(first=INSECURE)
    pick(page, photo)
    page.locator("[data-style=mosaic]").click()
    seen(page)
    page.locator("#save").click()
    page.locator("summary").click()
    page.locator("#copy").click()
    page.get_by_text("Select the line and copy it.").wait_for()
    assert "stylize" in page.locator("#command").inner_text()


def test_strokes_that_follow_each_other_at_once_are_all_in_the_mask(opened: Opener, photo: Path) -> None:
    page, sent = opened(first=SLOWLY), list[Any]()
    area(page, photo)
    page.on("response", lambda one: sent.extend([one] * one.url.endswith("/masks")))
    for x in (0.2, 0.5, 0.8):
        page.mouse.move(*at(page, x, 0.5))
        page.mouse.down()
        page.mouse.up()
    until(page, lambda: len(sent) == 3, "three masks are sent")
    until(page, lambda: len(marks(mask_of(page, sent[-1]))) == 3, "three dabs are in the last one")


def marks(mask: np.ndarray[Any, Any]) -> list[int]:
    """Columns where something painted begins."""
    painted = (mask > 128).any(axis=0).astype(int)
    return list(np.flatnonzero(np.diff(painted) > 0))


def test_stroke_that_rests_while_the_one_before_fades_goes_on(opened: Opener, photo: Path) -> None:
    page = opened()
    area(page, photo)
    stroke(page, (0.1, 0.2), (0.3, 0.2))
    page.mouse.move(*at(page, 0.4, 0.7))
    page.mouse.down()
    page.mouse.move(*at(page, 0.6, 0.7), steps=3)
    page.wait_for_timeout(1200)  # the first has faded
    with page.expect_response(lambda one: one.url.endswith("/masks")) as answer:
        page.mouse.move(*at(page, 0.9, 0.7), steps=3)
        page.mouse.up()
    mask = mask_of(page, answer.value)
    assert mask[int(0.7 * len(mask)), int(0.85 * mask.shape[1])] > 128
    assert mask[int(0.2 * len(mask)), int(0.2 * mask.shape[1])] > 128


def test_two_fingers_zoom_and_paint_nothing(opened: Opener, photo: Path) -> None:
    page, sent = opened(), list[str]()
    area(page, photo)
    page.on("request", lambda one: sent.extend([one.url] * one.url.endswith("/masks")))
    zoom = page.locator("#zoom").inner_text()
    cdp, middle = page.context.new_cdp_session(page), at(page, 0.5, 0.5)

    def touch(kind: str, *across: float) -> None:
        points = [{"x": middle[0] + x, "y": middle[1], "id": number} for number, x in enumerate(across)]
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -40)
    touch("touchStart", -40, 40)
    for step in range(1, 8):
        touch("touchMove", -40 - 8 * step, 40 + 8 * step)
    touch("touchEnd", -96)  # the second finger leaves first
    touch("touchMove", -60)
    touch("touchEnd")
    page.wait_for_timeout(500)
    assert page.locator("#zoom").inner_text() != zoom
    assert sent == []
    touch("touchStart", 0)
    touch("touchMove", 30)
    touch("touchEnd")
    until(page, lambda: len(sent) == 1, "one finger paints")


def test_photo_that_comes_late_does_not_replace_a_newer_one(
    opened: Opener, photo: Path, tmp_path: Path
) -> None:
    page, held = opened(), list[Any]()
    pick(page, photo)
    page.route("**/api/photos?name=slow.png", lambda route: held.append(route))  # noqa: PLW0108  # Playwright writes on it
    bring(page, drawn(tmp_path / "slow.png", (200, 300)))
    until(page, lambda: held, "it is on its way")
    bring(page, drawn(tmp_path / "quick.png", (300, 200)))
    until(page, lambda: page.title().startswith("quick.png"), "the newer one is there")
    with page.expect_response(lambda one: "slow.png" in one.url):
        held[0].continue_()
    page.wait_for_timeout(300)
    assert page.title().startswith("quick.png")
    assert not page.locator("body.is-bringing").count()


def bring(page: "Page", photo: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#open").click()
    chooser.value.set_files(photo)


def test_job_is_followed_on_when_its_stream_breaks(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    begun = f"data: {json.dumps({'state': 'running', 'done': 0.1})}\n\n"
    page.route(
        "**/events", lambda route: route.fulfill(body=begun, content_type="text/event-stream"), times=1
    )
    page.locator("#save").click()
    with page.expect_download() as saved:
        page.locator("#render").click()
    assert saved.value.suggested_filename.startswith("garden")


def test_folder_goes_on_after_a_moment_without_network(
    opened: Opener, photo: Path, tmp_path: Path, studio: Studio
) -> None:
    page, found = opened(), list[str]()
    pick(page, photo)
    killed.add(studio.port)
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        drawn(folder / name, (80, 64))
    lost = list[str]()

    def lose(route: "Route") -> None:
        lost.append(route.request.url)
        route.fulfill(status=403, json={"error": "token: is missing"}) if len(
            lost
        ) == 1 else route.continue_()

    page.route("**/api/photos?name=b.png", lose)
    page.on("download", lambda one: found.append(one.suggested_filename))
    page.keyboard.press("Control+s")
    page.locator("summary").click()
    with page.expect_file_chooser() as chooser:
        page.locator("#folder").click()
    chooser.value.set_files(folder)
    words = page.locator("#folder-words")
    until(page, lambda: words.inner_text().startswith("3 of 3 painted"), "all are painted")
    assert len(lost) == 2


def test_style_that_is_being_learnt_is_shown_and_not_one_stopped_before(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    told = {"kind": "style", "losses": [], "step": 5, "steps": 100}
    first, second = ({**told, "id": name, "name": name, "state": state} for name, state in WORK)
    page.route("**/api/jobs", lambda route: route.fulfill(json=[first, second]))
    page.route(
        "**/api/jobs/second/events",
        lambda route: route.fulfill(body=f"data: {json.dumps(second)}\n\n", content_type="text/event-stream"),
    )
    page.locator("#new-style").click()
    until(page, lambda: "Learning" in page.locator("#new-style-words").inner_text(), "it is shown")
    assert page.locator("#style-stop").is_visible()


WORK = (("first", "stopped"), ("second", "running"))


@pytest.mark.posix
def test_areas_of_the_photo_of_the_command_line_outlive_the_studio(
    opened: Opener, photo: Path, studio_bank: Path
) -> None:
    own = Studio(studio_bank, str(photo))
    try:
        page = opened(of=own)
        page.locator("html[data-shown]").wait_for(state="attached")
        page.locator("#add-area").click()
        masked(page, (0.2, 0.3), (0.5, 0.3))
        before = seen(page)
        killed.add(own.port)
        own.kill()
        page.locator("[data-style=mosaic]").click()
        page.locator("#offline").wait_for()
        own.start()
        page.goto(own.address)
        page.locator("#offline").wait_for(state="hidden")
        assert names(page) == ["Area 1", "Everything else"]
        page.keyboard.press("Control+z")
        assert differs(before, seen(page)) < 0.01
    finally:
        own.kill()


@pytest.mark.posix
def test_what_was_painted_while_the_studio_was_away_outlives_a_reload(
    opened: Opener, photo: Path, studio_bank: Path
) -> None:
    own = Studio(studio_bank)
    try:
        page = opened(of=own)
        area(page, photo)
        killed.add(own.port)
        own.kill()
        stroke(page, (0.2, 0.3), (0.5, 0.3))
        page.locator("#offline").wait_for()
        own.start()
        with page.expect_response(lambda one: one.url.endswith("/masks")):
            page.goto(own.address)
        before = seen(page)
        page.reload()
        page.locator("html[data-ready]").wait_for(state="attached")
        assert names(page) == ["Area 1", "Everything else"]
        assert differs(before, seen(page)) < 0.01
    finally:
        own.kill()
