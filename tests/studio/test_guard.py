"""Who is let in, how much they may send, and what every answer forbids."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stylebank.easel.refusals import RefusedError
from stylebank.files import resources
from stylebank.studio import guard, server
from stylebank.studio.guard import POLICY, Door, Guard

from .conftest import PORT, TOKEN, Client, picture, png

OTHERS = [
    "evil.example",
    f"evil.example:{PORT}",
    "127.0.0.1",
    "127.0.0.1:9999",
    f"127.0.0.1:{PORT}.evil.example",
    f"127.0.0.1.evil.example:{PORT}",
    f"10.0.0.1:{PORT}",
    f"0.0.0.0:{PORT}",
    "",
    None,
]


def test_page_needs_no_token_and_all_else_does(client: Client) -> None:
    page = client.ask("GET", "/", x_stylebank_token=None)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert client.ask("GET", "/page/index.html", x_stylebank_token=None).status == 200
    for operation in server.OPERATIONS:
        address = operation.address.format(photo="0" * 16, mask="0" * 16, job="0" * 16)
        for token in (None, "", TOKEN[:-1], TOKEN + "x", "ü"):
            headers: dict[str, Any] = {"x_stylebank_token": token}
            refused = client.ask(operation.method, address, **headers)
            assert (refused.status, list(refused.json)) == (403, ["error"]), address
    assert client.ask("GET", "/api/state").status == 200


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("address", ["/", "/page/index.html", "/api/state"])
def test_request_to_another_host_is_refused(client: Client, host: str | None, address: str) -> None:
    assert client.ask("GET", address, host=host).status == 403


@pytest.mark.parametrize(
    "host", [f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}", f"127.0.0.1:{PORT}"]
)
def test_own_names_are_let_in(client: Client, host: str) -> None:
    assert client.ask("GET", "/api/jobs", host=host, origin=f"http://{host}").status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://127.0.0.1:9999", f"https://127.0.0.1:{PORT}"]
)
def test_request_of_another_origin_is_refused_even_with_the_token(client: Client, origin: str) -> None:
    assert client.ask("POST", "/api/photos?name=a.png", png(picture()), origin=origin).status == 403
    own = client.ask("GET", "/api/jobs", origin=f"http://127.0.0.1:{PORT}")
    assert own.status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_request_from_another_site_is_refused_but_for_going_to_the_page(client: Client, site: str) -> None:
    going: dict[str, Any] = {"sec_fetch_site": site, "sec_fetch_mode": "navigate"}
    assert client.ask("GET", "/", **going).status == 200
    assert client.ask("GET", "/", sec_fetch_site=site, sec_fetch_mode="no-cors").status == 403
    assert client.ask("GET", "/page/index.html", **going).status == 403
    assert client.ask("GET", "/api/jobs", **going).status == 403
    assert client.ask("POST", "/", **going).status == 403
    assert client.ask("GET", "/api/jobs", sec_fetch_site="same-origin").status == 200


def test_every_answer_carries_the_policy(client: Client) -> None:
    answers = [
        client.ask("GET", "/"),
        client.ask("GET", "/page/nothing.js"),
        client.ask("GET", "/api/state"),
        client.ask("GET", "/api/nothing"),
        client.ask("PUT", "/api/state"),
        client.ask("GET", "/api/state", host="evil.example"),
        client.ask("POST", "/api/photos", content_length="999999999999"),
    ]
    assert [answer.status for answer in answers] == [200, 404, 200, 404, 405, 403, 413]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers
        assert "set-cookie" not in answer.headers
    assert "unsafe" not in POLICY
    assert answers[2].headers["cache-control"] == "no-store"


def test_page_is_asked_for_again_only_if_it_changed(client: Client) -> None:
    first = client.ask("GET", "/")
    assert first.headers["cache-control"] == "no-cache"
    assert client.ask("GET", "/", if_none_match=first.headers["etag"]).status == 304
    assert client.ask("GET", "/", if_none_match='"another"').status == 200


def test_sample_is_a_photo_that_comes_along(client: Client) -> None:
    found = client.ask("GET", "/page/sample.jpg")
    assert (found.status, found.headers["content-type"]) == (200, "image/jpeg")
    assert found.body == (resources.photos_folder() / "coffee.jpg").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "../server.py",
        "../../errors.py",
        "/etc/passwd",
        "..%2fserver.py",
        "..\\server.py",
        ".",
        "",
        "a\0b",
        "../page",
    ],
)
def test_no_path_leads_out_of_the_page(client: Client, path: str) -> None:
    assert client.ask("GET", f"/page/{path}").status == 404


def _announced(client: Client, address: str, length: int) -> int:
    """Of a body whose first byte would be an error to ask for."""
    return client.ask("POST", address, [], content_length=str(length)).status


def test_bodies_are_refused_by_what_they_announce_before_a_byte_is_read(client: Client) -> None:
    photo = client.photo()
    assert _announced(client, "/api/photos?name=a", 300_000_001) == 413
    assert _announced(client, "/api/style-images?name=a", 300_000_001) == 413
    assert _announced(client, f"/api/photos/{photo}/masks", 64_000_001) == 413
    assert _announced(client, f"/api/photos/{photo}/masks/import", 64_000_001) == 413
    assert _announced(client, f"/api/recipes/import?photo={photo}", 64_000_001) == 413
    assert _announced(client, f"/api/photos/{photo}/preview", 1_000_001) == 413
    assert _announced(client, "/api/nothing", 1_000_001) == 413


def test_bodies_without_a_length_end_at_their_limit(client: Client) -> None:
    pieces = [b" " * 400_000] * 3
    assert client.ask("POST", "/api/command", pieces).status == 413
    assert client.ask("POST", "/api/command", pieces[:2]).status == 400  # no JSON, but read


def test_websocket_is_refused(client: Client) -> None:
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    client._run(client._app({"type": "websocket", "path": "/", "headers": []}, receive, send))
    assert said == [{"type": "websocket.close", "code": 1008}]


def test_body_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.2)

    async def body(pause: float, pieces: int) -> int:
        left = pieces

        async def receive() -> dict[str, Any]:
            nonlocal left
            await asyncio.sleep(pause)
            left -= 1
            return {"type": "http.request", "body": b"x", "more_body": left > 0}

        receiving, seen = guard._up_to(100, receive), 0
        while (await receiving())["more_body"]:
            seen += 1
        # What comes after the body is waited for without an end.
        await asyncio.wait_for(receiving(), 5)
        return seen

    assert asyncio.run(body(0.01, 3)) == 2
    with pytest.raises(RefusedError) as refused:
        asyncio.run(body(0.1, 50))
    assert refused.value.status == 408


def test_addresses_of_one_network_are_one_guesser() -> None:
    assert guard._neighbours("2001:db8::1") == guard._neighbours("2001:db8::ffff:2")
    assert guard._neighbours("2001:db8::1") != guard._neighbours("2001:db8:0:1::1")
    assert guard._neighbours("192.168.1.5") != guard._neighbours("192.168.1.6")
    assert guard._neighbours("") == ""


def test_password_opens_and_is_not_guessed_for_long() -> None:
    said: list[int] = []
    door = Door(80, "token", "0.0.0.0", "a long password")
    assert door.opens("a long password")
    assert door.opens("token")
    assert not door.opens("")
    assert door.is_own("192.168.1.5")
    assert door.is_own("192.168.1.5:80")
    assert not door.is_own("evil.example")
    assert not Door(80, "token").opens("")

    async def inside(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            said.append(message["status"])

    async def ask(word: str, client: str = "192.168.1.9") -> int:
        headers = [(b"host", b"192.168.1.5"), (b"x-stylebank-token", word.encode())]
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/state",
            "headers": headers,
            "client": (client, 1),
        }
        await asked(scope, None, send)  # type: ignore[arg-type]
        return said[-1]

    asked = Guard(inside, door=door, limit=lambda *_: 10)
    assert asyncio.run(ask("a long password")) == 200
    assert [asyncio.run(ask("wrong")) for _ in range(25)] == [403] * 25, (
        "a page asks each second with what it has"
    )
    assert [asyncio.run(ask(f"wrong{number}")) for number in range(19)] == [403] * 19
    assert asyncio.run(ask("wrong")) == 429
    assert asyncio.run(ask("a long password")) == 429
    assert asyncio.run(ask("a long password", "192.168.1.10")) == 200


_OPENED: list[tuple[str, bool]] = []
_WATCHING = [False]


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _WATCHING[0] and event == "open":
        path, mode, flags = arguments
        writes = bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        _OPENED.append((str(path), writes or any(letter in str(mode or "") for letter in "wax+")))
    elif _WATCHING[0] and event in ("os.mkdir", "os.rename"):
        _OPENED.append((str(arguments[0]), True))


@pytest.fixture
def opened_files() -> Iterator[Callable[[], list[tuple[str, bool]]]]:
    """What this process opens from here on, and whether to write."""
    if "hooked" not in globals():
        sys.addaudithook(_watch)
        globals()["hooked"] = True
    _OPENED.clear()
    _WATCHING[0] = True
    yield lambda: list(_OPENED)
    _WATCHING[0] = False


def test_nothing_is_written_and_no_name_of_the_client_is_opened(
    client: Client, opened_files: Callable[[], list[tuple[str, bool]]], tmp_path: Path
) -> None:
    secret = tmp_path / "secret-of-the-test.png"
    picture(40, 30, seed=9).save(secret)
    control = [path for path, writes in opened_files() if writes]
    assert str(secret) in control
    begun = len(opened_files())
    for name in (
        str(secret),
        f"../../../..{secret}",
        "..\\secret-of-the-test.png",
        "C:secret-of-the-test.png",
    ):
        photo = client.photo(name=name.replace("\\", "%5C"))
    mask = client.ask("POST", f"/api/photos/{photo}/masks/import?name={secret}", png(picture().convert("L")))
    assert mask.status == 200
    region = {"mask": mask.json["masks"][0]["mask"], "style": "wave", "name": "../../secret-of-the-test"}
    recipe = {"style": "scream", "regions": [region]}
    assert client.ask("POST", f"/api/photos/{photo}/preview", {"recipe": recipe, "side": 64}).status == 200
    job = client.ask("POST", f"/api/photos/{photo}/renders", {"recipe": recipe, "format": ".png"}).json["job"]
    assert client.ended(job)["state"] == "done"
    packed = client.ask("POST", "/api/recipes/export", {"photo": photo, "recipe": recipe})
    assert client.ask("POST", f"/api/recipes/import?photo={photo}", packed.body).status == 200
    later = opened_files()[begun:]
    ours = [path for path, writes in later if writes and not path.endswith((".pyc", os.devnull))]
    assert [path for path in ours if "__pycache__" not in path] == []
    assert [path for path, _ in later if "secret-of-the-test" in path] == []
