"""The studio's server: the page's files, the operations behind their guard, and where it listens."""

import asyncio
import hashlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from stylebank.errors import ConfigError, StyleBankError
from stylebank.files import resources
from stylebank.studio import api, orders, photographs
from stylebank.studio.guard import LOOPBACK, PATIENCE, Door, Guard
from stylebank.studio.workshop import Settings, Workshop

PAGE = Path(__file__).parent / "page"
"""The page's files, as they are."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_LEAST_PASSWORD = 12

OPERATIONS = (*photographs.OPERATIONS, *orders.OPERATIONS)


def application(workshop: Workshop, door: Door) -> Guard:
    """The studio as an ASGI application; it opens and closes the workshop."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        workshop.open()
        try:
            yield
        finally:
            await asyncio.to_thread(workshop.close)

    routes = [
        Route(operation.address, operation.handler, methods=[operation.method]) for operation in OPERATIONS
    ]
    routes += [Route("/", page_file), Route("/favicon.ico", page_file), Route("/page/{path:path}", page_file)]
    handlers = dict.fromkeys((StyleBankError, HTTPException, ClientDisconnect, Exception), api.complained)
    app = Starlette(
        routes=routes,
        exception_handlers=handlers,
        lifespan=lifespan,
    )
    app.state.workshop, app.state.operations = workshop, OPERATIONS
    return Guard(app, door=door, limit=limit)  # around all, so that no answer is without its policy


def limit(method: str, path: str) -> int:
    """Bytes that the body of a request may have."""
    return next((each.limit for each in OPERATIONS if each.fits(method, path)), api.SMALL)


async def page_file(request: Request) -> Response:
    """A file of the page, by the names that are in its folder and no other; a browser keeps it until it changes."""
    name = request.path_params.get("path", "index.html" if request.url.path == "/" else "icon.svg")
    path = _files().get(name)
    if path is None:
        raise HTTPException(404)
    data = await asyncio.to_thread(path.read_bytes)
    mark = f'"{hashlib.sha256(data).hexdigest()[:24]}"'
    headers = {"ETag": mark, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=_TYPES[path.suffix], headers=headers)


@cache
def _files() -> dict[str, Path]:
    """The page's files by the names that addresses have for them; no address is made into a path."""
    found = (path for path in PAGE.rglob("*") if path.is_file() and path.suffix in _TYPES)
    files = {path.relative_to(PAGE).as_posix(): path for path in found}
    return files | {"sample.jpg": resources.sample(), "icon.svg": resources.icon()}


def listening(port: int, host: str, password: str) -> tuple[socket.socket, Door]:
    """A socket that listens, and who may come in through it.

    Args:
        port: 0 for a free one.
        host: of the machine; another than its loopback address only with a password.
        password: see `Door`.

    Raises:
        ConfigError: the port is taken, the host none of this machine, or the password missing or short.
    """
    is_loopback = host in (LOOPBACK, "localhost", "::1")
    if not is_loopback and not password:
        raise ConfigError(
            f"--host {host}: lets others in; add --password, of at least {_LEAST_PASSWORD} letters"
        )
    if password and (len(password) < _LEAST_PASSWORD or not password.isascii() or not password.isprintable()):
        raise ConfigError(
            f"--password: is shorter than {_LEAST_PASSWORD} letters, or has others than ASCII's; choose another"
        )
    try:
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.create_server((host, port), family=kind, backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"--port {port}: cannot be had at {host} ({reason}); choose another, or 0"
        ) from error
    return found, Door(found.getsockname()[1], secrets.token_urlsafe(24), host, password)


def address(door: Door) -> str:
    """What to open in a browser: with the token, but with a password without, which is asked for."""
    host = f"[{door.host}]" if ":" in door.host else door.host
    return f"http://{host}:{door.port}/" + ("" if door.password else f"#token={door.token}")


def serve(
    settings: Settings, door: Door, listener: socket.socket, *, ready: Callable[[], object] | None = None
) -> None:
    """Answer until somebody asks to stop.

    Args:
        settings: see there.
        door: likewise.
        listener: that listens already.
        ready: called when the page can be asked for.
    """
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Server(uvicorn.Server):
        """One that says when it has begun."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Begin to listen, and say so."""
            await super().startup(sockets)
            if ready:
                ready()

    class Impatient(H11Protocol):
        """A connection that ends where no request begins."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """See asyncio."""
            super().connection_made(transport)
            self.loop.call_later(PATIENCE, self._leave, transport)

        def _leave(self, transport: asyncio.Transport) -> None:
            if getattr(self, "cycle", None) is None:
                transport.close()

    workshop = Workshop(settings)
    setup = uvicorn.Config(
        application(workshop, door),
        http=Impatient,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=256,
        timeout_graceful_shutdown=1,
    )
    try:
        Server(setup).run(sockets=[listener])
    finally:
        if not workshop.has_ended:  # an engine that computes still would not survive the interpreter
            os._exit(130)
