"""All that the studio holds while it is open: bank, photos, jobs, and a private folder for what is learnt."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Thread
from typing import Any, TypeVar

from starlette.requests import Request

from stylebank import config
from stylebank.bank import editing, personal
from stylebank.bank.bundle import Bundle
from stylebank.config import Style
from stylebank.easel.album import Album, Paintings, Photograph
from stylebank.easel.previews import Easel, Painter
from stylebank.easel.refusals import RefusedError
from stylebank.engines.choice import Computing
from stylebank.errors import StyleBankError
from stylebank.files import atomic, resources
from stylebank.machine.memory import Tiling
from stylebank.painting.painter import StyleBank
from stylebank.studio import api, private
from stylebank.studio.jobs import Jobs
from stylebank.studio.learning import Learning, Lesson
from stylebank.studio.private import Private
from stylebank.supervision.image_words import BLANK

Made = TypeVar("Made")

_BEFORE_ALL = -1  # priority of reading a bank
_LAYERS = 5
_LAST_WORDS = 5.0  # seconds that a child or a thread may take where the studio is closed


@dataclass(frozen=True)
class Settings:
    """What the studio was opened with.

    Attributes:
        bank: see `personal.read`.
        photo: one to begin with.
        engine: see `Computing`.
        precision: likewise.
        device: likewise.
        content: folder of photos that new styles are learnt on.
        vgg: the VGG file that judges them.
    """

    bank: Path | None = None
    photo: Path | None = None
    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    content: Path = field(default_factory=resources.photos_folder)
    vgg: Path = field(default_factory=resources.vgg_weights)

    @property
    def options(self) -> list[str]:
        """What of that a command says too."""
        given = {"--bank": self.bank, "--engine": self.engine}
        given |= {"--precision": self.precision, "--device": self.device}
        return [
            word
            for option, value in given.items()
            if value not in (None, "auto")
            for word in (option, str(value))
        ]


class Workshop:
    """See the module; `open` and `close` are called by the server.

    Args:
        settings: see there.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.album = settings, Album()
        self.computing = Computing(settings.engine, settings.precision, settings.device)
        self.decoding, self._aside = asyncio.Semaphore(2), asyncio.Semaphore(1)
        self.first: Photograph | None = None
        self.problem, self.has_ended = "", True
        self.paintings = Paintings()
        self._private = Private()

    def open(self) -> None:
        """Begin to read the bank, and the photo that there is to begin with; what killed studios left is removed."""
        Thread(target=private.sweep, daemon=True).start()
        self.jobs, self.painter = Jobs(), Painter(self._rest)
        self._contents = self.painter.submit(self._read_bank, priority=_BEFORE_ALL)
        if self.settings.photo:
            self.opened = self.painter.submit(self._read_photo, priority=_BEFORE_ALL)

    def close(self) -> None:
        """End all that goes on; what was learnt so far is gone with its folder."""
        self.has_ended = self.jobs.close(_LAST_WORDS) and self.painter.close(_LAST_WORDS)
        for job in self.jobs.all():
            if isinstance(job, Learning):
                job.wait(_LAST_WORDS)
        self._private.close()

    async def contents(self) -> Bundle:
        """The bank, once it is read.

        Raises:
            StyleBankError: it cannot be.
        """
        return await asyncio.shield(asyncio.wrap_future(self._contents))

    def loader(self, contents: Bundle) -> Callable[[Tiling], StyleBank]:
        """What makes a bank that paints pictures at full size."""
        return lambda tiling: StyleBank(contents, computing=self.computing, tiling=tiling)

    async def painted(
        self,
        request: Request,
        work: Callable[[Easel], Made],
        *,
        priority: int,
        client: str = "",
        number: int = 0,
    ) -> Made:
        """What the painter makes, unless whoever asked goes away while it waits.

        Raises:
            RefusedError: see `Painter.submit`.
        """
        await self.contents()
        future = self.painter.submit(
            lambda: work(self._easel), priority=priority, client=client, number=number
        )
        return await api.unless_gone(request, asyncio.wrap_future(future))

    def submit(self, work: Callable[[Easel], Made], *, priority: int) -> "asyncio.Future[Made]":
        """The same for an answer that goes on for long, and is cancelled with it."""
        return asyncio.wrap_future(self.painter.submit(lambda: work(self._easel), priority=priority))

    async def aside(self, work: Callable[[Easel], Made]) -> Made:
        """What takes seconds and no canvas: beside the painter, so that no preview waits for it; one at a time."""
        await self.contents()
        async with self._aside:
            return await asyncio.to_thread(work, self._easel)

    def lesson(self, order: Mapping[str, Any]) -> Lesson:
        """What a page wants learnt, its paintings as files in the private folder.

        Raises:
            RefusedError: it is malformed, or a painting is no longer here.
            StyleBankError: the name is taken or malformed, or the bank cannot grow.
        """
        name, steps = order.get("name"), order.get("steps")
        if not isinstance(name, str):
            raise RefusedError(400, "name: is no text; give one")
        config.check_name(name, where="style")
        if steps is not None and (type(steps) is not int or not 1 <= steps <= 100_000):
            raise RefusedError(400, "steps: is no whole number from 1 to 100000; give one, or null")
        bank = personal.to_change(self.settings.bank)
        editing.check_free(personal.contents(bank), name)
        personal.check_open(bank)
        folder = self._private.folder() / name
        style = self._style(name, order, folder / "paintings")
        what = json.dumps([asdict(style), steps], default=str).encode()  # another crop is another run
        run = folder / f"run-{atomic.sha256_bytes(what)[:12]}"
        given = Lesson(style, bank, run, self.settings.content, self.settings.vgg, steps)
        device = "auto" if self.settings.engine != "torch" else self.settings.device
        return replace(given, device=device)

    def learn(self, lesson: Lesson) -> Learning:
        """Begin to learn a style.

        Raises:
            RefusedError: another is being learnt.
        """
        self.check_idle()
        job = Learning(lesson, self._learnt)
        self.jobs.add(job)
        job.start()
        return job

    def check_idle(self) -> None:
        """Refuse to learn two styles at once: each takes all cores, and gigabytes.

        Raises:
            RefusedError: naming the one that is being learnt.
        """
        for job in self.jobs.all():
            if isinstance(job, Learning) and not job.has_ended:
                raise RefusedError(
                    409, f"style '{job.lesson.style.name}': is being learnt; wait for it, or stop it"
                )

    def _learnt(self) -> None:
        """Read the bank again, before anything else is painted."""
        self._contents = self.painter.submit(self._read_bank, priority=_BEFORE_ALL)

    def _read_bank(self) -> Bundle:
        contents = personal.read(self.settings.bank)
        self._easel = Easel(StyleBank(contents, computing=self.computing))
        return contents

    def _rest(self) -> None:
        if easel := getattr(self, "_easel", None):
            easel.rest()

    def _read_photo(self) -> None:
        path = self.settings.photo
        assert path
        try:
            self.first = self.album.add(path.read_bytes(), path.name, keep=True)
        except (StyleBankError, OSError) as error:
            self.problem = " ".join(str(error).split())

    def _style(self, name: str, order: Mapping[str, Any], folder: Path) -> Style:
        layers, zoom = order.get("layers"), order.get("zoom")
        word = partial(self._word, folder=folder)
        if zoom is not None:
            large, second, layer = _zoomed(zoom, layers)
            return Style(name=name, zoom=(word(large), word(second)), rest_layer=layer, size=0)
        if not isinstance(layers, list) or len(layers) not in (1, _LAYERS):
            raise RefusedError(
                400, "layers: are not one image or five; give them from finest marks to largest forms"
            )
        words = tuple(word(layer) for layer in layers)
        if len(set(words)) == 1 and words[0] != BLANK:
            return Style(name=name, image=words[0], size=0)
        return Style(name=name, images=words, size=0)

    def _word(self, layer: object, folder: Path) -> str:
        """A layer's image as the command line says it, its file in the private folder."""
        if layer == BLANK:
            return BLANK
        if not isinstance(layer, dict) or set(layer) - {"image", "crop"}:
            raise RefusedError(400, "layer: is neither 'blank' nor an image and perhaps its crop; correct it")
        identity = str(layer.get("image"))[:64]
        painting = self.paintings.get(identity)
        path = folder / identity / _file_name(painting.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(painting.data)
        box = layer.get("crop")
        if box is None:
            return str(path)
        if (
            not isinstance(box, list)
            or len(box) != 4
            or not all(type(x) in (int, float) and 0 <= x <= 1 for x in box)
        ):
            raise RefusedError(400, "crop: is no [left, top, right, bottom] in 0 to 1; correct it")
        return f"{path}@{':'.join(f'{edge:.4f}' for edge in box)}"


def _zoomed(zoom: object, layers: object) -> tuple[object, object, str]:
    """Large image, second image and the layer that it takes of a zoom recipe.

    {"way": "closer"} zooms into the image of the finest layer, and leaves the largest forms to that of the last.
    """
    if isinstance(zoom, dict) and zoom == {"way": "closer"} and isinstance(layers, list) and layers:
        return layers[0], layers[-1], "relu5_1"
    if isinstance(zoom, dict) and {"large", "second"} <= set(zoom) <= {"large", "second", "layer"}:
        layer = zoom.get("layer", "relu5_1")
        if layer in ("relu1_1", "relu5_1"):
            return zoom["large"], zoom["second"], layer
    raise RefusedError(400, "zoom: has another form; give large, second and layer, or the way 'closer'")


def _file_name(name: str) -> str:
    """A painting's own name in letters that every system and every word of a style takes."""
    path = PurePosixPath(name)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:60].strip("_") or "painting"
    suffix = path.suffix.lower()
    return stem + (suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else "")
