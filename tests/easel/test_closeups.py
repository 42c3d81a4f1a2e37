"""A part of a picture at full size is what the full picture has there, but for what norms know of the whole."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.bank.bundle import Bundle
from stylebank.easel import closeups, recipes
from stylebank.easel.album import Album
from stylebank.easel.closeups import Box
from stylebank.easel.commands import Form
from stylebank.easel.previews import Easel
from stylebank.engines.choice import Computing
from stylebank.painting import strokes
from stylebank.painting.painter import StyleBank
from stylebank.studio import jobs

SIZE = 480, 720  # H, W

LEFT = (np.arange(90) < 45).astype(np.float32)[None].repeat(60, 0)


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> StyleBank:
    return StyleBank(make_bank({"wave": 3, "scream": 3}), computing=Computing("onnx", "float32"))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small photo has as many passes as a large one."""
    monkeypatch.setattr(strokes, "FIRST", 100)
    monkeypatch.setattr(closeups, "WHOLE", 250)


def drawn() -> Image.Image:
    noise = np.random.default_rng(4)
    coarse, fine = (noise.integers(0, 256, (*size, 3)).astype(np.uint8) for size in ((6, 9), (120, 180)))
    layers = [Image.fromarray(each).resize(SIZE[::-1], Image.Resampling.BICUBIC) for each in (coarse, fine)]
    return Image.blend(layers[0], layers[1], 0.25)


def apart(first: Image.Image, second: Image.Image) -> float:
    return float(abs(np.asarray(first, float) - np.asarray(second, float)).mean())


REGION = {"style": "scream", "strength": 0.8}
RECIPES: list[dict[str, Any]] = [
    {"style": "wave"},
    {"style": "wave", "strength": 0.5, "keep_color": True},
    {"style": "wave:0.5+scream:0.5", "stroke": 0.75},
    {"style": "wave", "feather": 20, "regions": [REGION]},
    {"style": "photo", "regions": [REGION | {"stroke": 1.5}]},
    {"style": "wave", "regions": [{"style": "photo"}]},
]


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_part_looks_as_in_the_full_picture(number: int, bank: StyleBank) -> None:
    buffer = io.BytesIO()
    drawn().save(buffer, "PNG")
    photo, told = Album().add(buffer.getvalue(), "photo.png"), dict(RECIPES[number])
    regions = [each | {"mask": photo.add_mask(LEFT)} for each in told.get("regions", [])]
    recipe = recipes.read(told | {"regions": regions})
    assert closeups.fits(photo.size, recipe.mixtures())
    job = jobs.Render(photo, recipe, Form(), lambda _: bank)
    job.run(1)
    full, easel = Image.open(io.BytesIO(job.result)).convert("RGB"), Easel(bank)
    small = easel.preview(photo, recipe, closeups.WHOLE)[0].resize(SIZE[::-1], Image.Resampling.BICUBIC)
    wrong, control = 0.0, 0.0
    for window in (Box(0, 0, 200, 160), Box(250, 130, 470, 330), Box(560, 401, 720, 480)):
        part, _ = easel.closeup(photo, recipe, window)
        assert part.size == (window.size[1], window.size[0])
        wrong += apart(part, full.crop(window))
        control += apart(small.crop(window), full.crop(window))
    # What statistics of a smaller picture do: up to 6 levels with random networks. The preview enlarged has 5 to 14.
    assert wrong / 3 < 6
    assert wrong < 0.6 * control


def test_small_photo_is_painted_as_a_whole(bank: StyleBank) -> None:
    buffer = io.BytesIO()
    drawn().resize((200, 130)).save(buffer, "PNG")
    photo, recipe = Album().add(buffer.getvalue(), "photo.png"), recipes.read({"style": "wave"})
    assert not closeups.fits(photo.size, recipe.mixtures())
    window, easel = Box(20, 10, 90, 60), Easel(bank)
    part, _ = easel.closeup(photo, recipe, window)
    assert apart(part, bank.stylize(photo.image, "wave").crop(window)) == 0
    kept, _ = easel.closeup(photo, recipes.read({"style": "photo"}), window)
    assert apart(kept, photo.image.crop(window)) == 0


def test_coarse_passes_are_painted_once_for_many_windows(
    bank: StyleBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer, times = io.BytesIO(), list[object]()
    drawn().save(buffer, "PNG")

    def counted(*given: Any) -> Any:
        times.append(given)
        return ascend(*given)

    photo, ascend = Album().add(buffer.getvalue(), "photo.png"), closeups.ascend
    monkeypatch.setattr(closeups, "ascend", counted)
    easel = Easel(bank)
    for left in (0, 100, 200):
        easel.closeup(photo, recipes.read({"style": "wave"}), Box(left, 0, left + 64, 64))
    assert len(times) == 1
