"""What can be ordered: pictures at full size, commands, recipes, new styles; and what the studio says of itself."""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from stylebank import __version__
from stylebank.bank import listing, personal
from stylebank.bank.entries import Entry
from stylebank.bank.mixture import STROKES
from stylebank.easel import album, commands, previews, recipes
from stylebank.easel.commands import Form
from stylebank.easel.refusals import RefusedError
from stylebank.files import resources
from stylebank.photos.decoding import MAX_PIXELS
from stylebank.pixels import formats
from stylebank.pixels.encoding import Encoding
from stylebank.studio import api
from stylebank.studio.api import Operation
from stylebank.studio.jobs import Job, Render
from stylebank.studio.learning import Learning
from stylebank.studio.photographs import (
    BYTES,
    MASK_BYTES,
    PHOTO_BYTES,
    PNG,
    described,
    photo_of,
    workshop_of,
)
from stylebank.studio.workshop import Workshop

JSON, ZIP, EVENTS = "application/json", "application/zip", "text/event-stream"

_EVERY = 0.2  # seconds between two looks at a job
_ALIVE = (
    10.0  # seconds after which a job is told again that has not changed: so the page knows that it listens
)
_FORM = ("format", "quality", "lossless", "keep_metadata")
_TYPES = {".jpg": "jpeg", ".jpeg": "jpeg", ".tif": "tiff", ".heic": "heic"}


async def state(request: Request) -> Response:
    """The studio itself: version, bank, the photo to begin with, limits, formats."""
    workshop = workshop_of(request)
    contents = await workshop.contents()
    if workshop.settings.photo:
        await asyncio.shield(asyncio.wrap_future(workshop.opened))
    path = resources.bank_named(workshop.settings.bank)
    bank = {"name": path.name, "digest": contents.digest()[:16], "own": personal.is_own(path)}
    limits = {
        "photo_bytes": PHOTO_BYTES,
        "mask_bytes": MASK_BYTES,
        "photo_pixels": MAX_PIXELS,
        "photos": album.MOST_PHOTOS,
        "masks": album.MOST_MASKS,
        "regions": recipes.MOST_REGIONS,
        "preview_side": previews.SIDES[1],
        "quick_side": previews.QUICK_SIDE,
        "strokes": STROKES,
    }
    return JSONResponse(
        {
            "version": __version__,
            "bank": bank,
            "photo": described(workshop.first) if workshop.first else None,
            "problem": workshop.problem or None,
            "limits": limits,
            "formats": [_format(suffix) for suffix in formats.WRITTEN],
        }
    )


def _format(suffix: str) -> dict[str, object]:
    return {
        "suffix": suffix,
        "quality": _can(Encoding(quality=90), suffix),
        "lossless": _can(Encoding(lossless=True), suffix),
    }


def _can(how: Encoding, suffix: str) -> bool:
    try:
        how.check(suffix)
    except ValueError:
        return False
    return True


async def styles(request: Request) -> Response:
    """The styles of the bank, in its order."""
    contents = await workshop_of(request).contents()
    return JSONResponse([_style(entry) for entry in contents.entries])


def _style(entry: Entry) -> dict[str, object]:
    works = [work for work in listing.works(entry) if isinstance(work, listing.Work)]
    trained = "mixture" if entry.mixture else entry.card.origin if entry.card else "stopped"
    return {
        "name": entry.name,
        "artist": " + ".join(dict.fromkeys(work.by for work in works)) or None,
        "title": " + ".join(dict.fromkeys(work.title for work in works)) or None,
        "about": listing.described(entry),
        "layered": entry.style.is_layered,
        "mixture": bool(entry.mixture),
        "trained": trained,
    }


async def render(request: Request) -> Response:
    """Paint a picture at full size: {"recipe", "format", "quality", "lossless", "keep_metadata"}."""
    workshop, photo, body = workshop_of(request), photo_of(request), await api.body_of(request)
    api.only(body, "recipe", *_FORM)
    recipe, form = recipes.read(body.get("recipe")), Form.read(body)
    contents = await workshop.contents()
    recipes.check(recipe, contents)
    job = workshop.jobs.add(Render(photo, recipe, form, workshop.loader(contents)))
    return JSONResponse({"job": job.id}, 202)


async def list_jobs(request: Request) -> Response:
    """All jobs, the oldest first."""
    return JSONResponse([job.to_json() for job in workshop_of(request).jobs.all()])


def _job(request: Request) -> Job:
    return workshop_of(request).jobs.get(request.path_params["job"])


async def show_job(request: Request) -> Response:
    """A job: state, share done, seconds left, error, and what its kind has besides."""
    return JSONResponse(_job(request).to_json())


async def events(request: Request) -> Response:
    """A job each time that it has changed, until it has ended."""
    return StreamingResponse(_told(_job(request)), media_type=EVENTS)


async def _told(job: Job) -> AsyncIterator[str]:
    last, quiet = "", 0.0
    while True:
        ended = job.has_ended
        now = json.dumps(job.to_json())
        quiet += _EVERY
        if now != last or quiet >= _ALIVE:
            yield f"data: {now}\n\n"
            last, quiet = now, 0.0
        if ended:
            return
        await asyncio.sleep(_EVERY)


async def result(request: Request) -> Response:
    """The picture that a job has made, as a file."""
    job = _job(request)
    if not isinstance(job, Render) or job.state != "done":
        raise RefusedError(404, f"job: has no picture, it is {job.state}; wait until it is done")
    suffix = job.to_json()["format"]
    kind = f"image/{_TYPES.get(suffix, suffix.removeprefix('.'))}"
    return Response(job.result, media_type=kind, headers={"Content-Disposition": _attached(job.name)})


def _attached(name: str) -> str:
    """The header that names a file, for old readers in ASCII, for others in UTF-8 (RFC 6266)."""
    plain = "".join(letter if letter.isascii() and letter not in '"\\%' else "_" for letter in name)
    coded = "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"%{byte:02X}"
        for byte in name.encode("utf-8", "replace")
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}"


async def remove_job(request: Request) -> Response:
    """Stop a job and forget it; a style that is being learnt is stopped first, and forgotten when asked again."""
    workshop, job = workshop_of(request), _job(request)
    if isinstance(job, Learning) and not job.has_ended:
        job.stop()
        return JSONResponse(job.to_json())
    return JSONResponse(workshop.jobs.remove(job.id).to_json())


async def command(request: Request) -> Response:
    """The command that makes the same picture, and the masks it reads: {"photo", "recipe", "format", ...}."""
    workshop, body = workshop_of(request), await api.body_of(request)
    api.only(body, "photo", "recipe", *_FORM)
    photo = workshop.album.get(api.text_of(body, "photo"))
    recipe, form = recipes.read(body.get("recipe")), Form.read(body)
    recipes.check(recipe, await workshop.contents())
    lines = commands.command(recipe, form, photo, workshop.settings.options)
    names = commands.file_names(recipe)
    files = [name for name, region in zip(names, recipe.regions, strict=True) if region.visible]
    return JSONResponse({"lines": lines, "files": files})


async def export_recipe(request: Request) -> Response:
    """A recipe and its masks as a zip file: {"photo", "recipe"}."""
    workshop, body = workshop_of(request), await api.body_of(request)
    api.only(body, "photo", "recipe")
    photo, recipe = workshop.album.get(api.text_of(body, "photo")), recipes.read(body.get("recipe"))
    data = await asyncio.to_thread(commands.pack, recipe, photo)
    name = commands.picture_name(photo.name, recipe, ".recipe.zip")
    return Response(data, media_type=ZIP, headers={"Content-Disposition": _attached(name)})


async def import_recipe(request: Request) -> Response:
    """The recipe of a zip file that `export` made; its masks are kept with the photo."""
    workshop = workshop_of(request)
    photo = workshop.album.get(api.text_of(request.query_params, "photo"))
    data = await request.body()
    recipe = await asyncio.to_thread(commands.unpack, data, photo)
    recipes.check(recipe, await workshop.contents())
    return JSONResponse({"recipe": recipe.to_json()})


async def add_image(request: Request) -> Response:
    """Take in a painting to make a style of: the bytes of its file."""
    workshop = workshop_of(request)
    name = api.text_of(request.query_params, "name", default="painting", longest=1000)
    data = await request.body()
    async with workshop.decoding:
        identity, found = await asyncio.to_thread(workshop.paintings.add, data, name)
    return JSONResponse({"image": identity, "width": found.width, "height": found.height})


async def learn(request: Request) -> Response:
    """Learn a style: {"name", "layers", "zoom", "steps"}; it lands in the bank.

    A layer is "blank", or {"image", "crop"}: an id, and null or [left, top, right, bottom] in 0 to 1. There are five
    from the finest marks to the largest forms, or one for all; a zoom recipe, {"large", "second", "layer"}, instead.
    {"way": "closer"} is one of the first and the last layer's images.
    """
    workshop, body = workshop_of(request), await api.body_of(request)
    api.only(body, "name", "layers", "zoom", "steps")
    workshop.check_idle()
    lesson = await asyncio.to_thread(workshop.lesson, body)
    return JSONResponse({"job": workshop.learn(lesson).id}, 202)


def _learning(request: Request) -> tuple[Workshop, Learning]:
    job = _job(request)
    if not isinstance(job, Learning):
        raise RefusedError(404, "job: learns no style; name one that does")
    return workshop_of(request), job


async def show_learning(request: Request) -> Response:
    """What a style looks like so far: photos painted in it, a PNG."""
    _, job = _learning(request)
    path = job.picture()
    if path is None:
        raise RefusedError(404, "job: has nothing to show yet; wait for its first preview")
    return Response(await asyncio.to_thread(path.read_bytes), media_type=PNG)


async def go_on(request: Request) -> Response:
    """Go on with a style that was stopped, or whose learning failed."""
    workshop, job = _learning(request)
    if job.state not in ("stopped", "failed"):
        raise RefusedError(409, f"job: is {job.state}; only what was stopped can go on")
    workshop.check_idle()
    job.start()
    return JSONResponse({"job": job.id}, 202)


async def document(request: Request) -> Response:
    """This description, as OpenAPI 3.1."""
    return JSONResponse(api.openapi(request.app.state.operations, __version__))


OPERATIONS = (
    Operation("GET", "state", state),
    Operation("GET", "styles", styles),
    Operation("POST", "photos/{photo}/renders", render, takes=JSON, status=202),
    Operation("GET", "jobs", list_jobs),
    Operation("GET", "jobs/{job}", show_job),
    Operation("DELETE", "jobs/{job}", remove_job),
    Operation("GET", "jobs/{job}/events", events, gives=EVENTS),
    Operation("GET", "jobs/{job}/result", result, gives="image/*"),
    Operation("GET", "jobs/{job}/preview", show_learning, gives=PNG),
    Operation("POST", "jobs/{job}/continue", go_on, status=202),
    Operation("POST", "command", command, takes=JSON),
    Operation("POST", "recipes/export", export_recipe, takes=JSON, gives=ZIP),
    Operation(
        "POST", "recipes/import", import_recipe, takes=ZIP, query={"photo": "its id"}, limit=MASK_BYTES
    ),
    Operation(
        "POST", "style-images", add_image, takes=BYTES, query={"name": "of the file"}, limit=PHOTO_BYTES
    ),
    Operation("POST", "style-jobs", learn, takes=JSON, status=202),
    Operation("GET", "openapi.json", document),
)
