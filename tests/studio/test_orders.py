"""What can be ordered: pictures, commands, recipes; and what the studio says of itself."""

import io
import json
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.easel.commands import Form, file_names, picture_name
from stylebank.easel.recipes import read
from stylebank.machine.memory import Tiling
from stylebank.studio import jobs, server

from .conftest import Client, opened, picture, png
from .test_photographs import half

Run = Callable[[str], tuple[object, str, str]]


def rendered(client: Client, photo: str, recipe: object, **form: object) -> bytes:
    order = client.ask("POST", f"/api/photos/{photo}/renders", {"recipe": recipe} | form)
    assert order.status == 202, order.body
    last = client.ended(order.json["job"])
    assert (last["state"], last["done"], last["error"]) == ("done", 1, None)
    found = client.ask("GET", f"/api/jobs/{order.json['job']}/result")
    assert len(found.body) == last["bytes"]
    assert f'filename="{last["name"]}"' in found.headers["content-disposition"]
    return found.body


def test_state_says_what_there_is(client: Client, studio_bank: Path) -> None:
    found = client.ask("GET", "/api/state").json
    assert found["bank"]["name"] == studio_bank.name
    assert found["bank"]["own"] is False
    assert found["photo"] is None
    formats = {each["suffix"]: each for each in found["formats"]}
    assert formats[".jpg"] == {"suffix": ".jpg", "quality": True, "lossless": False}
    assert formats[".png"] == {"suffix": ".png", "quality": False, "lossless": True}
    assert found["limits"]["photo_bytes"] == 300_000_000


def test_styles_are_listed_in_the_banks_order(client: Client) -> None:
    found = client.ask("GET", "/api/styles").json
    assert [style["name"] for style in found] == ["wave", "scream", "mosaic"]
    assert found[0]["layered"] is True
    assert found[0]["trained"] == "joint"
    assert {"artist", "title", "mixture", "about"} <= set(found[0])


def test_document_describes_every_operation(client: Client) -> None:
    found = client.ask("GET", "/api/openapi.json").json
    assert found["openapi"] == "3.1.0"
    told = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    assert told == {(each.method, each.address) for each in server.OPERATIONS}
    for methods in found["paths"].values():
        assert all(each["summary"].endswith((".", "}", ":")) for each in methods.values())
    names = [each["operationId"] for methods in found["paths"].values() for each in methods.values()]
    assert len(set(names)) == len(names)


RECIPES: list[dict[str, Any]] = [
    {"style": "wave"},
    {"style": "wave:0.6+scream:0.4", "strength": 0.65, "stroke": 0.5, "keep_color": True},
    {"style": "photo", "regions": [{"name": "The Sky!", "style": "scream", "strength": 0.7, "stroke": 2}]},
    {
        "style": "mosaic",
        "strength": 0.5,
        "stroke": 1.5,
        "feather": 40,
        "overlap": "share",
        "regions": [
            {"name": "left", "style": "wave", "stroke": 0.75},
            {"name": "hidden", "style": "wave", "visible": False},
            {"name": "left", "style": "wave:0.2+scream:0.8", "strength": 0.123456},
        ],
    },
    {
        "style": "wave",
        "feather": 20,
        "regions": [
            {"name": "kept", "style": "photo", "strength": 0.3, "stroke": 2},
            {"name": "soft", "style": "scream"},
        ],
    },
    {
        "style": "photo",
        "overlap": "share",
        "regions": [{"name": "kept", "style": "photo"}, {"name": "painted", "style": "mosaic"}],
    },
]


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_command_makes_the_same_picture_as_the_studio(
    client: Client, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: Run
) -> None:
    image, name = picture(150, 100, seed=3), "it's my photo.png"
    photo = client.photo(image, "it's%20my%20photo.png")
    soft = np.linspace(0, 255, 75 * 50).reshape(50, 75).astype(np.uint8)
    masks = [client.mask(photo, levels) for levels in (half(150, 100), half(), soft)]
    recipe = json.loads(json.dumps(RECIPES[number]))
    for region, mask in zip(recipe.get("regions", []), masks, strict=False):
        region["mask"] = mask
    picture_bytes = rendered(client, photo, recipe, format=".png", keep_metadata="none")
    order = {"photo": photo, "recipe": recipe, "format": ".png", "keep_metadata": "none"}
    told = client.ask("POST", "/api/command", order)
    assert told.status == 200, told.body
    packed = client.ask("POST", "/api/recipes/export", {"photo": photo, "recipe": recipe}).body
    with zipfile.ZipFile(io.BytesIO(packed)) as found:
        assert set(told.json["files"]) < set(found.namelist())
        found.extractall(tmp_path)
    image.save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (line,) = told.json["lines"]
    assert line.startswith("stylebank ")
    code, said, complained = command_line(line.removeprefix("stylebank "))
    assert code in (0, None), complained
    made = Path(said.strip())
    assert made.read_bytes() == picture_bytes
    other = rendered(client, photo, recipe | {"style": "scream"}, format=".png", keep_metadata="none")
    assert other != picture_bytes


def test_recipe_that_keeps_the_photo_everywhere_is_the_photo_and_no_command(client: Client) -> None:
    photo = client.photo()
    recipe = {"style": "photo", "regions": [{"mask": client.mask(photo, half()), "style": "photo"}]}
    found = Image.open(io.BytesIO(rendered(client, photo, recipe, format=".png"))).convert("RGB")
    assert (np.asarray(found) == np.asarray(picture())).all()
    told = client.ask("POST", "/api/command", {"photo": photo, "recipe": recipe})
    assert (told.status, "choose a style" in told.json["error"]) == (400, True)


def test_preview_looks_like_the_picture(client: Client) -> None:
    image = picture(800, 600, seed=5)
    photo = client.photo(image)
    mask = client.mask(photo, half(800, 600))
    recipe = {
        "style": "wave",
        "feather": 30,
        "regions": [{"mask": mask, "style": "scream", "strength": 0.8}],
    }
    full = Image.open(io.BytesIO(rendered(client, photo, recipe, format=".png"))).convert("RGB")
    small = client.ask("POST", f"/api/photos/{photo}/preview", {"recipe": recipe, "side": 600}).image

    def apart(recipe_image: Image.Image) -> float:
        shrunk = np.asarray(recipe_image.resize(small.size, Image.Resampling.LANCZOS), float)
        return float(abs(shrunk - np.asarray(small.convert("RGB"), float)).mean())

    # Random filters draw noise, which no two sizes have alike; another recipe's is further off all the same.
    other = rendered(client, photo, recipe | {"regions": []}, format=".png")
    assert apart(full) < 0.8 * apart(Image.open(io.BytesIO(other)).convert("RGB"))


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ({"format": ".jpg", "quality": 60}, "JPEG"),
        ({"format": ".webp", "lossless": True}, "WEBP"),
        ({"format": ".tif"}, "TIFF"),
    ],
)
def test_picture_is_written_in_the_format_asked_for(client: Client, form: dict[str, Any], kind: str) -> None:
    photo = client.photo()
    found = rendered(client, photo, {"style": "wave"}, **form)
    assert Image.open(io.BytesIO(found)).format == kind


@pytest.mark.parametrize(
    "form",
    [
        {"format": ".exe"},
        {"format": "../x.png"},
        {"format": ".png", "quality": 50},
        {"format": ".jpg", "lossless": True},
        {"format": ".jpg", "quality": 0},
        {"format": ".jpg", "quality": "9"},
        {"format": ".jpg", "quality": True},
        {"format": 3},
        {"keep_metadata": "some"},
        {"path": "x"},
    ],
)
def test_form_that_cannot_be_written_is_refused_at_once(client: Client, form: dict[str, Any]) -> None:
    order = {"recipe": {"style": "wave"}} | form
    found = client.ask("POST", f"/api/photos/{client.photo()}/renders", order)
    assert found.status == 400, found.body


def test_picture_keeps_alpha_and_date_of_the_photo(client: Client) -> None:
    image = picture()
    image.putalpha(Image.fromarray(half()))
    exif = Image.Exif()
    exif.get_ifd(34665)[36867] = "2020:02:02 20:20:20"
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif.tobytes())
    photo = client.ask("POST", "/api/photos?name=a.png", buffer.getvalue()).json
    assert photo["has_alpha"] is True
    found = Image.open(io.BytesIO(rendered(client, photo["id"], {"style": "wave"}, format=".png")))
    assert (np.asarray(found)[..., 3] == half()).all()
    assert found.getexif().get_ifd(34665)[36867] == "2020:02:02 20:20:20"


class _Slow:
    """A bank in whose place a test decides when it paints, and which tells of tiles until it is given up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
        self.begun, self.free = Event(), Event()
        monkeypatch.setattr(client.workshop, "loader", lambda _: self._load)

    def _load(self, tiling: Tiling) -> "_Slow":
        self.tiling = tiling
        return self

    def stylize(self, image: Image.Image, *_: object, **__: object) -> Image.Image:
        self.begun.set()
        for tile in range(1, 1000):
            self.tiling.progress(min(tile, 500), 1000)
            if self.free.wait(0.01):
                return image
        raise AssertionError("nobody ended it")

    fuse = stylize


def test_render_tells_of_its_progress_and_is_stopped(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, photo = _Slow(monkeypatch, client), client.photo()

    def order() -> str:
        found = client.ask("POST", f"/api/photos/{photo}/renders", {"recipe": {"style": "wave"}})
        return str(found.json["job"])

    first, second = order(), order()
    assert slow.begun.wait(10)
    time.sleep(0.3)
    running = client.ask("GET", f"/api/jobs/{first}").json
    assert running["state"] == "running"
    assert 0 < running["done"] < 1
    assert running["left_s"] > 0
    assert client.ask("GET", f"/api/jobs/{second}").json["state"] == "waiting"
    assert client.ask("GET", f"/api/jobs/{first}/result").status == 404
    events = client.start("GET", f"/api/jobs/{first}/events")
    waiting = client.ask("DELETE", f"/api/jobs/{second}")  # it never begins
    assert waiting.json["state"] == "stopped"
    assert client.ask("DELETE", f"/api/jobs/{first}").json["state"] == "stopped"
    told = [json.loads(line[6:]) for line in events.result(10).body.decode().split("\n\n") if line]
    assert told[-1]["state"] == "stopped"
    assert client.ask("GET", f"/api/jobs/{first}").status == 404
    monkeypatch.undo()
    assert rendered(client, photo, {"style": "wave"})  # the thread goes on


def test_failed_render_says_why_in_a_line_and_the_next_is_painted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> Callable[[Tiling], Any]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(client.workshop, "loader", lambda _: broken)
    photo = client.photo()
    order = client.ask("POST", f"/api/photos/{photo}/renders", {"recipe": {"style": "wave"}})
    last = client.ended(order.json["job"])
    assert last["state"] == "failed"
    assert last["error"].startswith("memory: is used up")
    monkeypatch.undo()
    assert rendered(client, photo, {"style": "wave"})


def test_renders_that_wait_are_bounded_and_results_give_way(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, photo = _Slow(monkeypatch, client), client.photo()
    orders = [
        client.ask("POST", f"/api/photos/{photo}/renders", {"recipe": {"style": "wave"}})
        for _ in range(jobs.MOST_WAITING + 2)
    ]
    assert [order.status for order in orders] == [202] * (jobs.MOST_WAITING + 1) + [429]
    slow.free.set()
    for order in orders[:-1]:
        assert client.ended(order.json["job"])["state"] == "done"
    monkeypatch.setattr(jobs, "RESULT_BYTES", 1)
    rendered_job = client.ask("POST", f"/api/photos/{photo}/renders", {"recipe": {"style": "wave"}}).json
    assert client.ask("GET", f"/api/jobs/{orders[0].json['job']}").status == 404
    client.ask("DELETE", f"/api/jobs/{rendered_job['job']}")


def test_server_answers_while_a_photo_of_twelve_megapixels_is_painted(client: Client) -> None:
    photo = client.photo(picture(4000, 3000))
    recipe = {"style": "wave", "stroke": 0.25}  # in two passes in place of four
    job = client.ask("POST", f"/api/photos/{photo}/renders", {"recipe": recipe, "format": ".jpg"})
    waited, state = [], "waiting"
    while state in ("waiting", "running"):
        begun = time.monotonic()
        state = client.ask("GET", f"/api/jobs/{job.json['job']}").json["state"]
        client.ask("GET", "/")
        waited.append(time.monotonic() - begun)
        time.sleep(0.02)
    assert state == "done"
    assert len(waited) > 3
    assert np.median(waited) < 0.1  # two answers; the cores are busy
    assert max(waited) < 1.5


def test_two_clients_see_the_same_studio(client: Client) -> None:
    photo, other = client.photo(picture(seed=70)), client.photo(picture(seed=71))

    def preview(which: str, name: str) -> Any:
        body = {"recipe": {"style": "wave"}, "side": 64, "client": name, "number": 1}
        return client.start("POST", f"/api/photos/{which}/preview", body)

    answers = [preview(photo, "a"), preview(other, "b"), preview(photo, "b2")]
    bodies = [answer.result(20) for answer in answers]
    assert [answer.status for answer in bodies] == [200, 200, 200]
    assert bodies[0].body == bodies[2].body != bodies[1].body


def test_unknown_jobs_and_words_are_refused(client: Client) -> None:
    assert client.ask("GET", "/api/jobs/nothing").status == 404
    assert client.ask("DELETE", "/api/jobs/nothing").status == 404
    assert client.ask("POST", "/api/jobs/nothing/continue").status == 404
    assert client.ask("POST", "/api/command", {"photo": client.photo(), "recipe": {}}).status == 400
    assert client.ask("POST", "/api/command", {"photo": "x", "recipe": {"style": "wave"}}).status == 410
    for body in (b"[]", b"{", b"\xff", b'"x"', b"[" * 100_000):
        found = client.ask("POST", "/api/command", body)
        assert (found.status, "error" in found.json) == (400, True)


def test_names_of_files_are_plain_and_each_once() -> None:
    region = {"mask": "0" * 16, "style": "wave"}
    names = ["Sky", "sky", "../../etc/passwd", "", "-rf", "Ünter = x"]
    found = read({"regions": [region | {"name": name} for name in names]})
    assert file_names(found) == [
        "sky.png",
        "sky-2.png",
        "etc-passwd.png",
        "region-4.png",
        "rf.png",
        "nter-x.png",
    ]
    assert picture_name("a.b.jpg", found, ".png") == "a.b-fused.png"
    assert Form.read({"format": ".png"}) == Form()


# Recipes as files.


def _zip(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in entries.items():
            packed.writestr(name.replace("__", "."), data)
    return buffer.getvalue()


def _told(**recipe: object) -> bytes:
    return json.dumps({"stylebank": 1, "recipe": recipe}).encode()


def test_recipe_file_opens_again(client: Client) -> None:
    photo = client.photo()
    mask = client.mask(photo, half())
    region = {
        "mask": mask,
        "style": "scream",
        "name": "Sky",
        "strength": 0.25,
        "stroke": 2.0,
        "visible": True,
    }
    recipe = {"style": "wave", "feather": 3.0, "regions": [region, region | {"name": "again"}]}
    packed = client.ask("POST", "/api/recipes/export", {"photo": photo, "recipe": recipe})
    assert packed.headers["content-type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(packed.body)).namelist()
    assert names == ["recipe.json", "sky.png", "again.png"]
    other = client.photo(picture(192, 128, seed=8))  # of the same shape
    found = client.ask("POST", f"/api/recipes/import?photo={other}", packed.body).json["recipe"]
    assert {key: found[key] for key in recipe} == recipe
    assert client.ask("GET", f"/api/photos/{other}/masks/{mask}").status == 200


def test_recipe_file_that_is_none_is_refused(client: Client) -> None:
    photo = client.photo()
    wave = {"mask": "m.png", "style": "wave"}
    mask = png(Image.fromarray(half()))
    good = _zip(recipe__json=_told(style="wave", regions=[wave]), m__png=mask)
    answers = {
        "no zip": b"nothing",
        "empty": _zip(),
        "cut": good[:-30],
        "no json": _zip(recipe__json=b"{"),
        "deep": _zip(recipe__json=b"[" * 200_000),
        "list": _zip(recipe__json=b"[]"),
        "text": _zip(recipe__json=b'{"recipe": "wave"}'),
        "no mask": _zip(recipe__json=_told(regions=[wave])),
        "no image": _zip(recipe__json=_told(regions=[wave]), m__png=b"nothing"),
        "path": _zip(recipe__json=_told(regions=[wave | {"mask": "/etc/passwd"}])),
        "number": _zip(recipe__json=_told(regions=[wave | {"mask": 3}])),
        "many": _zip(recipe__json=_told(regions=[wave] * 33), m__png=mask),
        "unknown": _zip(recipe__json=_told(style="wav")),
        "other shape": _zip(recipe__json=_told(regions=[wave]), m__png=png(Image.new("L", (9, 64)))),
    }
    locked = bytearray(good)
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag that says encrypted
        at = locked.find(sign) + place
        locked[at : at + 2] = struct.pack("<H", 1)
    answers["locked"] = bytes(locked)
    for name, data in answers.items():
        found = client.ask("POST", f"/api/recipes/import?photo={photo}", data)
        assert found.status in (400, 422), (name, found.body)
        assert "bug" not in found.json["error"], name
    assert client.ask("POST", f"/api/recipes/import?photo={photo}", good).status == 200


def test_bombs_are_not_unpacked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from stylebank.easel import commands

    photo = client.photo()
    wave = {"mask": "m.png", "style": "wave"}
    large = _zip(recipe__json=b" " * 30_000_000 + _told(style="wave"))
    assert len(large) < 100_000
    assert client.ask("POST", f"/api/recipes/import?photo={photo}", large).status == 413
    bomb = _zip(recipe__json=_told(regions=[wave]), m__png=b"\0" * 65_000_000)
    assert len(bomb) < 100_000
    assert client.ask("POST", f"/api/recipes/import?photo={photo}", bomb).status == 413
    # An image of too many pixels, in few bytes, is refused by its header.
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    huge = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    found = client.ask("POST", f"/api/photos/{photo}/masks", huge)
    assert (found.status, "million pixels" in found.json["error"]) == (422, True)
    assert client.ask("POST", "/api/photos?name=a.png", huge).status == 422
    # All masks together.
    monkeypatch.setattr(commands, "_ALL", 1000)
    several = [wave | {"mask": f"{place}.png"} for place in range(3)]
    entries = {f"{place}__png": png(Image.effect_noise((96, 64), 99)) for place in range(3)}
    together = _zip(recipe__json=_told(regions=several), **entries)
    assert client.ask("POST", f"/api/recipes/import?photo={photo}", together).status == 413


def test_photo_of_the_command_line_is_there(studio_bank: Path, tmp_path: Path) -> None:
    path = tmp_path / "beach.png"
    picture().save(path)
    for client in opened(studio_bank, photo=path):
        found = client.ask("GET", "/api/state").json
        assert found["photo"]["name"] == "beach.png"
        assert client.ask("GET", f"/api/photos/{found['photo']['id']}/picture").status == 200
    path.write_bytes(b"no photo")
    for client in opened(studio_bank, photo=path):
        found = client.ask("GET", "/api/state").json
        assert found["photo"] is None
        assert "beach.png" in found["problem"]


def test_bank_that_cannot_be_read_is_said_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "bank.safetensors"
    path.write_bytes(b"nothing")
    for client in opened(path):
        for address in ("/api/state", "/api/styles"):
            found = client.ask("GET", address)
            assert (found.status, "bank.safetensors" in found.json["error"]) == (422, True)
        assert client.ask("GET", "/").status == 200
