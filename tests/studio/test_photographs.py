"""What can be asked of a photo."""

import io
import json
import time
from collections.abc import Iterator
from functools import partial
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.easel import album, previews
from stylebank.easel.previews import QUICK, SLOW, WHENEVER, Painter
from stylebank.easel.refusals import RefusedError
from stylebank.machine import halts

from .conftest import Client, picture, png


def frames(body: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    while body:
        length = int.from_bytes(body[:4], "big")
        head = json.loads(body[4 : 4 + length])
        start = 4 + length
        yield head, body[start : start + head["bytes"]]
        body = body[start + head["bytes"] :]


def half(width: int = 96, height: int = 64) -> np.ndarray[Any, Any]:
    levels = np.zeros((height, width), np.uint8)
    levels[:, : width // 2] = 255
    return levels


def test_same_bytes_are_the_same_photo_and_its_name_has_no_folders(client: Client) -> None:
    first = client.ask("POST", "/api/photos?name=../../trip/beach%20day.png", png(picture())).json
    assert first == {
        "id": client.photo(),
        "name": "beach day.png",
        "width": 96,
        "height": 64,
        "has_alpha": False,
        "notes": [],
    }
    assert client.photo(picture(seed=1)) != first["id"]


@pytest.mark.parametrize("data", [b"", b"no image", png(picture())[:200], b"\xff\xd8\xff" + b"0" * 100])
def test_what_is_no_photo_is_refused_in_one_line(client: Client, data: bytes) -> None:
    found = client.ask("POST", "/api/photos?name=x.png", data)
    assert found.status == 422
    assert found.json["error"].startswith("x.png: ")
    assert "\n" not in found.json["error"]


def test_photo_is_shown_fitted(client: Client) -> None:
    found = client.ask("GET", f"/api/photos/{client.photo()}/picture?side=48")
    assert (found.headers["content-type"], found.image.size) == ("image/jpeg", (48, 32))
    assert client.ask("GET", f"/api/photos/{client.photo()}/picture?side=99999").status == 400


def test_preview_is_painted_by_the_recipe(client: Client) -> None:
    photo = client.photo()

    def painted(**recipe: object) -> np.ndarray[Any, Any]:
        found = client.ask("POST", f"/api/photos/{photo}/preview", {"recipe": recipe, "side": 96})
        assert found.status == 200, found.body
        assert found.headers["content-type"] == "image/jpeg"
        assert float(found.headers["x-ms"]) >= 0
        assert found.image.size == (96, 64)
        return np.asarray(found.image.convert("RGB"), float)

    wave, plain = painted(style="wave"), painted(style="photo")
    assert abs(plain - np.asarray(picture())).mean() < 12  # JPEG of quality 92 on soft colours
    assert abs(wave - plain).mean() > 20
    for other in (
        {"style": "scream"},
        {"style": "wave:0.5+scream:0.5"},
        {"strength": 0.3},
        {"keep_color": True},
    ):
        assert abs(painted(**({"style": "wave"} | other)) - wave).mean() > 2, other
    mask = client.mask(photo, half())
    region = {"mask": mask, "style": "scream", "name": "left"}
    both = painted(style="photo", regions=[region])
    assert abs(both - plain)[:, 64:].mean() < 4  # the photo, which JPEG codes otherwise beside a painted half
    assert abs(both - plain)[:, :40].mean() > 10
    kept = painted(style="scream", regions=[region | {"style": "photo"}])
    assert abs(kept - plain)[:, :40].mean() < 4
    assert abs(kept - plain)[:, 64:].mean() > 10
    nothing = painted(style="photo", regions=[region | {"style": "photo"}])
    assert (nothing == plain).all()
    hidden = painted(style="photo", regions=[region | {"visible": False}])
    assert (hidden == plain).all()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (None, "recipe"),
        ([], "recipe"),
        ({"style": "wave", "colour": 1}, "colour"),
        ({"style": "wav"}, "wave"),
        ({"style": "wave", "strength": 1.5}, "strength"),
        ({"style": "wave", "strength": True}, "strength"),
        ({"style": "wave", "strength": "1"}, "strength"),
        ({"style": "wave", "stroke": 9}, "stroke"),
        ({"style": "wave@0.5"}, "style"),
        ({"style": "wave:-1+scream:1"}, "weight"),
        ({"style": "wave", "overlap": "under"}, "overlap"),
        ({"style": "wave", "feather": -1}, "feather"),
        ({"style": "wave", "regions": [{"mask": "../x", "style": "wave"}]}, "mask"),
        ({"style": "wave", "regions": [{"mask": "0" * 16, "style": "photo@0.5"}]}, "region"),
        ({"style": "wave", "regions": [{"mask": "0" * 16, "style": "wave", "more": 1}]}, "more"),
        ({"style": "wave", "regions": [{"style": "wave"}]}, "mask"),
        ({"style": "wave", "regions": [{"mask": "0" * 16, "style": "wave", "name": "\ud800"}]}, "name"),
        ({"style": "wave", "strength": float("nan")}, "strength"),
        ({"style": "wave", "stroke": 10**400}, "stroke"),
        ({"style": "wave", "regions": [{"mask": "0" * 16, "style": "wave"}] * 33}, "32"),
    ],
)
def test_recipe_that_is_none_is_refused_and_the_line_says_why(
    client: Client, recipe: object, said: str
) -> None:
    found = client.ask("POST", f"/api/photos/{client.photo()}/preview", {"recipe": recipe})
    assert found.status == 400
    assert said in found.json["error"]


def test_window_of_the_picture_is_shown_and_what_is_none_is_refused(client: Client) -> None:
    photo = client.photo()

    def asked(window: object) -> Any:
        body = {"recipe": {"style": "wave"}, "side": 96, "window": window}
        return client.ask("POST", f"/api/photos/{photo}/preview", body)

    part = asked([10, 20, 40, 30])
    assert part.image.size == (40, 30)
    whole = np.asarray(asked(None).image.convert("RGB"), float)
    assert (
        abs(np.asarray(part.image.convert("RGB"), float) - whole[20:50, 10:50]).mean() < 12
    )  # two JPEG files
    wrong: list[object] = [
        [0, 0, 97, 10],
        [-1, 0, 5, 5],
        [0, 0, 0, 5],
        [0, 0, 5],
        [0, 0, 5.0, 5],
        [0, 0, True, 5],
        {},
    ]
    for window in [*wrong, [0, 0, 5, 2**80]]:
        found = asked(window)
        assert (found.status, "window" in found.json["error"]) == (400, True)


def test_thumbnails_come_in_order_each_with_its_header(client: Client) -> None:
    photo = client.photo()
    found = client.ask("GET", f"/api/photos/{photo}/thumbnails?side=48&styles=scream,wave,mosaic")
    assert found.headers["content-type"] == "application/octet-stream"
    heads = []
    for head, data in frames(found.body):
        assert Image.open(io.BytesIO(data)).size == (48, 32)
        heads.append((head["style"], head["type"]))
    assert heads == [(style, "image/jpeg") for style in ("scream", "wave", "mosaic")]
    everything = client.ask("GET", f"/api/photos/{photo}/thumbnails?side=48")
    assert [head["style"] for head, _ in frames(everything.body)] == ["wave", "scream", "mosaic"]
    assert client.ask("GET", f"/api/photos/{photo}/thumbnails?styles=wawe").status == 400


def test_thumbnails_end_when_nobody_looks(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[str] = []
    thumbnail = previews.Easel.thumbnail

    def counted(self: previews.Easel, photo: Any, style: str, side: int) -> Any:
        painted.append(style)
        time.sleep(0.02)
        return thumbnail(self, photo, style, side)

    monkeypatch.setattr(previews.Easel, "thumbnail", counted)
    words = ",".join(["wave", "scream"] * 20)
    photo = client.photo()
    client.ask(
        "GET", f"/api/photos/{photo}/thumbnails?side=48&styles={words}", leaves=lambda body: len(body) > 100
    )
    client.ask("POST", f"/api/photos/{photo}/preview", {"recipe": {"style": "wave"}, "side": 64})
    assert 1 <= len(painted) <= 5


def test_mask_comes_back_as_it_was(client: Client) -> None:
    photo = client.photo()
    levels = np.linspace(0, 255, 96 * 64).reshape(64, 96).astype(np.uint8)
    digest = client.mask(photo, levels)
    found = client.ask("GET", f"/api/photos/{photo}/masks/{digest}")
    assert found.headers["content-type"] == "image/png"
    assert (np.asarray(found.image) == levels).all()
    assert client.mask(photo, levels) == digest
    small = client.mask(photo, half(48, 32))
    assert client.ask("GET", f"/api/photos/{photo}/masks/{small}").image.size == (48, 32)


def test_mask_of_another_shape_is_refused(client: Client) -> None:
    found = client.ask("POST", f"/api/photos/{client.photo()}/masks", png(Image.new("L", (64, 96))))
    assert found.status == 422
    assert "64 x 96" in found.json["error"]
    assert client.ask("POST", f"/api/photos/{client.photo()}/masks", b"nothing").status == 422


def test_label_image_becomes_a_mask_for_each_label(client: Client) -> None:
    labels = Image.new("RGB", (96, 64), "red")
    labels.paste("blue", (0, 0, 24, 64))
    labels.paste("white", (24, 0, 36, 64))
    photo = client.photo()
    found = client.ask("POST", f"/api/photos/{photo}/masks/import?name=labels.png", png(labels)).json["masks"]
    assert [(each["name"], each["share"]) for each in found] == [
        ("#ff0000", 0.625),
        ("#0000ff", 0.25),
        ("#ffffff", 0.125),
    ]
    one = client.ask(
        "POST", f"/api/photos/{photo}/masks/import?name=sky.png", png(Image.fromarray(half()))
    ).json
    assert [(each["name"], each["share"]) for each in one["masks"]] == [("sky", 0.5)]
    drawn = Image.new("RGBA", (96, 64), (0, 0, 0, 0))
    drawn.paste((20, 200, 30, 255), (0, 0, 96, 16))
    shape = client.ask("POST", f"/api/photos/{photo}/masks/import?name=shape.png", png(drawn)).json["masks"]
    assert [each["share"] for each in shape] == [0.25]


def test_regions_are_found_the_largest_first_and_cover_the_photo(client: Client) -> None:
    photo = client.photo(picture(192, 128))
    found = client.ask("POST", f"/api/photos/{photo}/segments", {"count": 3, "seed": 0})
    assert found.status == 200, found.body
    found = found.json["masks"]
    shares = [each["share"] for each in found]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=0.001)  # each is rounded to four places
    assert client.ask("GET", f"/api/photos/{photo}/masks/{found[0]['mask']}").image.size == (192, 128)
    assert client.ask("POST", f"/api/photos/{photo}/segments", {"count": 13}).status == 400


def test_photos_give_way_and_come_back(client: Client) -> None:
    first = client.photo(picture(seed=50))
    mask = client.mask(first, half())
    for seed in range(51, 51 + album.MOST_PHOTOS - 1):
        client.photo(picture(seed=seed))
    assert client.ask("GET", f"/api/photos/{first}/picture").status == 200  # asked for last: it stays
    for seed in range(60, 60 + album.MOST_PHOTOS):
        client.photo(picture(seed=seed))
    gone = client.ask("GET", f"/api/photos/{first}/picture")
    assert (gone.status, gone.json["gone"]) == (410, True)
    assert client.photo(picture(seed=50)) == first
    recipe = {"regions": [{"mask": mask, "style": "wave"}]}
    lost = client.ask("POST", f"/api/photos/{first}/preview", {"recipe": recipe})
    assert (lost.status, lost.json["gone"], lost.json["mask"]) == (410, True, mask)
    assert client.mask(first, half()) == mask
    assert client.ask("POST", f"/api/photos/{first}/preview", {"recipe": recipe}).status == 200


def test_album_is_bounded_by_bytes_and_keeps_the_photo_it_was_opened_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(album, "MOST_BYTES", 3 * 96 * 64 * 4)
    found = album.Album()
    first = found.add(png(picture(seed=0)), "first.png", keep=True)
    for seed in range(1, 200):
        last = found.add(png(picture(seed=seed)), "x.png")
    assert found.get(first.id) is first
    assert found.get(last.id) is last
    assert sum(found.holds(each) for each in found._photos) == 3


# The painter.


@pytest.fixture
def painter() -> Iterator[Painter]:
    found = Painter()
    yield found
    found.close(10)


def _busy(painter: Painter) -> Event:
    """Keep the painter at work until the event is set."""
    begun, free = Event(), Event()

    def work() -> None:
        begun.set()
        free.wait(20)

    painter.submit(work, priority=QUICK)
    assert begun.wait(10)
    return free


def test_urgent_is_painted_first(painter: Painter) -> None:
    free, order = _busy(painter), list[str]()
    wanted = (("thumb", WHENEVER), ("large", SLOW), ("later", SLOW), ("quick", QUICK))
    futures = [painter.submit(partial(order.append, name), priority=priority) for name, priority in wanted]
    free.set()
    futures[0].result(10)
    assert order == ["quick", "large", "later", "thumb"]


def test_newer_preview_ends_the_older_that_wait_of_its_client_alone(painter: Painter) -> None:
    free = _busy(painter)
    mine = [painter.submit(int, priority=SLOW, client="a", number=number) for number in (1, 2, 3)]
    other = painter.submit(int, priority=SLOW, client="b", number=1)
    for future in mine[:2]:
        error = future.exception(5)
        assert isinstance(error, RefusedError)
        assert (error.status, error.more) == (409, {"superseded": True})
    with pytest.raises(RefusedError):
        painter.submit(int, priority=SLOW, client="a", number=2)
    same = painter.submit(int, priority=QUICK, client="a", number=3)  # the same picture at another size
    free.set()
    assert (mine[2].result(5), other.result(5), same.result(5)) == (0, 0, 0)


def _at_it(painter: Painter, priority: int, **more: Any) -> tuple[Any, Event, list[str]]:
    """Something that is being done until it is halted; the second time it ends by itself."""
    begun, times = Event(), list[str]()

    def work() -> int:
        times.append("begun")
        begun.set()
        for _ in range(1000 if len(times) == 1 else 0):
            halts.check()
            time.sleep(0.01)
        return len(times)

    future = painter.submit(work, priority=priority, **more)
    assert begun.wait(10)
    return future, begun, times


def test_what_is_painted_makes_way_for_what_is_urgent_and_begins_anew(painter: Painter) -> None:
    large, _, times = _at_it(painter, SLOW, client="a", number=1)
    begun = time.monotonic()
    assert painter.submit(lambda: list(times), priority=QUICK, client="b", number=1).result(5) == ["begun"]
    assert time.monotonic() - begun < 1  # uninterrupted it takes 10 s
    assert large.result(5) == 2
    thumb, _, _ = _at_it(painter, WHENEVER)
    painter.submit(int, priority=SLOW).result(5)
    assert thumb.result(5) == 2


def test_newer_preview_ends_the_large_one_that_is_painted(painter: Painter) -> None:
    large, _, times = _at_it(painter, SLOW, client="a", number=1)
    assert painter.submit(int, priority=SLOW, client="a", number=2).result(5) == 0
    error = large.exception(5)
    assert isinstance(error, RefusedError)
    assert (error.more, times) == ({"superseded": True}, ["begun"])
    # A quick one is shown all the same, and another client's has nothing to do with it.
    quick, _, _ = _at_it(painter, QUICK, client="a", number=3)
    newer = painter.submit(int, priority=QUICK, client="a", number=4)
    other = painter.submit(int, priority=QUICK, client="b", number=9)
    time.sleep(0.1)
    assert not any(each.done() for each in (quick, newer, other))
    quick.cancel()  # whoever asked went away
    assert (newer.result(5), other.result(5)) == (0, 0)


def test_painter_rests_once_when_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "IDLE", 0.05)
    times = list[int]()
    painter = Painter(lambda: times.append(1))
    try:
        for round_ in (1, 2):
            assert painter.submit(lambda: len(times), priority=QUICK).result(5) == round_ - 1
            time.sleep(0.4)
            assert len(times) == round_
    finally:
        painter.close(5)


def test_superseded_preview_is_answered_409(client: Client) -> None:
    photo = client.photo()
    free = _busy(client.workshop.painter)

    def asked(number: int, client_name: str = "a") -> Any:
        body = {"recipe": {"style": "wave"}, "side": 64, "client": client_name, "number": number}
        return client.start("POST", f"/api/photos/{photo}/preview", body)

    older, others = asked(7), asked(7, "b")
    time.sleep(0.2)
    newer = asked(8)
    assert older.result(10).status == 409
    assert older.result(10).json["superseded"] is True
    free.set()
    assert (newer.result(10).status, others.result(10).status) == (200, 200)
    assert asked(6).result(10).status == 409


def test_what_waits_is_bounded(painter: Painter) -> None:
    free = _busy(painter)
    for _ in range(128):
        painter.submit(int, priority=WHENEVER)
    with pytest.raises(RefusedError) as refused:
        painter.submit(int, priority=QUICK)
    assert refused.value.status == 429
    free.set()


def test_painter_survives_an_error(painter: Painter) -> None:
    with pytest.raises(ZeroDivisionError):
        painter.submit(lambda: 1 // 0, priority=QUICK).result(5)
    assert painter.submit(lambda: 1, priority=QUICK).result(5) == 1
