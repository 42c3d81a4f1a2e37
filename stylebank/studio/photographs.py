"""What can be asked of a photo: itself, previews, thumbnails, masks and regions."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from stylebank.easel import album, previews, recipes
from stylebank.easel.album import Photograph
from stylebank.easel.closeups import Box
from stylebank.easel.previews import Easel
from stylebank.easel.refusals import RefusedError
from stylebank.errors import UnknownStyleError, nearest
from stylebank.pixels import encoding, images, resampling
from stylebank.studio import api
from stylebank.studio.api import Operation
from stylebank.studio.workshop import Workshop

if TYPE_CHECKING:
    from PIL.Image import Image

PHOTO_BYTES, MASK_BYTES = 300_000_000, 64_000_000
SCREEN, PNG, BYTES = "image/jpeg", "image/png", "application/octet-stream"

MOST_FOUND = 12
"""Regions that can be found in a photo at once."""

_AHEAD = (
    2  # thumbnails that are ordered before the one before is sent: the painter never waits for the network
)


def workshop_of(request: Request) -> Workshop:
    """The one that the server opened."""
    found: Workshop = request.app.state.workshop
    return found


def photo_of(request: Request) -> Photograph:
    """The photo that a request is about.

    Raises:
        RefusedError: it is no longer here.
    """
    return workshop_of(request).album.get(request.path_params["photo"])


def described(photo: Photograph) -> dict[str, object]:
    """What the page is told of a photo."""
    return {
        "id": photo.id,
        "name": photo.name,
        "width": photo.size[1],
        "height": photo.size[0],
        "has_alpha": photo.original.alpha is not None,
        "notes": list(photo.original.notes),
    }


async def add_photo(request: Request) -> Response:
    """Take a photo in: the bytes of its file.

    The same bytes have the same id. Photos that are not looked at give way; then 410 asks for them again.
    """
    workshop = workshop_of(request)
    name = api.text_of(request.query_params, "name", default="photo", longest=1000)
    data = await request.body()
    async with workshop.decoding:
        found = await asyncio.to_thread(workshop.album.add, data, name)
    return JSONResponse(described(found))


async def show_photo(request: Request) -> Response:
    """The photo itself, fitted to a long side."""
    photo = photo_of(request)
    side = api.number_of(request.query_params, "side", default=1536, low=16, high=8192)

    def made() -> bytes:
        return encoding.for_screen(resampling.fitted(photo.image, long_side=side))

    return Response(await asyncio.to_thread(made), media_type=SCREEN)


async def preview(request: Request) -> Response:
    """The photo painted by a recipe at a long side: {"recipe", "side", "window", "client", "number"}.

    With a window, [left, top, width, height] in pixels of the photo, that part of the picture at full size. Of a client
    only the highest number is painted; others get 409 with `superseded`. X-Ms says how long it took.
    """
    workshop, photo, body = workshop_of(request), photo_of(request), await api.body_of(request)
    api.only(body, "recipe", "side", "window", "client", "number")
    low, high = previews.SIDES
    side = api.number_of(body, "side", default=1024, low=low, high=high)
    number = api.number_of(body, "number", default=0, high=2**53)
    client = api.text_of(body, "client", longest=64)
    recipe, window = recipes.read(body.get("recipe")), _window(body.get("window"), photo)
    recipes.check(recipe, await workshop.contents())

    def made(easel: Easel) -> "tuple[Image, float]":
        return easel.closeup(photo, recipe, window) if window else easel.preview(photo, recipe, side)

    quick = side <= previews.QUICK_SIDE and not window
    image, spent = await workshop.painted(
        request,
        made,
        priority=previews.QUICK if quick else previews.SLOW,
        client=client,
        number=number,
    )
    data = await asyncio.to_thread(encoding.for_screen, image)
    return Response(data, media_type=SCREEN, headers={"X-Ms": f"{spent:.0f}"})


def _window(found: object, photo: Photograph) -> Box | None:
    """A part of a photo, of a body."""
    if found is None:
        return None
    if isinstance(found, list) and len(found) == 4 and all(type(each) is int for each in found):
        left, top, width, height = found
        box, most = Box(left, top, left + width, top + height), previews.SIDES[1]
        inside = left >= 0 and top >= 0 and box.right <= photo.size[1] and box.bottom <= photo.size[0]
        if inside and 1 <= width <= most and 1 <= height <= most:
            return box
    raise RefusedError(
        400,
        f"window: is no [left, top, width, height] in the photo, of up to {previews.SIDES[1]} pixels; correct it",
    )


async def thumbnails(request: Request) -> Response:
    """The photo in each style, as a stream of frames in the order asked for.

    A frame is 4 bytes, big-endian, of the length of its header; the header, JSON of style, type and bytes; the picture.
    """
    workshop, photo = workshop_of(request), photo_of(request)
    side = api.number_of(request.query_params, "side", default=192, low=16, high=512)
    words = api.text_of(request.query_params, "styles", longest=20_000)
    known = (await workshop.contents()).names
    styles = [word for word in words.split(",") if word] or list(known)
    for style in styles:
        if style not in known:
            raise UnknownStyleError(f"style '{style[:64]}': is not in the bank{nearest(style, known)}")
    return StreamingResponse(_frames(workshop, photo, styles, side), media_type=BYTES)


async def _frames(
    workshop: Workshop, photo: Photograph, styles: list[str], side: int
) -> AsyncIterator[bytes]:
    ahead: list[asyncio.Future[bytes]] = []

    def order(style: str) -> None:
        ahead.append(
            workshop.submit(
                lambda easel: encoding.for_screen(easel.thumbnail(photo, style, side), quality=80),
                priority=previews.WHENEVER,
            )
        )

    try:
        for style in styles[:_AHEAD]:
            order(style)
        for place, style in enumerate(styles):
            picture = await ahead.pop(0)
            if place + _AHEAD < len(styles):
                order(styles[place + _AHEAD])
            head = json.dumps({"style": style, "type": SCREEN, "bytes": len(picture)}).encode()
            yield len(head).to_bytes(4, "big") + head + picture
    finally:
        for future in ahead:
            future.cancel()


async def add_mask(request: Request) -> Response:
    """Keep a mask with the photo: the bytes of an image file, white where it covers."""
    photo, data = photo_of(request), await request.body()

    def made() -> str:
        return photo.add_mask(album.mask_of(data))

    async with workshop_of(request).decoding:
        return JSONResponse({"mask": await asyncio.to_thread(made)})


async def show_mask(request: Request) -> Response:
    """A mask as a grey PNG of its own size."""
    levels = photo_of(request).levels(request.path_params["mask"])
    return Response(await asyncio.to_thread(images.grey_png, levels), media_type=PNG)


async def import_masks(request: Request) -> Response:
    """Masks of any image file: one, or of a label image one for each of its largest labels."""
    photo, data = photo_of(request), await request.body()
    name = api.text_of(request.query_params, "name", default="mask", longest=1000)

    def made() -> list[dict[str, object]]:
        found = album.masks_in(data, name, photo)
        return [
            {"mask": photo.add_mask(mask), "name": label, "share": round(float(mask.mean()), 4)}
            for label, mask in found
        ]

    async with workshop_of(request).decoding:
        return JSONResponse({"masks": await asyncio.to_thread(made)})


async def find_regions(request: Request) -> Response:
    """Things in the photo, each as a mask: {"count", "seed"}; the largest first."""
    workshop, photo, body = workshop_of(request), photo_of(request), await api.body_of(request)
    api.only(body, "count", "seed")
    count = api.number_of(body, "count", default=4, low=2, high=MOST_FOUND)
    seed = api.number_of(body, "seed", default=0, high=2**31 - 1)
    found = await workshop.aside(lambda easel: easel.regions(photo, count, seed))
    return JSONResponse({"masks": [{"mask": mask, "share": share} for mask, share in found]})


_of_photo = partial(Operation, "POST", takes=BYTES)

OPERATIONS = (
    _of_photo("photos", add_photo, query={"name": "of the file"}, limit=PHOTO_BYTES),
    Operation("GET", "photos/{photo}/picture", show_photo, gives=SCREEN, query={"side": "pixels, 1536"}),
    Operation("POST", "photos/{photo}/preview", preview, takes="application/json", gives=SCREEN),
    Operation(
        "GET",
        "photos/{photo}/thumbnails",
        thumbnails,
        gives=BYTES,
        query={"side": "pixels, 192", "styles": "names between commas; all"},
    ),
    _of_photo("photos/{photo}/masks", add_mask, limit=MASK_BYTES),
    Operation("GET", "photos/{photo}/masks/{mask}", show_mask, gives=PNG),
    _of_photo("photos/{photo}/masks/import", import_masks, query={"name": "of the file"}, limit=MASK_BYTES),
    Operation("POST", "photos/{photo}/segments", find_regions, takes="application/json"),
)
