"""A studio in this process, asked as a browser asks it, without a network: ASGI calls on a loop of its own."""

import asyncio
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from stylebank.bank.bundle import Bundle
    from stylebank.studio.guard import Guard
    from stylebank.studio.workshop import Workshop

TOKEN, PORT = "token-of-the-tests", 8123


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def image(self) -> Image.Image:
        return Image.open(io.BytesIO(self.body))


class Client:
    """Asks an ASGI application; `headers` go along with each request unless a request has others."""

    def __init__(self, app: "Guard", workshop: "Workshop") -> None:
        self.workshop = workshop
        self.headers = {"host": f"127.0.0.1:{PORT}", "x-stylebank-token": TOKEN}
        self._app, self.loop = app, asyncio.new_event_loop()
        self._thread = Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        workshop.open()

    def _run(self, work: Any, seconds: float = 60) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def close(self) -> None:
        self.workshop.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def ask(
        self,
        method: str,
        address: str,
        body: bytes | list[bytes] | object = b"",
        *,
        leaves: Callable[[bytes], bool] | None = None,
        **headers: str | None,
    ) -> Answer:
        """One request; a body that is no bytes goes as JSON, one of a list in pieces without a length."""
        return self._run(self._ask(method, address, body, headers, leaves))  # type: ignore[no-any-return]

    def start(self, method: str, address: str, body: object = b"") -> Any:
        """The same without waiting: a future."""
        return asyncio.run_coroutine_threadsafe(self._ask(method, address, body, {}, None), self.loop)

    async def _ask(
        self,
        method: str,
        address: str,
        body: object,
        more: Mapping[str, str | None],
        leaves: Callable[[bytes], bool] | None,
    ) -> Answer:
        path, _, query = address.partition("?")
        headers = self.headers | {name.replace("_", "-"): value for name, value in more.items()}
        if isinstance(body, list):
            pieces = body
        else:
            pieces = [body if isinstance(body, bytes) else json.dumps(body).encode()]
            headers.setdefault("content-length", str(len(pieces[0])))
        left, answer, gone = list(pieces), Answer(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            if left:
                piece = left.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(left)}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {key.decode(): value.decode() for key, value in message["headers"]}
            else:
                if gone.is_set():
                    raise OSError("nobody listens")
                answer.body += message["body"]
                if leaves and leaves(answer.body):
                    gone.set()

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (key.encode(), value.encode()) for key, value in headers.items() if value is not None
            ],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", PORT),
        }
        try:
            await self._app(scope, receive, send)
        except Exception:
            if answer.status != 500 and not gone.is_set():
                raise
        return answer

    # What most tests begin with.

    def photo(self, image: Image.Image | None = None, name: str = "photo.png") -> str:
        """Send a photo; its id."""
        found = self.ask("POST", f"/api/photos?name={name}", png(image or picture()))
        assert found.status == 200, found.body
        return str(found.json["id"])

    def mask(self, photo: str, levels: np.ndarray[Any, Any]) -> str:
        found = self.ask("POST", f"/api/photos/{photo}/masks", png(Image.fromarray(levels)))
        assert found.status == 200, found.body
        return str(found.json["mask"])

    def ended(self, job: str) -> dict[str, Any]:
        """Wait for a job by its events; the last one."""
        found = self.ask("GET", f"/api/jobs/{job}/events")
        assert found.status == 200, found.body
        last = found.body.decode().strip().split("\n\n")[-1]
        return dict(json.loads(last.removeprefix("data: ")))


def picture(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """A photo of soft colours."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


_CHILD = """
import json, shutil, sys, threading, time
lesson = json.loads(sys.stdin.readline())
def say(**what): print(json.dumps(what), flush=True)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
from pathlib import Path
run = Path(lesson["run"])
run.mkdir(parents=True, exist_ok=True)
say(expected=STEPS)
say(stage="photos 1/2")
count = run / "step"
step = int(count.read_text()) if count.exists() else 0
for path in [lesson["style"]["image"], *lesson["style"]["images"]]:
    assert path in ("", "blank") or Path(path.split("@")[0]).exists(), path
while step < STEPS and not (step == STEPS // 2 and not count.exists()):
    step += 1
    time.sleep(SECONDS)
    say(step=step, **({"total": 9.0 / step, "content": 0.5} if step % 5 == 0 else {}))
if step < STEPS:
    shutil.copy(PREVIEW, run / "preview.png")
    say(note="a note")
    ended.wait(20)
    count.write_text(str(step))
    say(stopped=True)
else:
    shutil.copy(BANK, lesson["bank"])
    say(warning="looks flat")
"""


def pretend(script: Path, *, preview: Path, bank: Path, steps: int = 20, seconds: float = 0) -> None:
    """Write a program that learns no style: half its steps, a wait to be stopped, and then the other half.

    Args:
        script: for `learning.CHILD`.
        preview: the picture that it makes.
        bank: the bank with the style that it leaves.
        steps: how many in all.
        seconds: for each.
    """
    known = f"STEPS, SECONDS, PREVIEW, BANK = {steps}, {seconds}, {str(preview)!r}, {str(bank)!r}\n"
    script.write_text(known + _CHILD, "utf-8")


@pytest.fixture(scope="session")
def studio_bank(make_bank: Callable[..., "Bundle"], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from stylebank.bank import bundle

    path = tmp_path_factory.mktemp("bank") / "bank.safetensors"
    bundle.write(path, make_bank({"wave": 3, "scream": 3, "mosaic": 1}))
    return path


@pytest.fixture(scope="module")
def client(studio_bank: Path) -> Iterator[Client]:
    """A studio with a tiny bank; one for a file of tests."""
    yield from opened(studio_bank)


def opened(bank: Path, **settings: Any) -> Iterator[Client]:
    from stylebank.studio import server
    from stylebank.studio.guard import Door
    from stylebank.studio.workshop import Settings, Workshop

    workshop = Workshop(Settings(bank, **({"engine": "onnx", "precision": "float32"} | settings)))
    found = Client(server.application(workshop, Door(PORT, TOKEN)), workshop)
    try:
        yield found
    finally:
        found.close()
