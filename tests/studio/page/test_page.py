"""What the page does for its visitors."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from tests.studio.conftest import pretend

from .conftest import (
    Opener,
    Studio,
    at,
    collect_garbage,
    differs,
    drawn,
    is_painted,
    killed,
    mask_of,
    masked,
    names,
    ordered,
    pick,
    seen,
    serious,
    stroke,
    until,
)

HEAR = """() => {
    window.heard = [];
    const told = document.getElementById("told");
    new MutationObserver(() => heard.push(told.textContent)).observe(told, { childList: true, subtree: true });
}"""
"""What a screen reader is told from now on, all of it: the next message may follow at once."""


def test_first_visit_explains_itself_in_three_sentences_and_has_a_sample(opened: Opener) -> None:
    page = opened()
    words = page.locator(".lead").inner_text()
    assert words.count(".") == 3
    assert "token" not in page.url
    with page.expect_response(is_painted):
        page.locator("#sample").click()
    page.locator(".card img").nth(3).wait_for()
    assert not page.locator("#welcome").is_visible()


def test_photo_is_dropped_and_a_click_on_a_style_paints_it(opened: Opener, photo: Path) -> None:
    page = opened()
    data = page.evaluate_handle(
        """(bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "garden.png", {type: "image/png"}));
          return data;
        }""",
        list(photo.read_bytes()),
    )
    with page.expect_response(is_painted):
        page.dispatch_event("body", "drop", {"dataTransfer": data})
    assert page.title().startswith("garden.png")
    first = seen(page)
    with page.expect_response(is_painted):
        page.locator("[data-style=scream]").click()
    assert differs(first, seen(page)) > 0.1
    assert page.locator("[data-style=scream]").get_attribute("aria-pressed") == "true"


def test_border_shows_the_photo_on_its_left(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    painted = seen(page)
    page.keyboard.press("x")
    page.locator("#handle").press("Home")
    assert differs(painted, seen(page)) < 0.02  # the tags are no part of the canvas
    page.locator("#handle").press("End")
    assert differs(painted, seen(page)) > 0.1
    page.keyboard.press("x")
    assert differs(painted, seen(page)) == 0


def test_slider_asks_small_while_it_moves_and_is_one_step_of_undo(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, drawn(photo, (1600, 1200)))
    sides: list[tuple[int, float]] = []

    def asked(request: Any) -> None:
        if request.url.endswith("/preview"):
            order = request.post_data_json
            sides.append((order["side"], order["recipe"]["strength"]))

    seen(page)
    page.on("request", asked)
    box = page.locator("#sliders input").first.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 9, y)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(box["x"] + box["width"] - 9 - 12 * step, y)
        page.wait_for_timeout(40)
    assert {side for side, _ in sides} == {512}
    page.mouse.up()
    seen(page)
    assert max(side for side, _ in sides) >= 1024
    assert sides[-1][1] == min(strength for _, strength in sides) < 0.7
    page.keyboard.press("Control+z")
    assert page.locator("#sliders output").first.inner_text() == "100 %"
    assert page.locator("#undo").is_disabled()
    page.keyboard.press("Control+Shift+Z")
    assert page.locator("#sliders output").first.inner_text() != "100 %"


def test_pad_mixes_styles_whose_weights_sum_to_one(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    page.locator("[data-style=scream]").click(modifiers=["Shift"])
    page.locator("[data-style=mosaic]").click(modifiers=["Shift"])
    assert page.locator("#pad").get_attribute("data-corners") == "3"
    seen(page)
    box = page.locator("#pad-view").bounding_box()
    assert box
    with page.expect_request(lambda one: one.url.endswith("/preview")) as order:
        page.mouse.click(box["x"] + 4, box["y"] + box["height"] - 4)
    weights = dict(part.split(":") for part in ordered(order.value)["style"].split("+"))
    assert abs(sum(map(float, weights.values())) - 1) < 0.01
    assert float(weights["scream"]) > 0.9
    before = page.locator("#knob").get_attribute("aria-valuetext")
    page.locator("#knob").press("ArrowUp")
    assert page.locator("#knob").get_attribute("aria-valuetext") != before
    page.locator("[aria-label='Take Mosaic out of the mix']").click()
    assert page.locator("#pad").get_attribute("data-corners") == "2"


def test_brush_and_eraser_draw_the_mask_and_undo_takes_it_back(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    before = seen(page)
    page.locator("#add-area").click()
    page.keyboard.press("{")
    sent = masked(page, (0.2, 0.3), (0.5, 0.3))
    mask = mask_of(page, sent)
    assert mask[72, 96] == 255  # on the stroke
    assert mask[200, 96] == 0  # below
    drawn_once = seen(page)
    changed = np.abs(drawn_once - before).max(axis=2) > 8
    assert changed.mean() > 0.005
    page.keyboard.press("e")
    erased = masked(page, (0.5, 0.3), (0.4, 0.3))
    assert mask_of(page, erased)[72, 150] < 8
    page.keyboard.press("Control+z")
    assert differs(drawn_once, seen(page)) < 0.002
    page.keyboard.press("Control+z")
    assert differs(before, seen(page)) < 0.002
    page.keyboard.press("Control+Shift+Z")
    assert differs(drawn_once, seen(page)) < 0.002


def test_found_things_become_areas_that_are_ordered_hidden_named_and_deleted(
    opened: Opener, photo: Path
) -> None:
    page = opened()
    pick(page, photo)
    page.locator("#find").click()
    page.locator("#pick-hint .swatch").first.wait_for()
    page.mouse.click(*at(page, 0.2, 0.8))
    until(page, lambda: names(page) == ["Area 1", "Everything else"], "a click takes a part")
    page.locator("#pick-hint .swatch").first.click()
    page.keyboard.press("Escape")
    assert names(page) == ["Area 2", "Area 1", "Everything else"]
    page.locator("[data-key] .pick").nth(0).press("Alt+ArrowDown")
    assert names(page) == ["Area 1", "Area 2", "Everything else"]
    page.locator("#area-list li").nth(1).drag_to(page.locator("#area-list li").nth(0))
    assert names(page) == ["Area 2", "Area 1", "Everything else"]
    page.locator(".pick").nth(0).press("F2")
    page.keyboard.type("Meadow")
    page.keyboard.press("Enter")
    assert names(page)[0] == "Meadow"
    seen(page)
    with page.expect_request(lambda one: one.url.endswith("/preview")) as order:
        page.locator("[aria-label='Show Meadow']").click()
    assert [one["visible"] for one in ordered(order.value)["regions"]] == [True, False]
    page.locator(".pick").nth(0).press("Delete")
    assert names(page) == ["Area 1", "Everything else"]


def test_picture_is_saved_at_full_size(opened: Opener, photo: Path, tmp_path: Path) -> None:
    page = opened()
    pick(page, photo)
    page.keyboard.press("Control+s")
    page.locator("#format").select_option(".png")
    with page.expect_download() as saved:
        page.locator("#render").click()
    assert saved.value.suggested_filename.endswith(".png")
    saved.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as image:
        assert image.size == (320, 240)
    until(page, lambda: "Saved" in page.locator("#render-words").inner_text(), "it says so")


def test_picture_is_given_up(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, drawn(photo, (3600, 2700)))
    page.keyboard.press("Control+s")
    with page.expect_response(lambda one: "/api/jobs/" in one.url and one.request.method == "DELETE"):
        page.locator("#render").click()
        page.locator("#render-stop").click()
    until(page, lambda: page.locator("#render").is_enabled(), "another picture can be had")
    assert page.locator("#render-words").inner_text() == "Cancelled."


def test_command_is_copied_and_a_recipe_opens_again(opened: Opener, photo: Path, tmp_path: Path) -> None:
    page = opened()
    pick(page, photo)
    page.locator("#add-area").click()
    stroke(page, (0.2, 0.3), (0.5, 0.3))
    page.keyboard.press("Control+s")
    page.locator("summary").click()
    page.locator("#copy").click()
    page.locator("#command").wait_for()
    command = page.locator("#command").inner_text()
    assert command.startswith("stylebank fuse garden.png --region ")
    until(page, lambda: page.evaluate("navigator.clipboard.readText()") == command, "it is in the clipboard")
    with page.expect_download() as saved:
        page.locator("#recipe-out").click()
    saved.value.save_as(tmp_path / "look.zip")
    assert any(name.endswith(".png") for name in ZipFile(tmp_path / "look.zip").namelist())
    page.keyboard.press("Escape")
    page.locator("[aria-label='Delete Area 1']").click()
    assert page.locator("#area-list li").count() == 0
    page.keyboard.press("Control+s")
    with page.expect_file_chooser() as chooser:
        page.locator("#recipe-in").click()
    chooser.value.set_files(tmp_path / "look.zip")
    page.locator("#area-list li").nth(1).wait_for(state="attached")
    assert names(page) == ["Area 1", "Everything else"]


def test_folder_is_painted_photo_by_photo(opened: Opener, photo: Path, tmp_path: Path) -> None:
    page = opened()
    pick(page, photo)
    folder = tmp_path / "album"
    folder.mkdir()
    for name, side in {"b.png": 96, "a.png": 80}.items():
        drawn(folder / name, (side, 64))
    (folder / "notes.txt").write_text("no photo")
    page.keyboard.press("Control+s")
    page.locator("summary").click()
    found: list[str] = []
    page.on("download", lambda one: found.append(one.suggested_filename))
    with page.expect_file_chooser() as chooser:
        page.locator("#folder").click()
    chooser.value.set_files(folder)
    words = page.locator("#folder-words")
    until(page, lambda: words.inner_text().startswith("2 of 2 painted"), "both are painted")
    until(page, lambda: len(found) == 2, "both are told")
    assert [name[0] for name in found] == ["a", "b"]


def test_reload_goes_on_where_it_was(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    page.locator("[data-style=mosaic]").click()
    page.locator("#add-area").click()
    masked(page, (0.2, 0.3), (0.5, 0.3))
    before = seen(page)
    page.reload()
    page.locator("html[data-ready]").wait_for(state="attached")
    assert names(page) == ["Area 1", "Everything else"]
    assert differs(before, seen(page)) < 0.01


def test_two_tabs_have_a_photo_each(opened: Opener, photo: Path, tmp_path: Path, studio: Studio) -> None:
    page = opened()
    pick(page, photo)
    other = page.context.new_page()
    other.goto(f"http://127.0.0.1:{studio.port}/")  # no key in its address: the first tab has it
    other.locator("html[data-ready]").wait_for(state="attached")
    pick(other, drawn(tmp_path / "other.png", (200, 300)))
    other.locator("[data-style=scream]").click()
    assert page.title().startswith("garden.png")
    assert page.locator("[data-style=scream]").get_attribute("aria-pressed") == "false"


@pytest.mark.posix
def test_studio_that_comes_back_gets_the_photo_again(opened: Opener, photo: Path, studio: Studio) -> None:
    page = opened()
    pick(page, photo)
    page.locator("#add-area").click()
    masked(page, (0.2, 0.3), (0.5, 0.3))
    before = seen(page)
    killed.add(studio.port)
    studio.kill()
    page.locator("[data-style=mosaic]").click()
    page.locator("#offline").wait_for()
    studio.start()
    page.goto(studio.address)  # in the same tab: only what is behind the # changes
    page.locator("#offline").wait_for(state="hidden")
    assert names(page) == ["Area 1", "Everything else"]
    page.keyboard.press("Control+z")
    assert differs(before, seen(page)) < 0.01


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (360, "light")])
def test_page_has_no_serious_accessibility_finding(
    opened: Opener, photo: Path, width: int, scheme: str
) -> None:
    page = opened(width, 740, scheme)
    assert serious(page) == []
    pick(page, photo)
    page.locator(".card img").nth(3).wait_for(state="attached")
    page.locator("[data-style=scream]").click(modifiers=["Shift"])
    if width < 700:
        page.locator("#tab-areas").click()
    page.locator("#add-area").click()
    page.wait_for_timeout(400)  # what fades in has its full contrast
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button, dialog in {"#save": "#save-dialog", "#new-style": "#style-dialog"}.items():
        page.locator(button).click()
        page.locator(dialog).wait_for()
        assert serious(page) == []
        page.keyboard.press("Escape")


def test_style_is_begun_stopped_and_can_go_on(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    page.locator("#new-style").click()
    with page.expect_file_chooser() as chooser:
        page.locator(".slot").first.click()
    chooser.value.set_files(photo)
    page.locator(".slot.full").nth(4).wait_for()  # one painting for all
    assert page.locator("#style-name").input_value() == "garden"
    page.locator("[aria-label^='Crop Finest']").click()
    page.locator("#crop-view").press("+")
    page.locator("#crop-done").click()
    with page.expect_request(lambda one: one.url.endswith("/style-jobs")) as order:
        page.locator("#style-start").click()
    lesson = order.value.post_data_json
    assert lesson
    assert lesson["layers"][0]["crop"] == [0.02, 0.02, 0.98, 0.98]
    assert lesson["layers"][1]["crop"] is None
    page.locator("#style-stop").click()
    page.locator("#style-continue").wait_for()
    assert "Stopped" in page.locator("#style-words").inner_text()


def test_photo_is_pasted_and_keeps_the_look_of_the_one_before(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    page.locator("[data-style=scream]").click()
    with page.expect_response(lambda one: "/api/photos?" in one.url) as sent:
        page.evaluate(
            """async () => {
              const canvas = new OffscreenCanvas(64, 48);
              canvas.getContext("2d").fillRect(8, 8, 20, 20);
              const file = new File([await canvas.convertToBlob()], "pasted.png", {type: "image/png"});
              const clipboardData = new DataTransfer();
              clipboardData.items.add(file);
              document.dispatchEvent(new ClipboardEvent("paste", {clipboardData, cancelable: true}));
            }"""
        )
    assert sent.value.json()["name"] == "pasted.png"
    until(page, lambda: page.title().startswith("pasted.png"), "it is shown")
    assert page.locator("[data-style=scream]").get_attribute("aria-pressed") == "true"


def test_mask_comes_from_a_file_and_goes_into_one(opened: Opener, photo: Path, tmp_path: Path) -> None:
    page = opened()
    pick(page, photo)
    half = np.zeros((240, 320), np.uint8)
    half[:, 160:] = 255
    Image.fromarray(half).save(tmp_path / "right.png")
    with page.expect_file_chooser() as chooser:
        page.locator("#mask-in").click()
    chooser.value.set_files(tmp_path / "right.png")
    with page.expect_download() as saved:
        page.locator("[aria-label^='Save the mask']").click()
    saved.value.save_as(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        out = np.asarray(image.convert("L").resize((320, 240)))
    assert out[:, :155].max() < 8
    assert out[:, 165:].min() > 247


def test_area_can_keep_the_photo_as_it_is(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    page.locator("[data-style=scream]").click()
    page.locator("#add-area").click()
    masked(page, (0.2, 0.7), (0.5, 0.7))
    seen(page)
    with page.expect_request(lambda one: one.url.endswith("/preview")) as order:
        page.locator("[data-style=photo]").click()
    assert ordered(order.value)["regions"][0]["style"] == "photo"
    page.locator("#tool-move").click()
    painted_now = seen(page)
    page.keyboard.down("\\")
    photo_itself = seen(page)
    page.keyboard.up("\\")
    box = page.locator("#view").bounding_box()
    assert box

    def around(x: float, y: float) -> float:
        u, v = at(page, x, y)
        part = np.s_[
            int(v - box["y"]) - 9 : int(v - box["y"]) + 9, int(u - box["x"]) - 9 : int(u - box["x"]) + 9
        ]
        return float(np.abs(painted_now[part] - photo_itself[part]).mean())

    assert around(0.3, 0.7) < 6  # JPEG's part
    assert around(0.3, 0.2) > 12  # where the style is
    assert page.locator("#area-list .artist").first.inner_text() == "Original photo"


def test_forms_of_one_style_with_marks_of_another(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, photo)
    with page.expect_request(lambda one: one.url.endswith("/preview")) as order:
        page.locator("#marks").select_option("scream")
    assert ordered(order.value)["style"].endswith("/scream")


def test_part_in_sight_is_painted_at_full_size_and_the_photo_beside_it(opened: Opener, photo: Path) -> None:
    page = opened()
    pick(page, drawn(photo, (2200, 1650)))
    seen(page)
    page.evaluate(
        "new PerformanceObserver((l) => (window.long = l.getEntries())).observe({type: 'longtask'})"
    )
    windows: list[tuple[str, list[int]]] = []

    def asked(request: Any) -> None:
        if request.url.endswith("/preview") and "window" in request.post_data_json:
            windows.append((ordered(request)["style"], request.post_data_json["window"]))

    page.on("request", asked)
    page.keyboard.press("1")
    page.locator("html[data-part]").wait_for(state="attached")
    box = page.locator("#view").bounding_box()
    assert box
    (style, (left, top, width, height)), *others = windows
    assert style != "photo"
    assert not others
    assert left <= (2200 - box["width"]) / 2
    assert top <= (1650 - box["height"]) / 2
    assert (left + width, top + height) >= ((2200 + box["width"]) / 2, (1650 + box["height"]) / 2)
    page.keyboard.press("x")
    until(page, lambda: windows[-1][0] == "photo", "of the photo too")
    assert windows[-1][1] == windows[0][1]
    page.keyboard.press("0")
    seen(page)
    assert page.evaluate("Math.max(0, ...(window.long ?? []).map((one) => one.duration))") < 400


@pytest.mark.posix
def test_reload_goes_on_though_the_studio_was_started_anew(
    opened: Opener, photo: Path, studio_bank: Path
) -> None:
    own = Studio(studio_bank)
    try:
        page = opened(of=own)
        pick(page, photo)
        page.locator("[data-style=mosaic]").click()
        page.locator("#add-area").click()
        collect_garbage(page)
        masked(page, (0.2, 0.3), (0.5, 0.3))
        before = seen(page)
        killed.add(own.port)
        own.kill()
        own.start()
        page.goto("about:blank")
        page.goto(own.address)  # all anew; the browser has the photo and the mask
        page.locator("html[data-ready]").wait_for(state="attached")
        until(page, lambda: names(page) == ["Area 1", "Everything else"], "the areas are there")
        assert differs(before, seen(page)) < 0.01
    finally:
        own.kill()


def test_password_is_asked_for_and_a_wrong_one_is_told(opened: Opener, studio_bank: Path) -> None:
    own = Studio(studio_bank, "--host", "127.0.0.1", "--password", "a long password")
    try:
        page = opened(of=own)
        killed.add(own.port)  # what is refused stands in the console
        page.locator("#key").wait_for()
        until(page, lambda: page.evaluate("document.activeElement.id") == "key", "typing goes there")
        assert serious(page) == []
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        until(page, lambda: "not the password" in page.locator("#offline-words").inner_text(), "it says so")
        page.keyboard.type("a long password")
        page.keyboard.press("Enter")
        page.locator("html[data-ready]").wait_for(state="attached")
        assert page.evaluate("document.activeElement.id") == "pick"
    finally:
        own.kill()


def test_style_is_learnt_in_sight_and_used_at_once(
    opened: Opener, photo: Path, studio_bank: Path, make_bank: Callable[..., Any], tmp_path: Path
) -> None:
    from stylebank.bank import bundle

    bank, after, script = tmp_path / "bank.safetensors", tmp_path / "after", tmp_path / "child.py"
    bank.write_bytes(studio_bank.read_bytes())
    bundle.write(after, make_bank({"wave": 3, "scream": 3, "mosaic": 1, "garden": 3}))
    pretend(script, preview=photo, bank=after, steps=80, seconds=0.02)
    own = Studio(bank, before=f"from stylebank.studio import learning; learning.CHILD = ({str(script)!r},)")
    try:
        page = opened(of=own)
        pick(page, photo)
        page.locator("#new-style").click()
        with page.expect_file_chooser() as chooser:
            page.locator(".slot").first.click()
        chooser.value.set_files(photo)
        page.locator(".slot.full").nth(4).wait_for()
        page.locator("#style-start").click()
        page.locator("#style-preview").wait_for()
        words = page.locator("#style-words")
        until(
            page, lambda: re.search(r"Step \d+, about .* left", words.inner_text()), "the time left is told"
        )
        blank = "document.createElement('canvas').toDataURL()"
        assert page.evaluate("document.querySelector('#curve').toDataURL()") != page.evaluate(blank)
        page.keyboard.press("Escape")  # it goes on without the dialog
        until(page, lambda: "%" in page.locator("#new-style").inner_text(), "how much is told in the gallery")
        page.locator("#new-style").click()
        page.locator("#style-stop").click()
        page.locator("#style-continue").click()
        until(page, lambda: words.inner_text().startswith("Done"), "it is learnt")
        page.keyboard.press("Escape")
        with page.expect_response(is_painted) as painted:
            page.locator("[data-style=garden]").click()
        assert ordered(painted.value.request)["style"] == "garden"
        page.locator("[data-style=garden] img").wait_for()
    finally:
        own.kill()


def test_keys_alone_open_choose_mix_paint_and_save(opened: Opener, photo: Path) -> None:
    page = opened()
    assert page.evaluate("document.activeElement.id") in ("", "pick")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("o")
    with page.expect_response(is_painted):
        chooser.value.set_files(photo)
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.evaluate(NAMED)
        if here in reached:
            break
        reached.append(here)
    assert all(name.split("|")[1] for name in reached), reached  # each has a name
    kinds = "\n".join(reached)
    for wanted in ("Find a style", "Strength", "Keep the photo", "Paint", "Save"):
        assert wanted in kinds, kinds
    page.evaluate(HEAR)
    page.locator("[data-style=photo]").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    chosen = page.evaluate("document.activeElement.dataset.style")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+Enter")
    assert page.locator("#chips li").count() == 2
    until(page, lambda: "Painted." in page.evaluate("heard.join()"), "what is painted is told")
    assert chosen != "photo"
    page.locator("#knob").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Control+s")
    assert page.evaluate("document.activeElement.id") == "render"
    with page.expect_download():
        page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.locator("#save-dialog").wait_for(state="hidden")


NAMED = """(() => {
  const one = document.activeElement;
  const words = one.ariaLabel || one.labels?.[0]?.innerText || one.innerText || one.title || "";
  return `${one.id || one.tagName}|${words.trim()}`;
})()"""
