"""Who may ask the studio for what: host, origin, token and size of each request, and what each answer forbids the page.

A page of another site must not drive the studio of one's own machine, nor read what it says:

- a request names the studio's own address as its host, so a name that was pointed at this machine for the purpose
  (DNS rebinding) gets nothing;
- a request that a browser sends for another site or another port says so (`Origin`, `Sec-Fetch-Site`), and is refused;
- all but the page itself takes the token, which is in the part of the address that browsers keep to themselves;
- bodies end at their limit, by what they announce or by what comes, before anything looks at them;
- every answer carries a policy by which the page loads and asks nothing but this server.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stylebank.easel.refusals import RefusedError

TOKEN = "x-stylebank-token"  # noqa: S105  # the header's name
LOOPBACK = "127.0.0.1"

_RULES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "connect-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
POLICY = "; ".join(_RULES)
_FORBIDDING = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}

_TRIES, _MINUTE = 20, 60.0
"""So many different wrong tokens a minute, then an address is heard no more for as long; pages repeat theirs."""
_ADDRESSES = 256

PATIENCE = 20.0
"""Seconds that a request may take to begin; and its body, beside one for each `_SLOWEST` bytes."""
_SLOWEST = 10_000


@dataclass(frozen=True)
class Door:
    """Where the studio is open, and to whom.

    Attributes:
        port: that it listens at.
        token: what a request must carry.
        host: that it listens at.
        password: opens as the token does; empty on one's own machine.
    """

    port: int
    token: str
    host: str = LOOPBACK
    password: str = ""

    def is_own(self, name: str) -> bool:
        """Whether a request's host is this server, by a name that no stranger can have pointed here."""
        host, colon, port = name.rpartition(":")
        if not colon or name.endswith("]"):
            host, port = name, "80"
        if port != str(self.port):
            return False
        bare = host.removeprefix("[").removesuffix("]").lower()
        return bare in ("127.0.0.1", "localhost", "::1", self.host.lower()) or (
            self.host in ("0.0.0.0", "::") and _is_number(bare)  # noqa: S104  # all addresses, but no names
        )

    def opens(self, given: str) -> bool:
        """Whether a word is the token, or the password; how long that takes says nothing of how near it is."""
        word = given.encode("utf-8", "replace")
        opened = hmac.compare_digest(word, self.token.encode())
        if self.password:
            opened |= hmac.compare_digest(word, self.password.encode())
        return opened


class Guard:
    """ASGI middleware that lets pass what the module says.

    Args:
        app: behind it.
        door: see there.
        limit: bytes of a body, by method and path.
    """

    def __init__(self, app: ASGIApp, *, door: Door, limit: Callable[[str, str], int]) -> None:
        self._app, self._door, self._limit = app, door, limit
        self._wrong: OrderedDict[str, dict[bytes, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _FORBIDDING.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refused(scope)
        most = self._limit(scope["method"], scope["path"])
        if refused is None and _announced(scope) > most:
            refused = 413, _too_large(most)
        if refused:
            await _answer(*refused)(scope, receive, sending)
            return
        await self._app(scope, _up_to(most, receive), sending)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._door.is_own(hosts[0]):
            return 403, "host: is not this server's; open the address that 'stylebank studio' printed"
        origins = headers.getlist("origin")
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return 403, "origin: is another site; the studio answers its own page only"
        is_start = scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
        sites = headers.getlist("sec-fetch-site")
        follows = is_start and headers.get("sec-fetch-mode") == "navigate"
        if not follows and any(site not in ("same-origin", "none") for site in sites):
            return 403, "request: comes from another site; the studio answers its own page only"
        path = scope["path"]
        if is_start or path.startswith("/page/") or path == "/favicon.ico":
            return None
        return self._without_token(scope, headers.get(TOKEN, ""))

    def _without_token(self, scope: Scope, given: str) -> tuple[int, str] | None:
        address, now = _neighbours((scope.get("client") or ("", 0))[0]), time.monotonic()
        known = self._wrong.get(address, {})
        wrong = {word: when for word, when in known.items() if now - when <= _MINUTE}
        if self._door.password and len(wrong) >= _TRIES:
            return 429, f"password: was wrong {_TRIES} times; wait a minute"
        if self._door.opens(given):
            return None
        if given:
            wrong.setdefault(hashlib.sha256(given.encode()).digest(), now)
            self._wrong[address] = wrong
            while len(self._wrong) > _ADDRESSES:
                self._wrong.popitem(last=False)
        return 403, "token: is missing or wrong; open the address that 'stylebank studio' printed"


def _neighbours(address: str) -> str:
    """What wrong passwords are counted by: an address, of IPv6 the network, in which one has as many as one likes."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if found.version == 4 else str(ipaddress.ip_network((found.packed[:8] + bytes(8), 64)))


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _announced(scope: Scope) -> int:
    """Bytes that a body says it has; what is no number is refused by the server before."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0


def _up_to(most: int, receive: Receive) -> Receive:
    """A body that ends in a refusal after so many bytes, or where they come too slowly."""
    taken, begun, has_ended = 0, time.monotonic(), False

    async def receiving() -> Message:
        nonlocal taken, has_ended
        if has_ended:  # what comes yet is that the client goes away
            return await receive()
        left = PATIENCE + taken / _SLOWEST - (time.monotonic() - begun)
        try:
            message = await asyncio.wait_for(receive(), max(left, 0))
        except TimeoutError as error:
            raise RefusedError(408, "body: comes too slowly; send it again") from error
        taken, has_ended = taken + len(message.get("body", b"")), not message.get("more_body", False)
        if taken > most:
            raise RefusedError(413, _too_large(most))
        return message

    return receiving


def _too_large(most: int) -> str:
    return f"body: is larger than {most / 1e6:g} MB; send less"


def _answer(status: int, line: str) -> JSONResponse:
    # What is left of a body is not read: the connection ends with the answer.
    return JSONResponse({"error": line}, status, {"connection": "close"} if status == 413 else None)
