"""How the studio is asked and how it answers: operations and their OpenAPI file, bodies read, errors as one line.

What each operation does stands with its handler, in `photographs` and `orders`.
"""

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from stylebank.easel.refusals import RefusedError
from stylebank.errors import (
    ConfigError,
    ImageError,
    OutputError,
    StyleBankError,
    StyleSetError,
    UnknownStyleError,
)
from stylebank.machine import memory

_NUMBERS: tuple[tuple[type[StyleBankError], int], ...] = (
    (ImageError, 422),
    (OutputError, 409),
    (UnknownStyleError, 400),
    (StyleSetError, 400),
    (ConfigError, 400),
)
_WORDS = {404: "is nothing here", 405: "is no way to ask for this"}


def of_error(error: Exception) -> tuple[int, dict[str, Any]]:
    """Number and body for an error."""
    if isinstance(error, RefusedError):
        return error.status, {"error": str(error), **error.more}
    if isinstance(error, StyleBankError):
        status = _number(error)
        return status, {"error": " ".join(str(error).split())}
    if isinstance(error, HTTPException):
        return error.status_code, {"error": f"studio: {_WORDS.get(error.status_code, error.detail)}"}
    if memory.ran_out(error):
        return 422, {"error": "memory: is used up; close other programs, or ask for less"}
    return 500, {"error": f"studio: a bug of the program ({type(error).__name__}); please report it"}


def _number(error: StyleBankError) -> int:
    for kind, number in _NUMBERS:
        if isinstance(error, kind):
            return number
    return 422


async def complained(_request: Request, error: Exception) -> Response:
    """The answer to a request that ended in an error."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # which nobody reads
    status, body = of_error(error)
    # What is left of a body is not read: the connection ends with the answer.
    return JSONResponse(body, status, {"connection": "close"} if status in (408, 413) else None)


async def body_of(request: Request) -> Mapping[str, Any]:
    """The body as a JSON object.

    Raises:
        RefusedError: it is none.
    """
    data = await request.body()
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"body: is no JSON ({type(error).__name__}); send an object") from error
    if not isinstance(found, dict):
        raise RefusedError(400, "body: is no JSON object; send one")
    return found


def number_of(
    values: Mapping[str, Any], key: str, *, default: int | None = None, low: int = 0, high: int
) -> int:
    """A whole number of a body, or of the words of an address.

    Raises:
        RefusedError: it is none, or out of range.
    """
    value = values.get(key, default)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 12:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RefusedError(400, f"{key}: is no whole number from {low} to {high}; give one")
    return value


def text_of(values: Mapping[str, Any], key: str, *, default: str = "", longest: int = 200) -> str:
    """A text of a body, or of the words of an address.

    Raises:
        RefusedError: it is none, or too long.
    """
    value = values.get(key, default)
    if not isinstance(value, str) or len(value) > longest:
        raise RefusedError(400, f"{key}: is no text of up to {longest} letters; give one")
    return value


def only(values: Mapping[str, Any], *known: str) -> None:
    """Refuse a body with keys that are not known.

    Raises:
        RefusedError: naming the first.
    """
    for key in values:
        if key not in known:
            raise RefusedError(400, f"body: has the unknown key {key[:40]!r}; known are {', '.join(known)}")


Made = TypeVar("Made")

Handler = Callable[[Request], Awaitable[Response]]

SMALL = 1_000_000
"""Bytes of a body of JSON."""


@dataclass(frozen=True)
class Operation:
    """One thing that the studio can be asked for.

    Attributes:
        method: HTTP's.
        path: below `/api/`, parameters in braces.
        handler: what answers; its first docstring line says what for.
        takes: media type of the body; empty for none.
        gives: that of the answer.
        query: parameters of the address behind the path, with what each is.
        limit: bytes of a body.
        status: of an answer where nothing is wrong.
    """

    method: str
    path: str
    handler: Handler
    takes: str = ""
    gives: str = "application/json"
    query: Mapping[str, str] = field(default_factory=dict)
    limit: int = SMALL
    status: int = 200

    @property
    def address(self) -> str:
        """The whole path."""
        return f"/api/{self.path}"

    def fits(self, method: str, path: str) -> bool:
        """Whether a request asks for it."""
        wanted, given = self.address.split("/"), path.split("/")
        return (
            method == self.method
            and len(wanted) == len(given)
            and all(a == b or a.startswith("{") for a, b in zip(wanted, given, strict=True))
        )

    def described(self) -> dict[str, Any]:
        """What OpenAPI says of it."""
        names = re.findall(r"\{(\w+)\}", self.path)
        text = {"type": "string"}
        parameters = [{"name": name, "in": "path", "required": True, "schema": text} for name in names]
        parameters += [
            {"name": name, "in": "query", "description": words, "schema": text}
            for name, words in self.query.items()
        ]
        doc = inspect.getdoc(self.handler) or ""
        found: dict[str, Any] = {
            "operationId": getattr(self.handler, "__name__", ""),
            "summary": doc.partition("\n")[0],
            "description": doc.partition("\n")[2].strip(),
            "parameters": parameters,
            "responses": {
                str(self.status): {"description": "As asked", "content": {self.gives: {}}},
                "default": {"$ref": "#/components/responses/Refused"},
            },
        }
        if self.takes:
            found["requestBody"] = {"required": True, "content": {self.takes: {}}, "x-limit": self.limit}
        return found


def openapi(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """All operations as OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.address, {})[operation.method.lower()] = operation.described()
    error = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    refused = {"description": "One line that says why", "content": {"application/json": {"schema": error}}}
    token = {"type": "apiKey", "in": "header", "name": "X-StyleBank-Token"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "StyleBank Studio", "version": version},
        "paths": paths,
        "components": {"responses": {"Refused": refused}, "securitySchemes": {"token": token}},
        "security": [{"token": []}],
    }


async def unless_gone(request: Request, future: "asyncio.Future[Made]") -> Made:
    """A future's result; it is cancelled if the client goes away before."""

    async def leave() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        future.cancel()

    leaving = asyncio.create_task(leave())
    try:
        return await future
    except asyncio.CancelledError:
        if leaving.done() and not leaving.cancelled():
            raise RefusedError(400, "request: was given up") from None
        raise
    finally:
        leaving.cancel()
